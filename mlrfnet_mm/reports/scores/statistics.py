"""Statistics of saved predictions: what ``mlrfnet evaluate`` prints and writes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation import (
    Predictions,
    average_precision,
    bootstrap_areas,
    bootstrap_p,
    delong_interval,
    delong_test,
    holm,
    mean_defined,
    mean_over_classes,
    operating_points,
    patient_counts,
    percentile_interval,
    roc_auc,
    too_few_patients,
)
from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS
from mlrfnet_mm.evaluation.files.pairing import aligned, check_validation, split_stamp
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.evaluation.thresholds.choose import METRICS
from mlrfnet_mm.reports.output.tables import Record, Table, in_markdown


@dataclass(frozen=True)
class Statistics:
    """Tables and the stamp that says what they are based on."""

    stamp: dict[str, str | int]
    tables: list[Table]

    def text(self) -> str:
        """Lay out for a terminal."""
        return '\n\n'.join([*(table.text() for table in self.tables), self._stamp_line()])

    def write(self, folder: str | Path) -> list[Path]:
        """Write ``statistics.md`` and one CSV per table; return their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / 'statistics.md'
        sections = [table.markdown() for table in self.tables]
        stamp = in_markdown(self._stamp_line())
        write_text(page, '\n'.join(['# Statistics\n', stamp + '\n', *sections]))
        return [page, *(table.write_csv(folder, self.stamp) for table in self.tables)]

    def _stamp_line(self) -> str:
        values = [f'{k} {v:,}' if k in COUNTS else f'{k} {v}' for k, v in self.stamp.items()]
        return ', '.join(values) + '. Research use, not for diagnosis.'


LEAST_REPLICATES = 100  # the ends of a 95 % interval lie on the third from outside
UNITS = dict(image='images', study='studies')
COUNTS = (*UNITS.values(), 'patients', 'replicates')


def evaluate_predictions(
    test: Predictions,
    val: Predictions | None = None,
    against: Predictions | None = None,
    rule: str = 'youden',
    choose_on_test: bool = False,
    replicates: int = 1000,
    seed: int = 0,
    files: Mapping[str, str] | None = None,
    progress: Callable[[], None] | None = None,
) -> Statistics:
    """AUC and average precision with intervals; thresholds and a second model if they are given.

    Args:
        test: predictions to report.
        val: predictions of the same model on validation, to choose thresholds on.
        against: predictions of a second model on the same images, in any order.
        rule: see :func:`~mlrfnet_mm.evaluation.thresholds.choose.choose_thresholds`.
        choose_on_test: choose thresholds on ``test`` itself; the table says so.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap; all tables use the same replicates.
        files: names of the files, for the stamp.
        progress: called when the bootstrap of a class of one of the models is done.

    Raises:
        ValueError: files that do not belong together, too few replicates, and
            predictions in which no AUC is defined.
    """
    if replicates < LEAST_REPLICATES:
        raise ValueError(f'replicates must be at least {LEAST_REPLICATES}, got {replicates}')
    if np.isnan(roc_auc(test.scores, test.labels)).all():
        raise ValueError(
            f'{test.stamp}: no finding has both positive and negative labels, so that nothing can '
            'be computed'
        )
    if not np.ptp(test.scores, axis=0).any():
        raise ValueError(
            f'{test.stamp}: each finding has one and the same score in all images, so that nothing '
            'can be computed'
        )
    shared = check_validation(test, val) if val is not None else 0
    if against is not None:
        against = aligned(test, against)
    draws = bootstrap_areas(test.scores, test.labels, test.patients, replicates, seed, progress)
    tables = [_auc_table(test, *draws)]
    if val is not None or choose_on_test:
        tables.append(_threshold_table(test, val, rule, choose_on_test, replicates, seed))
        if shared:
            note = f'{shared:,} patients of the test set are in validation too, by other images.'
            tables[-1].notes = [*tables[-1].notes, note]
    if against is not None:
        tables.append(_paired_table(test, against, draws[0], replicates, seed, progress))
    stamp: dict[str, str | int] = dict(
        zip(('dataset', 'protocol', 'split'), split_stamp(test.stamp), strict=True),
        **{UNITS[test.unit]: len(test.images)},
        patients=len(np.unique(test.patients)),
        replicates=replicates,
        seed=seed,
        date=date.today().isoformat(),
        **(files or {}),
        **({'sha256': test.checkpoint} if test.checkpoint else {}),
    )
    return Statistics(stamp, tables)


