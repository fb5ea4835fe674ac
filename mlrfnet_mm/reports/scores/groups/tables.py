"""Tables of subgroups: one for each grouping and kind of measure, one of all tests."""

from collections.abc import Iterable, Sequence

import numpy as np

from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS
from mlrfnet_mm.evaluation.groups.compare import GroupComparison
from mlrfnet_mm.reports.output.tables import Record, Table

# Tables: suffix of the name, title, header → key of the values, header → key of the differences
KINDS = (
    ('', 'AUC and prevalence', {'prevalence': 'prevalence', 'AUC': 'auc'}, ('auc',)),
    (
        '_operating_points',
        'sensitivity and specificity at the one threshold of each finding',
        {'sensitivity': 'sensitivity', 'specificity': 'specificity'},
        ('sensitivity', 'specificity'),
    ),
    (
        '_calibration',
        'calibration: mean probability against how often the finding is there',
        {'observed': 'prevalence', 'mean p': 'probability', 'excess': 'excess', 'Brier': 'brier'},
        ('excess',),
    ),
)
TESTS = {'AUC': 'auc', 'sens.': 'sensitivity', 'spec.': 'specificity'}
TESTS |= {'prev.': 'prevalence', 'excess': 'excess'}


def subgroup_tables(
    comparisons: Sequence[GroupComparison],
    title: str,
    thresholds_note: str = '',
    calibration_note: str = '',
) -> list[Table]:
    """All tables of some groupings.

    Args:
        comparisons: what :func:`~mlrfnet_mm.evaluation.groups.compare.compare_groups` returned.
        title: what was evaluated, as the predictions' stamp.
        thresholds_note: how the thresholds were chosen and on what, a sentence.
        calibration_note: the same of the calibration.
    """
    tables = []
    for comparison in comparisons:
        for suffix, what, columns, differences in KINDS:
            if not set(columns.values()) <= set(comparison.measures):
                continue
            name = comparison.grouping.name
            table = _table(comparison, f'{title}, by {name}: {what}', columns, differences)
            table.name = f'groups_{file_name(name)}{suffix}'
            extra = dict(_operating_points=thresholds_note, _calibration=calibration_note)
            table.notes = [*filter(None, [extra.get(suffix)]), *table.notes]
            tables.append(table)
    return [*tables, _tests(comparisons, title)] if tables else []


def file_name(text: str) -> str:
    """A name without what file systems do not take."""
    return ''.join(c if c.isalnum() or c in '-_' else '_' for c in text).lower()


def _table(
    comparison: GroupComparison, title: str, columns: dict[str, str], differences: Sequence[str]
) -> Table:
    """A row for each finding and group."""
    groups, reference = comparison.grouping.groups, comparison.reference
    records: list[Record] = []
    for k, finding in enumerate([*comparison.classes.tolist(), _mean_name(comparison)]):
        for g, group in enumerate(groups):
            record: Record = dict(finding=finding, group=group)
            if k < len(comparison.classes):
                record |= dict(
                    n=int(comparison.known[g, k]),
                    positives=int(comparison.positives[g, k]),
                    positive_patients=int(comparison.positive_patients[g, k]),
                )
            else:
                record |= dict(n=int(comparison.images[g]))
            record |= dict(patients=int(comparison.patients[g]))
            for key in dict.fromkeys([*columns.values(), *differences]):
                measure = comparison.measures[key]
                record |= _ends(key, measure.values[g, k], measure.interval[:, g, k])
                if key in differences and g != reference:
                    record |= _ends(
                        f'difference_{key}',
                        measure.difference[g, k],
                        measure.difference_interval[:, g, k],
                    )
                    record[f'p_{key}'] = float(measure.difference_p[g, k])
                    if k < len(comparison.classes):
                        record[f'p_{key}_holm'] = float(measure.difference_p_holm[g, k])
            records.append(record)
    shown_columns = {'finding': 'finding', 'group': 'group'}
    if 'auc' in differences:
        shown_columns |= {'n': 'n', 'positives': 'positives', 'of patients': 'positive_patients'}
    shown_columns |= columns
    for key in differences:
        header = 'difference' if len(differences) == 1 else f'diff. {key[:4]}.'
        shown_columns |= {header: f'difference_{key}'}
        if key != 'excess':  # its p is in the table of tests
            shown_columns |= {'p Holm' + ' ' * differences.index(key): f'p_{key}_holm'}
    return Table('', title, shown_columns, records, list(_notes(comparison)), wide=True)


