"""Tables for clinical use: what ``mlrfnet evaluate --clinical`` adds.

Each is made of one :class:`~mlrfnet_mm.evaluation.Predictions`, so that a group has its own by
``clinical_tables(test.rows(group), …)``.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mlrfnet_mm.evaluation import Calibration, Predictions, choose_thresholds
from mlrfnet_mm.evaluation.files.pairing import check_validation
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.clinical.calibrated import (
    calibration_slope_table,
    net_benefit_table,
)
from mlrfnet_mm.reports.scores.clinical.probabilities import probabilities
from mlrfnet_mm.reports.scores.clinical.rates import (
    Prevalence,
    fixed_rates_table,
    predictive_values_table,
)


def clinical_tables(
    test: Predictions,
    val: Predictions | None = None,
    rule: str = 'youden',
    choose_on_test: bool = False,
    prevalence: Prevalence | None = None,
    calibration: Calibration | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> list[Table]:
    """Fixed rates and partial AUC, predictive values, slope and intercept, net benefit.

    Args:
        test: predictions to report.
        val: of the same model on validation, to choose thresholds on, for the predictive values.
        rule: see :func:`~mlrfnet_mm.evaluation.choose_thresholds`.
        choose_on_test: choose thresholds on ``test`` itself; the table says so.
        prevalence: one for all findings, or by finding; without it there are no predictive values.
        calibration: of the same checkpoint; without it the titles say that scores are taken as
            they are.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.

    Raises:
        ValueError: a prevalence without thresholds, of an unknown finding, or not between 0 and 1;
            a calibration of something else; validation predictions of another model.
    """
    if val is not None:
        check_validation(test, val)
    tables = [fixed_rates_table(test, replicates, seed)]
    if prevalence is not None:
        if (val is None) != choose_on_test:
            raise ValueError(
                'PPV and NPV at a prevalence need thresholds: give validation predictions to '
                'choose them on (--val NPZ), or choose them on the test set itself '
                '(--choose-on-test)'
            )
        source = test if val is None else val
        chosen_on = source.stamp + (' (the TEST set itself: optimistic)' if val is None else '')
        thresholds = choose_thresholds(source.scores, source.labels, rule)
        how = f'thresholds by {rule}, chosen on {chosen_on}'
        tables.append(predictive_values_table(test, thresholds, prevalence, how, replicates, seed))
    else:
        tables[0].notes = [
            *tables[0].notes,
            'PPV and NPV at a stated prevalence: not run, no prevalence was stated.',
        ]
    tables.append(calibration_slope_table(test, calibration))
    tables.append(net_benefit_table(test, calibration, replicates, seed))
    return tables


# What each group's row takes from which table.
BY_GROUP = (
    ('positives', 'positives'),
    ('Se at Sp 0.95', 'sensitivity_at_0.95'),
    ('pAUC', 'partial_auc'),
    ('slope', 'slope'),
    ('in the large', 'in_the_large'),
    ('gain at 0.05', 'gain_at_0.05'),
)


def clinical_group_table(
    test: Predictions,
    groups: Mapping[str, np.ndarray],
    calibration: Calibration | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> Table:
    """Clinical use by group: one row for each finding and group, computed as if it were all.

    Args:
        test: predictions.
        groups: name → (N,) bool, its rows.
        calibration: of the same checkpoint.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.

    Raises:
        ValueError: no group, or one without rows.
    """
    if not groups:
        raise ValueError(f'{test.stamp}: no groups to report clinical use by')
    records: dict[tuple[str, str], Record] = {}
    notes: list[str] = []
    for group, rows in groups.items():
        if not rows.any():
            raise ValueError(f'{test.stamp}: the group {group!r} has no rows')
        part = test.rows(rows)
        tables = [
            fixed_rates_table(part, replicates, seed),
            calibration_slope_table(part, calibration),
            net_benefit_table(part, calibration, replicates, seed),
        ]
        for table in tables:
            for record in table.records[: len(test.classes)]:
                key = str(record['finding']), group
                records[key] = {'finding': key[0], 'group': group} | records.get(key, {}) | record
        few = [note for note in tables[0].notes if note.startswith('No interval')]
        notes += [f'{group}: {note}' for note in few]
    ordered = [records[name, group] for name in test.classes.tolist() for group in groups]
    origin = probabilities(test, calibration).origin
    first = (
        'Columns as in the tables for all images. At a specificity each group has a threshold of '
        'its own; slope, intercept and gain show whether one calibration fits all groups.'
    )
    columns = {'finding': 'finding', 'group': 'group', **dict(BY_GROUP)}
    title = f'{test.stamp}: clinical use by group; {origin}'
    return Table('clinical_groups', title, columns, ordered, [first, *notes], wide=True)


def read_prevalence(words: Sequence[str]) -> Prevalence | None:
    """One number for all findings, or ``NAME=NUMBER`` for some; None for no words.

    >>> read_prevalence(['0.02'])
    0.02
    >>> read_prevalence(['Edema=0.05', 'Mass=0.01'])
    {'Edema': 0.05, 'Mass': 0.01}

    Raises:
        ValueError: neither, or a finding twice.
    """
    stated: dict[str, float] = {}
    for word in words:
        name, _, text = word.rpartition('=')
        try:
            value = float(text)
        except ValueError:
            value = float('nan')
        if not 0 < value < 1:
            raise ValueError(
                f'a prevalence is a number between 0 and 1, or FINDING=NUMBER, got {word!r}'
            )
        if name in stated or ('' in stated) or (not name and stated):
            raise ValueError(
                'give one prevalence for all findings or one for each of some, got '
                f'{" ".join(words)}'
            )
        stated[name] = value
    return stated.get('', stated) if stated else None