def _auc_table(test: Predictions, auc_draws: np.ndarray, ap_draws: np.ndarray) -> Table:
    """AUC with both intervals, average precision, labels and positives."""
    aucs, aps = roc_auc(test.scores, test.labels), average_precision(test.scores, test.labels)
    auc_ends, ap_ends = percentile_interval(auc_draws), percentile_interval(ap_draws)
    delong = delong_interval(test.scores, test.labels, test.patients)
    few = too_few_patients(test.labels, test.patients)
    for ends in (auc_ends, ap_ends, delong):
        ends[:, few] = np.nan
    with_positive, _ = patient_counts(test.labels, test.patients)
    lost = np.isnan(auc_draws).sum(0)
    records: list[Record] = []
    for k, name in enumerate(test.classes.tolist()):
        y = test.labels[:, k]
        records.append(
            dict(finding=name, n=int((~np.isnan(y)).sum()), positives=int(np.nansum(y)))
            | dict(positive_patients=int(with_positive[k]))
            | with_interval('auc', aucs[k], auc_ends[:, k])
            | dict(delong_low=float(delong[0, k]), delong_high=float(delong[1, k]))
            | with_interval('ap', aps[k], ap_ends[:, k])
            | dict(one_sided_replicates=int(lost[k]))
        )
    mean: Record = dict(finding=mean_name(test, 'mean'))
    for key, values, draws in (('auc', aucs, auc_draws), ('ap', aps, ap_draws)):
        ends = percentile_interval(mean_over_classes(draws[:, test.in_mean]))
        mean |= with_interval(key, mean_defined(values[test.in_mean]), ends)
    notes = [
        'Nominal 95 % intervals: by bootstrap over patients (percentiles), and by DeLong (normal), '
        'clustered by patient (Obuchowski 1997). By simulation they cover 0.93 to 0.95, with 10 to '
        '19 positive patients about 0.89.',
        *_undefined_notes(test, aucs, lost, len(auc_draws)),
        *few_notes(test),
    ]
    rare = test.classes[(np.nansum(test.labels, 0) < 50) & ~few & ~np.isnan(aucs)]
    if len(rare):
        notes.append(f'Fewer than 50 positives, AP interval too narrow: {", ".join(rare)}.')
    columns = {
        'finding': 'finding',
        'n': 'n',
        'positives': 'positives',
        'of patients': 'positive_patients',
        'AUC (bootstrap)': 'auc',
        'DeLong': 'delong',
        'AP (bootstrap)': 'ap',
    }
    title = f'{test.stamp}: AUC and average precision{unit_note(test)}'
    return Table('auc', title, columns, [*records, mean], notes)


def _undefined_notes(
    test: Predictions, aucs: np.ndarray, lost: np.ndarray, replicates: int
) -> Iterable[str]:
    """Name what is left out, and where."""
    undefined = test.classes[np.isnan(aucs)].tolist()
    constant = test.classes[np.ptp(test.scores, axis=0) == 0].tolist()
    if constant:
        yield f'One score for all images, so that an AUC says nothing: {", ".join(constant)}.'
    if undefined:
        yield f'Undefined (one label value only), left out of the mean: {", ".join(undefined)}.'
    partly = np.flatnonzero((lost > 0) & ~np.isnan(aucs))
    if len(partly):
        each = ', '.join(f'{test.classes[k]} {lost[k]:,}' for k in partly)
        yield (
            f'Replicates (of {replicates:,}) with one label value only, left out of the interval '
            f'of the class and of their mean over classes: {each}.'
        )


def few_notes(test: Predictions) -> Iterable[str]:
    """Name the classes that get no interval and no test."""
    few = too_few_patients(test.labels, test.patients)
    few &= ~np.isnan(roc_auc(test.scores, test.labels))
    if few.any():
        yield (
            f'No interval and no test with fewer than {LEAST_PATIENTS} positive or negative '
            f'patients: {", ".join(test.classes[few].tolist())}.'
        )


