"""Two models of several prediction files each: what ``mlrfnet compare`` prints and writes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np

from mlrfnet_mm.evaluation import (
    Predictions,
    bootstrap_auc,
    holm,
    mean_defined,
    mean_over_classes,
    roc_auc,
    too_few_patients,
)
from mlrfnet_mm.evaluation.comparison.margin import MarginTest, check_margin
from mlrfnet_mm.evaluation.comparison.seeds import TwoLevel, difference_over_seeds, over_seeds
from mlrfnet_mm.evaluation.files.pairing import aligned, split_stamp
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.comparison.two_models import lay_out_margins
from mlrfnet_mm.reports.scores.statistics import (
    LEAST_REPLICATES,
    UNITS,
    Statistics,
    few_notes,
    mean_name,
    unit_note,
    with_interval,
)


def compare_models(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    paired: bool = False,
    margin: float | None = None,
    replicates: int = 1000,
    seed: int = 0,
    files: Mapping[str, str] | None = None,
    progress: Callable[[], None] | None = None,
) -> Statistics:
    """AUCs of two models over their seeds or readers, and the difference.

    Args:
        first: predictions of one model, a file per seed or reader.
        second: of another, of the same images; these may be in any order.
        paired: the i-th files of both belong together, as those of one reader do.
        margin: adds whether the first model is not inferior, or equivalent.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
        files: names of the files, for the stamp.
        progress: called when a file is done.

    Raises:
        ValueError: files that do not belong together, one that is there twice, one file each.
    """
    if replicates < LEAST_REPLICATES:
        raise ValueError(f'replicates must be at least {LEAST_REPLICATES}, got {replicates}')
    if margin is not None:
        check_margin(margin)
    if max(len(first), len(second)) < 2:
        raise ValueError(
            'one file of either model: mlrfnet evaluate A.npz --against B.npz compares them; '
            'several seeds or readers are needed here'
        )
    test, models = first[0], _in_one_order(first, second)
    values, draws = [], []
    for model in models:
        parts = [_areas(predictions, replicates, seed, progress) for predictions in model]
        values.append(np.stack([areas for areas, _ in parts]))  # (S, K + 1)
        draws.append(np.stack([drawn for _, drawn in parts]))  # (S, R, K + 1)
    if np.isnan(values[0][0]).all():
        raise ValueError(f'{test.stamp}: no finding has both positive and negative labels')
    few = np.append(too_few_patients(test.labels, test.patients), False)
    columns = range(len(test.classes) + 1)
    each = [
        [over_seeds(v[:, k], d[..., k]) for k in columns]
        for v, d in zip(values, draws, strict=True)
    ]
    gaps = [
        difference_over_seeds(
            (values[0][:, k], values[1][:, k]), (draws[0][..., k], draws[1][..., k]), paired
        )
        for k in columns
    ]
    tables = [_table(test, each, gaps, few, (len(first), len(second)), paired)]
    if margin is not None:
        tables.append(_margins(test, gaps, few, margin))
    stamp: dict[str, str | int] = dict(
        zip(('dataset', 'protocol', 'split'), split_stamp(test.stamp), strict=True),
        **{UNITS[test.unit]: len(test.images)},
        patients=len(np.unique(test.patients)),
        replicates=replicates,
        seed=seed,
        date=date.today().isoformat(),
        **(files or {}),
    )
    return Statistics(stamp, tables)


def _in_one_order(
    first: Sequence[Predictions], second: Sequence[Predictions]
) -> list[list[Predictions]]:
    """Both models' predictions, of the first file's images in its order."""
    test = first[0]
    seen: list[tuple[str, np.ndarray]] = []
    models: list[list[Predictions]] = []
    for name, model in (('a', first), ('b', second)):
        models.append([])
        for i, predictions in enumerate(model, 1):
            try:
                models[-1].append(aligned(test, predictions))
            except ValueError as error:
                raise ValueError(f'file {i} of {name}: {error}') from error
            scores = models[-1][-1].scores
            for other, known in seen:
                if np.array_equal(scores, known):
                    raise ValueError(
                        f'file {i} of {name} has the same scores as {other}: a run would count '
                        'twice; give each prediction file once'
                    )
            seen.append((f'file {i} of {name}', scores))
    return models


def _areas(
    predictions: Predictions, replicates: int, seed: int, progress: Callable[[], None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """AUCs (K + 1,), the last their mean, and their replicates (R, K + 1)."""
    parts = predictions.scores, predictions.labels
    aucs, kept = roc_auc(*parts), predictions.in_mean
    drawn = bootstrap_auc(*parts, predictions.patients, replicates, seed)
    if progress:
        progress()
    mean = mean_over_classes(drawn[:, kept])
    return np.append(aucs, mean_defined(aucs[kept])), np.column_stack([drawn, mean])


def _table(
    test: Predictions,
    each: Sequence[Sequence[TwoLevel]],
    gaps: Sequence[TwoLevel],
    few: np.ndarray,
    counts: tuple[int, int],
    paired: bool,
) -> Table:
    """AUCs of both models, their differences, p-values."""
    p = np.array([np.nan if few[k] else gap.p() for k, gap in enumerate(gaps)])
    corrected = holm(p[:-1])
    names = [*test.classes.tolist(), mean_name(test, 'mean')]
    records: list[Record] = []
    for k, name in enumerate(names):
        record: Record = dict(finding=name)
        for key, model in (('auc', each[0][k]), ('auc_against', each[1][k]), ('gap', gaps[k])):
            ends = np.full(2, np.nan) if few[k] else model.interval()
            least = -1 if key == 'gap' else 0
            record |= with_interval(key, model.mean, ends.clip(least, 1))
        record |= dict(p_seeds=float(p[k]))
        if k < len(corrected):
            record |= dict(p_seeds_holm=float(corrected[k]))
        records.append(record | dict(files=counts[0], files_against=counts[1]))
    single = [f'model {name}' for name, n in zip('AB', counts, strict=True) if n < 2]
    of_seeds = 'of their paired differences' if paired else 'of both models'
    notes = [
        f'Means over {counts[0]} files of A and {counts[1]} of B, seeds or readers. Nominal 95 % '
        'intervals over patients and files: the variance of the bootstrap over patients plus that '
        f"{of_seeds} over the files, Student's t (Welch, Satterthwaite); by simulation they cover "
        f'0.96 to 0.99. Holm corrects over {int((~np.isnan(p[:-1])).sum())} findings; the mean is '
        'not one of them.',
        *few_notes(test),
    ]
    if single:
        notes.append(f'{single[0]} is one file: what is said of it holds for this file only.')
    columns = {
        'finding': 'finding',
        'A': 'auc',
        'B': 'auc_against',
        'A − B': 'gap',
        'p': 'p_seeds',
        'p Holm': 'p_seeds_holm',
    }
    title = f'{test.stamp}: AUC of two models over their files{unit_note(test)}'
    return Table('compare', title, columns, records, notes)


def _margins(test: Predictions, gaps: Sequence[TwoLevel], few: np.ndarray, margin: float) -> Table:
    """Non-inferiority and equivalence of every class and of the mean."""
    tests = [gap.margin_test(margin) for gap in gaps]
    ends = np.stack([one.ends for one in tests], -1)
    ends[:, few] = np.nan
    above, below = (
        np.where(few, np.nan, [getattr(one, side) for one in tests])
        for side in ('p_above', 'p_below')
    )
    values = np.array([gap.mean for gap in gaps])
    together = MarginTest(ends, above, below, margin)
    return lay_out_margins(test, values, together, list(few_notes(test)))
