"""Two models on the same images: rates at their thresholds, and differences up to a margin."""

from collections.abc import Sequence

import numpy as np

from mlrfnet_mm.evaluation import (
    Predictions,
    bootstrap_auc,
    choose_thresholds,
    holm,
    mean_defined,
    mean_over_classes,
    roc_auc,
    too_few_patients,
)
from mlrfnet_mm.evaluation.comparison.margin import MarginTest, margin_test
from mlrfnet_mm.evaluation.comparison.mcnemar import LEAST_DISCORDANT, RATES, paired_rates
from mlrfnet_mm.evaluation.files.pairing import aligned, check_validation
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.comparison.power import power_table
from mlrfnet_mm.reports.scores.statistics import few_notes, mean_name, unit_note, with_interval


def comparison_tables(
    test: Predictions,
    against: Predictions | None = None,
    val: Predictions | None = None,
    against_val: Predictions | None = None,
    margin: float | None = None,
    power: bool = False,
    rule: str = 'youden',
    replicates: int = 1000,
    seed: int = 0,
) -> list[Table]:
    """What ``mlrfnet evaluate`` adds to its tables where it is asked for.

    Args:
        test: predictions to report.
        against: of a second model on the same images, in any order.
        val: of the first model on validation.
        against_val: of the second model on validation: adds :func:`rate_tables`.
        margin: adds :func:`margin_table`.
        power: adds :func:`~mlrfnet_mm.reports.scores.comparison.power.power_table`.
        rule: see :func:`~mlrfnet_mm.evaluation.choose_thresholds`.
        replicates: of the bootstrap by patient.
        seed: of what is drawn at random.

    Raises:
        ValueError: files that do not belong together, one that is missing.
    """
    tables = []
    if against_val is not None:
        if val is None or against is None:
            raise ValueError(
                '--against-val is of the second model: it needs the validation predictions of the '
                'first, --val, and the second model itself, --against'
            )
        tables += rate_tables(test, against, (val, against_val), rule, replicates, seed)
    if margin is not None:
        if against is None:
            raise ValueError('--margin is about the difference of two models: it needs --against')
        tables.append(margin_table(test, against, margin, replicates, seed))
    if power:
        tables.append(power_table(test, against, seed))
    return tables


def rate_tables(
    first: Predictions,
    second: Predictions,
    validations: Sequence[Predictions],
    rule: str = 'youden',
    replicates: int = 1000,
    seed: int = 0,
) -> list[Table]:
    """Sensitivity and specificity of two models, each at its own thresholds: a table of either.

    Args:
        first: predictions to report.
        second: of a second model on the same images, in any order.
        validations: of the two models, to choose their thresholds on.
        rule: see :func:`~mlrfnet_mm.evaluation.choose_thresholds`.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.

    Raises:
        ValueError: files that do not belong together.
    """
    second = aligned(first, second)
    for test, val in zip((first, second), validations, strict=True):
        check_validation(test, val)
    cuts = [choose_thresholds(val.scores, val.labels, rule) for val in validations]
    labels = np.where(np.isnan(cuts).any(0), np.nan, first.labels)
    called = first.scores >= cuts[0], second.scores >= cuts[1]
    found = paired_rates(called, labels, first.patients, first.in_mean, replicates, seed)
    tables = []
    for i, rate in enumerate(RATES):
        corrected = holm(found.p[:, i])
        records: list[Record] = []
        for k, name in enumerate(first.classes.tolist()):
            a, b = found.values[:, k, i]
            record: Record = dict(finding=name, rate=float(a), rate_against=float(b))
            record |= with_interval('difference', a - b, found.intervals[:, k, i])
            only = dict(zip(('only_first', 'only_second'), found.only[:, k, i], strict=True))
            record |= {key: int(count) for key, count in only.items()}
            record |= dict(p_rate=float(found.p[k, i]), p_rate_holm=float(corrected[k]))
            thresholds = dict(threshold=cuts[0][k], threshold_against=cuts[1][k])
            records.append(record | {key: float(cut) for key, cut in thresholds.items()})
        a, b = found.mean[:, i]
        mean: Record = dict(finding=mean_name(first, 'mean'), rate=float(a), rate_against=float(b))
        mean |= with_interval('difference', a - b, found.mean_interval[:, i])
        mean |= dict(p_rate=float(found.mean_p[i]))
        tested = int((~np.isnan(found.p[:, i])).sum())
        notes = [
            f'Thresholds by {rule}, of each model on its own {validations[0].stamp}, held fixed. '
            'Nominal 95 % intervals of the difference by paired bootstrap over patients (by '
            'simulation they cover 0.91 to 0.95, with 10 to 19 positive patients 0.86); p by '
            "McNemar's test clustered by patient (Obuchowski 1998), exact with fewer than "
            f'{LEAST_DISCORDANT} patients in whom the models differ; p of the mean by bootstrap. '
            f'Holm corrects over {tested} findings of this table. Only 1st, only 2nd: images that '
            'one model alone calls rightly.',
            *few_notes(first),
        ]
        columns = {
            'finding': 'finding',
            rate: 'rate',
            'against': 'rate_against',
            'difference': 'difference',
            'only 1st': 'only_first',
            'only 2nd': 'only_second',
            'p': 'p_rate',
            'p Holm': 'p_rate_holm',
        }
        title = f'{first.stamp}: {rate} against the second file{unit_note(first)}'
        tables.append(Table(f'{rate}_against', title, columns, [*records, mean], notes))
    return tables


