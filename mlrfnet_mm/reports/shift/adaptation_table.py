"""What ``mlrfnet adapt`` says of each finding: what was done, on what grounds, and why not more."""

from collections.abc import Iterator

import numpy as np

from mlrfnet_mm.evaluation import Calibration, Predictions, Thresholds, percentile_interval
from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS
from mlrfnet_mm.evaluation.files.pairing import TESTS
from mlrfnet_mm.evaluation.shift.known import (
    ENOUGH_FOR_BIAS,
    ENOUGH_FOR_SLOPE,
    LEVEL,
    UPDATES,
    Known,
)
from mlrfnet_mm.reports.output.tables import Record, Table

SENTENCES = dict(
    prior='shifted to the prevalence that all images suggest, without labels',
    intercept='shifted to the labels',
    platt='fitted on the labels, scale and bias',
)


def adaptation_table(
    site: Predictions,
    calibration: Calibration,
    adapted: Calibration,
    thresholds: Thresholds | None,
    updates: list[str],
    prior: np.ndarray,
    known: Known,
) -> Table:
    """What was done with each finding."""
    ends = percentile_interval(known.draws)
    records: list[Record] = []
    for k, name in enumerate(calibration.classes):
        y = site.labels[:, k]
        record: Record = dict(finding=name, labeled=int((~np.isnan(y)).sum()))
        record |= dict(positives=int(np.nansum(y)), positive_patients=int(known.positive[k]))
        record |= dict(validation=float(prior[k]), estimated=float(known.prevalence[k]))
        record |= dict(estimated_low=float(ends[0, k]), estimated_high=float(ends[1, k]))
        record |= dict(equivalent_positives=float(known.equivalent[k]))
        record |= dict(distance=float(known.distance[k]), p_mix=float(known.p_mix[k]))
        record['update'] = updates[k]
        record |= dict(scale_before=float(calibration.scale[k]), scale=float(adapted.scale[k]))
        record |= dict(bias_before=float(calibration.bias[k]), bias=float(adapted.bias[k]))
        if thresholds is not None:
            record['threshold'] = float(thresholds.thresholds[k])
        records.append(record)
    columns = {'finding': 'finding', 'labeled': 'labeled', 'positive': 'positives'}
    columns |= {'prevalence': 'validation', 'here': 'estimated', 'p mix': 'p_mix'}
    columns |= {'update': 'update', 'scale': 'scale', 'bias': 'bias'}
    if thresholds is not None:
        columns['threshold'] = 'threshold'
    title = f'{site.stamp}: calibration for the site {adapted.site}'
    return Table('adaptation', title, columns, records, wide=True)


def reasons(
    calibration: Calibration, updates: list[str], there: np.ndarray, known: Known
) -> Iterator[str]:
    """What was done with which finding, and why nothing with others."""
    names = np.array(calibration.classes)
    for update in UPDATES[1:]:
        chosen = names[np.array(updates) == update]
        if len(chosen):
            yield f'{update}, {SENTENCES[update]}: {", ".join(chosen)}.'
    left = np.array(updates) == 'none'
    flat = there & left & (calibration.scale == 0)
    lost = there & left & np.isnan(calibration.scale)
    enough = known.equivalent >= LEAST_PATIENTS
    vague = there & left & ~flat & ~lost & ~enough
    unlike = there & left & enough & (known.p_mix < LEVEL)
    for chosen, why in (
        (left & ~there, 'the predictions do not have them'),
        (lost, 'not calibrated on validation, and too few labels here'),
        (flat, 'one probability for all images tells no prevalence, and too few labels here'),
        (unlike, 'more than the prevalence differs here (p mix < 0.05), and too few labels'),
        (
            there & left & enough & np.isnan(known.p_mix),
            'without validation predictions (--val) the prevalence alone is not trusted',
        ),
    ):
        if chosen.any():
            yield f'none, {why}: {", ".join(names[chosen])}.'
    if vague.any():
        each = ', '.join(f'{names[k]} {known.equivalent[k]:.1f}' for k in np.flatnonzero(vague))
        yield (
            f'none, as the images tell their prevalence no better than this many labeled positives '
            f'would, and {LEAST_PATIENTS} are asked for (0: no bound): {each}.'
        )


def notes(site: Predictions, updates: list[str]) -> Iterator[str]:
    """How the numbers are made, and what to beware of."""
    yield (
        "Prevalence without labels: Saerens' EM (2002), right if positives and negatives look as "
        'on validation and only their shares differ; nominal 95 % interval by bootstrap over '
        'patients here, as if the calibration were exact. p mix: of so great a distance of the '
        f'scores from a mix of both. auto takes intercept from {ENOUGH_FOR_BIAS} positive and '
        f'negative labeled patients on and platt from {ENOUGH_FOR_SLOPE}.'
    )
    if {'intercept', 'platt'} & set(updates) and site.stamp.endswith(TESTS):
        yield (
            f'The labels are of {site.stamp}: what is measured on the same images afterwards is '
            'optimistic.'
        )
