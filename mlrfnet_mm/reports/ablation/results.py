"""From the predictions of a table's runs to numbers with intervals.

Every row and seed is scored on the same test images, and every replicate of the bootstrap draws the
same patients for all of them. In a replicate a row's value is the mean over its seeds of the mean
AUC; the difference to the base row takes the seeds that both have. The intervals are those of
:mod:`mlrfnet_mm.evaluation.comparison.seeds`, over patients and seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.evaluation import (
    Predictions,
    bootstrap_auc,
    mean_defined,
    mean_over_classes,
    roc_auc,
)
from mlrfnet_mm.evaluation.comparison.seeds import over_seeds
from mlrfnet_mm.evaluation.files.pairing import aligned, load_predictions
from mlrfnet_mm.reports.ablation.plan import Plan, Row
from mlrfnet_mm.reports.ablation.runs import Run, finished, make_run
from mlrfnet_mm.reports.output.curves import last_course, read_scalars, training_losses


@dataclass(frozen=True)
class RowResult:
    """What the seeds of a row gave.

    Attributes:
        row: the row.
        seeds: those that are done, S of them.
        aucs: (S,) mean AUC of each.
        draws: (S, R) the same in each replicate.
        records: ``done.json`` of each.
        losses: epoch → training loss of each; empty where there is no log.
    """

    row: Row
    seeds: tuple[int, ...]
    aucs: np.ndarray
    draws: np.ndarray
    records: Sequence[dict[str, Any]]
    losses: Sequence[dict[int, float]]

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN if none is done."""
        return float(self.aucs.mean()) if self.seeds else float('nan')

    @property
    def sd(self) -> float:
        """Standard deviation over the seeds; NaN below two."""
        return float(self.aucs.std(ddof=1)) if len(self.seeds) > 1 else float('nan')

    @property
    def interval(self) -> np.ndarray:
        """(2,) ends of the nominal 95 % interval of the mean."""
        return over_seeds(self.aucs, self.draws).interval() if self.seeds else np.full(2, np.nan)

    def difference(self, base: 'RowResult') -> 'Difference':
        """This row minus the base, over the seeds that both have."""
        common = sorted(set(self.seeds) & set(base.seeds))
        if not common:
            return Difference(float('nan'), np.full(2, np.nan), float('nan'), 0)
        a, b = ([result.seeds.index(seed) for seed in common] for result in (self, base))
        gaps = self.aucs[a] - base.aucs[b]
        ends = over_seeds(gaps, self.draws[a] - base.draws[b]).interval()
        sd = float(gaps.std(ddof=1)) if len(gaps) > 1 else float('nan')
        return Difference(float(gaps.mean()), ends, sd, len(gaps))


@dataclass(frozen=True)
class Difference:
    """Of two rows.

    Attributes:
        mean: over the common seeds.
        ends: (2,) of the nominal 95 % interval; with one seed over patients only.
        sd: standard deviation of the seeds' paired differences; NaN below two.
        seeds: how many.
    """

    mean: float
    ends: np.ndarray
    sd: float
    seeds: int


@dataclass(frozen=True)
class Results:
    """All rows of a table; ``test`` is what they were scored on, None if nothing is done."""

    rows: Sequence[RowResult]
    test: Predictions | None
    notes: Sequence[str]


def collect(plan: Plan, seeds: Sequence[int], work: Path, replicates: int) -> Results:
    """Read what is done.

    Args:
        plan: the table.
        seeds: of the runs.
        work: folder of the runs.
        replicates: of the bootstrap by patient.

    Raises:
        ValueError: runs that were scored on different images or labels.
    """
    test: Predictions | None = None
    results, notes = [], []
    basis: list[str] = []  # of the first run: the others must have the same
    for row in plan.rows:
        runs = [make_run(row, seed, work) for seed in seeds]
        states = [finished(run) for run in runs]
        notes += [
            f'{run} is left out: it was run with another config ({other}).'
            for run, (_, other) in zip(runs, states, strict=True)
            if other
        ]
        done = [run for run, (is_done, _) in zip(runs, states, strict=True) if is_done]
        basis = basis or [_basis(run) for run in done][:1]
        notes += [
            f'{run} is left out: {_basis(run)}, where the first run has {basis[0]}.'
            for run in done
            if _basis(run) != basis[0]
        ]
        done = [run for run in done if _basis(run) == basis[0]]
        aucs, draws = [], []
        for run in done:
            predictions = read_scored(run.predictions)
            test = test or predictions
            try:
                predictions = aligned(test, predictions)
            except ValueError as error:
                raise ValueError(
                    f'{run} does not belong in one table with the rest: {error}'
                ) from error
            arrays = predictions.scores, predictions.labels
            aucs.append(mean_defined(roc_auc(*arrays)))
            draws.append(
                mean_over_classes(bootstrap_auc(*arrays, predictions.patients, replicates))
            )
        done_seeds = tuple(run.seed for run in done)
        records = [run.record('done') for run in done]
        losses = [
            read_losses(run.folder / run.record('done').get('taken_from', '')) for run in done
        ]
        results.append(RowResult(row, done_seeds, np.array(aucs), np.array(draws), records, losses))
    return Results(results, test, notes)


def _basis(run: Run) -> str:
    """What all runs of a table must share besides the test set, which is compared by image."""
    record = run.record('done')
    tables = ', '.join(f'{name} {part["tables"]}' for name, part in record['data'].items())
    return f'{record["processes"]} processes and label tables of digest {tables}'


def read_losses(folder: Path) -> dict[int, float]:
    """Epoch → training loss of a run; empty without a log, as where only results were kept."""
    try:
        return training_losses(last_course(read_scalars(folder))[0])
    except FileNotFoundError:
        return {}


def read_scored(path: Path) -> Predictions:
    """Read predictions as they are scored: per study if there are studies, the scored classes."""
    predictions = load_predictions(path)
    if predictions.studies is not None:
        predictions = predictions.per_study()
    kept = predictions.in_mean
    return Predictions(
        scores=predictions.scores[:, kept],
        labels=predictions.labels[:, kept],
        images=predictions.images,
        patients=predictions.patients,
        classes=predictions.classes[kept],
        stamp=predictions.stamp,
        unit=predictions.unit,
    )