def margin_table(
    first: Predictions,
    second: Predictions,
    margin: float,
    replicates: int = 1000,
    seed: int = 0,
) -> Table:
    """Whether the first model's AUCs are not inferior, or equivalent, up to a margin.

    Args:
        first: predictions to report.
        second: of a second model on the same images, in any order.
        margin: the largest difference of two AUCs that does not matter.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
    """
    second = aligned(first, second)
    gaps = bootstrap_auc(first.scores, first.labels, first.patients, replicates, seed)
    gaps -= bootstrap_auc(second.scores, second.labels, second.patients, replicates, seed)
    values = roc_auc(first.scores, first.labels) - roc_auc(second.scores, second.labels)
    mean = mean_defined(values[first.in_mean])
    draws = np.column_stack([gaps, mean_over_classes(gaps[:, first.in_mean])])
    draws[:, :-1][:, too_few_patients(first.labels, first.patients)] = np.nan
    notes = ['By simulation each bound holds in 0.93 to 0.96 of the test sets.', *few_notes(first)]
    tested = int((~np.isnan(draws[:, :-1]).all(0)).sum())
    if tested / (replicates + 1) > 0.05:
        notes.append(
            f'With {replicates:,} replicates no p is below {tested / (replicates + 1):.2g} after '
            f"Holm's correction: take --replicates {20 * tested:d} or more."
        )
    return lay_out_margins(first, np.append(values, mean), margin_test(draws, margin), notes)


def lay_out_margins(
    first: Predictions, values: np.ndarray, test: MarginTest, notes: Sequence[str]
) -> Table:
    """Lay out the tests of every class and of the mean, which is the last entry."""
    names = [*first.classes.tolist(), mean_name(first, 'mean')]
    tests = dict(p_above=test.p_above, p_inside=test.p_inside)
    shown = dict(not_inferior=test.not_inferior, equivalent=test.equivalent)
    records: list[Record] = []
    for k, name in enumerate(names):
        record: Record = dict(finding=name, margin=test.margin)
        record |= with_interval('difference', values[k], test.ends[:, k])
        said = not np.isnan(test.ends[:, k]).any()
        for key, verdict in shown.items():
            record[key] = ('shown' if verdict[k] else 'not shown') if said else '–'
        for key, p in tests.items():
            record[key] = float(p[k])
            if k < len(names) - 1:
                record[f'{key}_holm'] = float(holm(p[:-1])[k])
        records.append(record)
    lines = [
        f'Difference of AUCs, first less second model, with its 90 % interval: each end is a 95 % '
        f'one-sided bound. Non-inferior is shown where the lower end is above −{test.margin:g}, '
        f'equivalent where the whole interval is within ±{test.margin:g} (two one-sided tests), '
        'and p < 0.05. "Not shown" does not say that a model is worse. Each line stands for '
        'itself: a claim about all findings needs all of them shown, one about any of them Holm.',
        *notes,
    ]
    columns = {
        'finding': 'finding',
        'difference (90 %)': 'difference',
        'non-inferior': 'not_inferior',
        'p': 'p_above',
        'p Holm': 'p_above_holm',
        'equivalent': 'equivalent',
        'p TOST': 'p_inside',
        'Holm': 'p_inside_holm',
    }
    title = f'{first.stamp}: margin of {test.margin:g} in AUC{unit_note(first)}'
    return Table('margin', title, columns, records, lines)
