"""From predictions to subgroups: thresholds and calibration from validation, one for all groups."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation import (
    Calibration,
    Predictions,
    choose_thresholds,
    fit_calibration,
)
from mlrfnet_mm.evaluation.files.pairing import check_validation
from mlrfnet_mm.evaluation.groups.compare import GroupComparison, compare_groups
from mlrfnet_mm.evaluation.groups.grouping import group_by
from mlrfnet_mm.reports.output.tables import Table
from mlrfnet_mm.reports.scores.groups.tables import subgroup_tables


class Subgroups(NamedTuple):
    """Numbers for figures, and tables."""

    comparisons: list[GroupComparison]
    tables: list[Table]


def evaluate_subgroups(
    test: Predictions,
    by: Sequence[str],
    val: Predictions | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    rule: str = 'youden',
    choose_on_test: bool = False,
    calibration: Calibration | None = None,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> Subgroups:
    """Subgroup tables of predictions.

    Args:
        test: N images, K findings.
        by: columns, see :func:`~mlrfnet_mm.evaluation.groups.grouping.parse_by`.
        val: predictions of the same model on validation. They choose the one threshold of each
            finding and, without ``calibration``, fit one (Platt's). Without them there are no
            thresholds.
        columns: further columns to group by, (N,) each.
        rule: see :func:`~mlrfnet_mm.evaluation.thresholds.choose.choose_thresholds`.
        choose_on_test: choose thresholds on ``test`` itself; the tables say so.
        calibration: of the same model, in place of one fitted on ``val``.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
        progress: called when a finding of a grouping is done.

    Raises:
        ValueError: validation or calibration of another model, and columns that cannot be grouped
            by.
    """
    groupings = [group_by(test, column, columns) for column in by]
    names = [grouping.name for grouping in groupings]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f'--by names {repeated[0]!r} {names.count(repeated[0])} times')
    if val is not None:
        check_validation(test, val)
        if calibration is None:
            scale, bias = fit_calibration(val.scores, val.labels)
            calibration = Calibration(tuple(val.classes.tolist()), 'platt', scale, bias, val.stamp)
    thresholds, chosen = None, ''
    if val is not None or choose_on_test:
        source = test if val is None else val
        thresholds = choose_thresholds(source.scores, source.labels, rule)
        where = source.stamp + (' (the TEST set itself: optimistic)' if val is None else '')
        chosen = f'Thresholds by rule {rule}, chosen on {where}, the same for all groups.'
    probabilities, fitted = None, ''
    if calibration is not None:
        if list(calibration.classes) != test.classes.tolist():
            raise ValueError(
                f'classes differ: {test.classes.tolist()} and in the calibration '
                f'{list(calibration.classes)}'
            )
        probabilities = calibration.apply(test.scores)
        fitted = (
            f'Calibration: {calibration.method}, fitted on {calibration.stamp}, the same for all '
            'groups. Excess is mean probability minus observed share; Brier scores of groups that '
            'differ in how often the finding is there are not comparable.'
        )
    comparisons = compare_groups(
        test, groupings, thresholds, probabilities, replicates, seed, progress
    )
    return Subgroups(comparisons, subgroup_tables(comparisons, test.stamp, chosen, fitted))