def _tests(comparisons: Sequence[GroupComparison], title: str) -> Table:
    """One row for each grouping and finding: is any measure not the same in all groups?"""
    records: list[Record] = []
    names = [name for name in TESTS.values() if name in comparisons[0].measures]
    for comparison in comparisons:
        auc = comparison.measures['auc']
        groups = int(comparison.compared.sum())
        for k, finding in enumerate([*comparison.classes.tolist(), _mean_name(comparison)]):
            last = k == len(comparison.classes)
            if not (last or comparison.common[k]) or groups < 2:
                continue
            values = auc.values[comparison.compared, k]
            low, high = (f'{end:.3f}' for end in (values.min(), values.max()))
            record: Record = dict(column=comparison.grouping.name, finding=finding, groups=groups)
            record |= dict(auc_range=f'{low}–{high}', q=float(auc.q[k]))
            for name in names:
                measure = comparison.measures[name]
                record[f'p_{name}'] = float(measure.p[k])
                if not last:
                    record[f'p_{name}_holm'] = float(measure.p_holm[k])
            records.append(record)
    columns = {'by': 'column', 'finding': 'finding', 'AUC': 'auc_range', 'Q': 'q', 'p': 'p_auc'}
    columns |= {'p Holm': 'p_auc_holm'}
    columns |= {header: f'p_{key}_holm' for header, key in TESTS.items() if key in names[1:]}
    notes = [
        "Wald's chi-square test (Cochran's Q where no patient is in two groups) that all groups "
        'have one AUC, with a covariance that is clustered by patient. Behind it p (Holm) of the '
        'same test of sensitivity and specificity at the threshold, prevalence, and excess of the '
        'mean probability. Holm corrects each measure over the findings of all groupings; the '
        'means are not among them, their p stands for itself.',
        'A difference is an observation, not its cause: groups differ in how ill they are, in view '
        'and in devices, too.',
    ]
    return Table('groups_tests', f'{title}: do the groups differ?', columns, records, notes)


def _mean_name(comparison: GroupComparison) -> str:
    return f'mean of {comparison.averaged.sum()} common'


def _ends(key: str, value: float, ends: np.ndarray) -> Record:
    """Record of a value and its interval."""
    return {key: float(value), f'{key}_low': float(ends[0]), f'{key}_high': float(ends[1])}


def _notes(comparison: GroupComparison) -> Iterable[str]:
    """What the numbers are, and what is left out."""
    grouping = comparison.grouping
    sizes = (
        f'{group} {images:,} of {patients:,} patients'
        for group, images, patients in zip(
            grouping.groups, comparison.images, comparison.patients, strict=True
        )
    )
    yield f'Images: {", ".join(sizes)}.'
    if unknown := int((grouping.of_image < 0).sum()):
        yield f'{unknown:,} images whose {grouping.name} is not known are in no group.'
    if len(grouping.groups) < 2:
        yield 'One group only: nothing to compare.'
        return
    yield (
        'Nominal 95 % intervals by bootstrap over patients (percentiles; of a share of 1 Wilson '
        'over patients); all groups come from the same draws, and differences, to the largest '
        f'group, {grouping.groups[comparison.reference]}, are paired by patient where groups share '
        'patients. Their p is of a normal test clustered by patient (shares and AUCs as logits, so '
        'that there is none at 0 and 1), corrected by Holm over findings and groups of all '
        'groupings.'
    )
    for g, group in enumerate(grouping.groups):
        few = comparison.classes[~comparison.reported[g]].tolist()
        if len(few) == len(comparison.classes):
            yield (
                f'{group}: no finding has {LEAST_PATIENTS} positive and as many negative patients; '
                'it takes no part in the comparison.'
            )
        elif few:
            yield (
                f'{group}, not reported (fewer than {LEAST_PATIENTS} positive or negative '
                f'patients): {", ".join(few)}.'
            )
    left = comparison.classes[~comparison.common].tolist()
    if left and comparison.common.any():
        yield f'Left out of the comparison in all groups: {", ".join(left)}.'
    if not comparison.common.any():
        yield 'No finding is reported in all groups: nothing is compared.'