def _threshold_table(
    test: Predictions,
    val: Predictions | None,
    rule: str,
    choose_on_test: bool,
    replicates: int,
    seed: int,
) -> Table:
    """Table 7: metrics at chosen thresholds and their macro averages."""
    points = operating_points(test, val, rule, choose_on_test, replicates, seed)
    chosen: Record = dict(rule=points.rule, chosen_on=points.chosen_on)
    records: list[Record] = []
    for k, name in enumerate(test.classes.tolist()):
        record: Record = dict(finding=name, threshold=float(points.thresholds[k]))
        for i, metric in enumerate(METRICS):
            record |= with_interval(metric, points.values[k, i], points.intervals[:, k, i])
        records.append(record | chosen)
    macro: Record = dict(finding=mean_name(test, 'macro average'))
    for i, metric in enumerate(METRICS):
        macro |= with_interval(metric, points.macro[i], points.macro_interval[:, i])
    defined = (~np.isnan(points.values[test.in_mean])).sum(0)
    notes = [
        "Nominal 95 % intervals by bootstrap over patients, thresholds held fixed; Wilson's over "
        'patients where all replicates agree. Thresholds apply to scores per '
        f'{test.unit}.',
        *few_notes(test),
    ]
    if defined.min() < test.in_mean.sum():
        each = ', '.join(f'{m} {n}' for m, n in zip(METRICS, defined, strict=True))
        notes.append(
            f'Macro averages are over the defined of {test.in_mean.sum()} classes: {each}.'
        )
    columns = {'finding': 'finding', 'threshold': 'threshold', **{m: m for m in METRICS}}
    title = f'{test.stamp}: thresholds by {points.rule}, chosen on {points.chosen_on}'
    title += unit_note(test)
    return Table('thresholds', title, columns, [*records, macro | chosen], notes, wide=True)


def _paired_table(
    first: Predictions,
    second: Predictions,
    draws: np.ndarray,
    replicates: int,
    seed: int,
    progress: Callable[[], None] | None,
) -> Table:
    """Differences of two models' AUCs on the same images and the same replicates."""
    aucs = [roc_auc(p.scores, p.labels) for p in (first, second)]
    parts = second.scores, second.labels, second.patients
    others, _ = bootstrap_areas(*parts, replicates, seed, progress)
    gaps = draws - others
    ends, p_bootstrap = percentile_interval(gaps), bootstrap_p(gaps)
    p_delong = delong_test(first.scores, second.scores, first.labels, first.patients)
    few = too_few_patients(first.labels, first.patients)
    ends[:, few] = p_bootstrap[few] = p_delong[few] = np.nan
    tests = dict(
        p_bootstrap=p_bootstrap,
        p_bootstrap_holm=holm(p_bootstrap),
        p_delong=p_delong,
        p_delong_holm=holm(p_delong),
    )
    records: list[Record] = []
    for k, name in enumerate(first.classes.tolist()):
        a, b = float(aucs[0][k]), float(aucs[1][k])
        record: Record = dict(finding=name, auc=a, auc_against=b)
        record |= with_interval('difference', a - b, ends[:, k])
        records.append(record | {key: float(p[k]) for key, p in tests.items()})
    means = mean_over_classes(gaps[:, first.in_mean])
    a, b = (mean_defined(values[first.in_mean]) for values in aucs)
    mean: Record = dict(finding=mean_name(first, 'mean'), auc=a, auc_against=b)
    mean |= with_interval('difference', a - b, percentile_interval(means))
    mean |= dict(p_bootstrap=float(bootstrap_p(means)))
    counts = [int((~np.isnan(p)).sum()) for p in (p_bootstrap, p_delong)]
    least = 2 / (replicates + 1)
    notes = [
        'Nominal 95 % intervals and p by paired bootstrap over patients (least p '
        f'{least:.2g}); p by paired DeLong, clustered by patient (Obuchowski 1997). Holm corrects '
        f'over {counts[0]} findings (DeLong: {counts[1]}); the mean is not one of them.',
        *few_notes(first),
    ]
    if counts[0] * least > 0.05:
        notes.append(
            f'With {replicates:,} replicates no bootstrap p is below {counts[0] * least:.2g} after '
            "Holm's correction: take DeLong's, or "
            f'--replicates {int(np.ceil(counts[0] * 2 / 0.005)):d}.'
        )
    columns = {
        'finding': 'finding',
        'AUC': 'auc',
        'against': 'auc_against',
        'difference': 'difference',
        'p': 'p_bootstrap',
        'p Holm': 'p_bootstrap_holm',
        'p DeLong': 'p_delong',
        'Holm': 'p_delong_holm',
    }
    title = f'{first.stamp}: AUC against the second file{unit_note(first)}'
    return Table('against', title, columns, [*records, mean], notes)


def unit_note(predictions: Predictions) -> str:
    """What the title says of rows that are studies."""
    return ', per study (maximum over its images)' if predictions.unit == 'study' else ''


def mean_name(predictions: Predictions, name: str) -> str:
    """``'mean'``, or where a data set scores some classes only, ``'mean of the 5 scored'``."""
    counted = predictions.in_mean
    return name if counted.all() else f'{name} of the {counted.sum()} scored'


def with_interval(key: str, value: float, ends: np.ndarray) -> Record:
    """Record of a value and its interval."""
    return {key: float(value), f'{key}_low': float(ends[0]), f'{key}_high': float(ends[1])}
