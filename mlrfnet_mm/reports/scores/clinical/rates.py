"""Tables of points of the ROC curve, and of predictive values where a finding is less frequent."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mlrfnet_mm.evaluation import (
    Predictions,
    mean_defined,
    mean_over_classes,
    percentile_interval,
    too_few_patients,
)
from mlrfnet_mm.evaluation.areas.curve import curve_statistics
from mlrfnet_mm.evaluation.areas.partial_auc import partial_auc
from mlrfnet_mm.evaluation.thresholds.fixed_rates import (
    sensitivity_at,
    specificity_at,
    threshold_for_sensitivity,
    threshold_for_specificity,
)
from mlrfnet_mm.evaluation.thresholds.predictive_values import predictive_points
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.statistics import few_notes, mean_name, unit_note, with_interval

SHORT = dict(sensitivity='Se', specificity='Sp')
RATES = (0.9, 0.95)  # at which the other one is given
FALSE_POSITIVES = 0.1  # the partial AUC is over rates up to this
Prevalence = float | Mapping[str, float]


def fixed_rates_table(test: Predictions, replicates: int = 1000, seed: int = 0) -> Table:
    """Sensitivity at fixed specificities, the reverse, and the partial AUC."""
    kinds = dict(sensitivity=sensitivity_at, specificity=specificity_at)
    other = dict(sensitivity='specificity', specificity='sensitivity')
    headers = {
        f'{SHORT[name]} at {SHORT[other[name]]} {rate:g}': f'{name}_at_{rate:g}'
        for name in kinds
        for rate in RATES
    }
    statistics = [make(rate) for make in kinds.values() for rate in RATES]
    keys = [*headers.values(), 'partial_auc']
    values, draws = curve_statistics(
        test.scores,
        test.labels,
        test.patients,
        [*statistics, partial_auc(FALSE_POSITIVES)],
        replicates,
        seed,
    )
    at, _ = curve_statistics(
        test.scores,
        test.labels,
        test.patients,
        [make(r) for make in (threshold_for_specificity, threshold_for_sensitivity) for r in RATES],
        1,
    )
    ends = percentile_interval(np.moveaxis(draws, 1, 0))  # (2, S, K)
    few = too_few_patients(test.labels, test.patients)
    ends[..., few] = np.nan
    records: list[Record] = []
    for k, name in enumerate(test.classes.tolist()):
        record: Record = dict(finding=name, positives=int(np.nansum(test.labels[:, k])))
        for i, key in enumerate(keys):
            record |= with_interval(key, values[i, k], ends[:, i, k])
        for key, threshold in zip(headers.values(), at[:, k], strict=True):
            record[f'threshold_of_{key}'] = float(threshold)
        records.append(record)
    mean: Record = dict(finding=mean_name(test, 'mean'))
    for i, key in enumerate(keys):
        means = mean_over_classes(draws[i][:, test.in_mean])
        mean |= with_interval(
            key, mean_defined(values[i, test.in_mean]), percentile_interval(means)
        )
    notes = [
        'Points of the ROC curve; Se is sensitivity, Sp specificity: the greatest rate of a '
        'threshold with at least the other one, which is determined on these very images, and '
        'again in each replicate of the bootstrap by patient (nominal 95 % intervals; none where '
        'no replicate differs; by simulation that of a specificity covers 0.84 to 0.91 with fewer '
        'than 20 positive patients). They describe the curve; what thresholds that were chosen on '
        'validation give is in the table of thresholds.',
        f'pAUC: area over false positive rates up to {FALSE_POSITIVES:g}, standardized by McClish '
        '(0.5 is chance, 1 best).',
        *few_notes(test),
    ]
    columns = {'finding': 'finding', 'positives': 'positives', **headers, 'pAUC': 'partial_auc'}
    title = f'{test.stamp}: sensitivity at fixed specificity, and the reverse'
    title += unit_note(test)
    return Table('fixed_rates', title, columns, [*records, mean], notes, wide=True)


def predictive_values_table(
    test: Predictions,
    thresholds: np.ndarray,
    prevalence: Prevalence,
    how: str,
    replicates: int = 1000,
    seed: int = 0,
) -> Table:
    """PPV and NPV at a stated prevalence.

    Args:
        test: predictions to report.
        thresholds: (K,), held fixed; NaN: not chosen.
        prevalence: one for all findings, or by finding; findings without one are left out.
        how: the thresholds were chosen, for the title.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
    """
    names = test.classes.tolist()
    if isinstance(prevalence, Mapping):
        for name in prevalence:
            if name not in names:
                raise ValueError(
                    f'prevalence of {name!r}: the findings are {", ".join(map(repr, names))}'
                )
        stated = np.array([prevalence.get(name, np.nan) for name in names])
    else:
        stated = np.full(len(names), float(prevalence))
    kept = np.flatnonzero(~np.isnan(stated))
    part = replace(
        test, scores=test.scores[:, kept], labels=test.labels[:, kept], classes=test.classes[kept]
    )
    points = predictive_points(part, thresholds[kept], stated[kept], replicates, seed)
    known = (~np.isnan(test.labels)).sum(0)
    own = np.nansum(test.labels, 0) / np.where(known, known, np.nan)
    records: list[Record] = []
    for i, k in enumerate(kept):
        record: Record = dict(finding=names[k], threshold=float(thresholds[k]))
        record |= dict(share_in_test=float(own[k]), prevalence=float(stated[k]))
        for j, key in enumerate(('sensitivity', 'specificity', 'PPV', 'NPV')):
            record |= with_interval(key, points.values[j, i], points.intervals[:, j, i])
        records.append(record)
    notes = [
        "By Bayes' theorem from sensitivity and specificity, which are taken to be the same there. "
        'Nominal 95 % intervals by bootstrap over patients, thresholds and prevalence held '
        'fixed; none where no replicate differs.',
        *few_notes(part),
    ]
    columns = {
        'finding': 'finding',
        'threshold': 'threshold',
        'share here': 'share_in_test',
        'prevalence': 'prevalence',
        'sensitivity': 'sensitivity',
        'specificity': 'specificity',
        'PPV': 'PPV',
        'NPV': 'NPV',
    }
    title = f'{test.stamp}: predictive values at a stated prevalence{unit_note(test)}; {how}'
    return Table('predictive_values', title, columns, records, notes, wide=True)
