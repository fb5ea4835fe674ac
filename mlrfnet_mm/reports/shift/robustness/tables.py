"""AUC by kind and strength of degradation, and its difference to the clean images."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from mlrfnet_mm import NOTICE
from mlrfnet_mm.datasets.transforms.degradation import DEGRADATIONS
from mlrfnet_mm.evaluation import (
    Predictions,
    bootstrap_auc,
    mean_defined,
    mean_over_classes,
    percentile_interval,
    roc_auc,
    too_few_patients,
)
from mlrfnet_mm.evaluation.files.pairing import load_predictions, split_stamp
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.statistics import COUNTS, UNITS
from mlrfnet_mm.reports.shift.robustness.cells import CLEAN, Cell

MEAN, FINDINGS = 'robustness', 'robustness_findings'  # names of the tables and their CSV files
MIDDLE = 2  # of the five strengths, in the table of the findings


@dataclass(frozen=True)
class Robustness:
    """What was measured.

    Attributes:
        stamp: what it is based on.
        records: one per cell, the clean one first, of the mean over the findings.
        by_finding: one per cell and finding.
    """

    stamp: dict[str, str | int]
    records: list[Record]
    by_finding: list[Record]

    def tables(self) -> list[Table]:
        """The mean by cell, and the findings at the middle strengths."""
        return make_tables(self.records, self.by_finding, self.stamp)

    def write(self, folder: Path) -> list[Path]:
        """Write ``robustness.md``, and a CSV of each list of records, the stamp in its rows."""
        page = folder / f'{MEAN}.md'
        sections = [table.markdown() for table in self.tables()]
        write_text(page, '\n'.join(['# Robustness\n', f'{NOTICE}\n', *sections]))
        lists = {MEAN: self.records, FINDINGS: self.by_finding}
        tables = [Table(name, '', {}, records) for name, records in lists.items()]
        return [page, *(table.write_csv(folder, self.stamp) for table in tables)]


def measure(
    folder: Path,
    cells: Sequence[Cell],
    model: Mapping[str, str],
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> Robustness:
    """AUC of every cell, and its difference to the clean one in the same replicates.

    Args:
        folder: what :func:`~.cells.predict_cells` wrote into.
        cells: those that are taken, the clean one among them.
        model: stamp of the model.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
        progress: called when a cell is done.

    Raises:
        ValueError: cells of other images or labels; a finding of which none has an AUC.
    """
    clean = load_predictions(folder / CLEAN.file, 'auto')
    few = too_few_patients(clean.labels, clean.patients)
    base = _areas(clean, replicates, seed)
    if np.isnan(base[0]).all():
        raise ValueError(
            f'{clean.stamp}: no finding has both positive and negative labels, so that nothing can '
            'be computed'
        )
    records: list[Record] = []
    by_finding: list[Record] = []
    for cell in cells:
        found = base
        if cell.kind:
            predictions = load_predictions(folder / cell.file, 'auto')
            _check_same(clean, predictions, folder / cell.file)
            found = _areas(predictions, replicates, seed)
        for k, name in enumerate(clean.classes.tolist()):
            own = np.arange(len(few)) == k
            by_finding.append(dict(finding=name) | _record(cell, found, base, own, bool(few[k])))
        records.append(_record(cell, found, base, clean.in_mean))
        if progress:
            progress()
    stamp: dict[str, str | int] = dict(
        zip(('dataset', 'protocol', 'split'), split_stamp(clean.stamp), strict=True),
        **{UNITS[clean.unit]: len(clean.images)},
        patients=len(np.unique(clean.patients)),
        **model,
        replicates=replicates,
        seed=seed,
        date=date.today().isoformat(),
    )
    return Robustness(stamp, records, by_finding)


def _areas(predictions: Predictions, replicates: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(K,) AUCs and (R, K) replicates, which depend on patients and seed alone."""
    parts = predictions.scores, predictions.labels
    draws = bootstrap_auc(*parts, predictions.patients, replicates, seed)
    return roc_auc(*parts), draws


def _check_same(clean: Predictions, other: Predictions, path: Path) -> None:
    """Raise a ValueError where a cell is not of the clean one's images."""
    for what in ('images', 'patients', 'labels', 'classes'):
        one, two = getattr(clean, what), getattr(other, what)
        equal_nan = what == 'labels'
        if not np.array_equal(one, two, equal_nan=equal_nan):
            raise ValueError(f'{path}: its {what} are not those of {CLEAN.file}; remove both')


def _record(
    cell: Cell,
    found: tuple[np.ndarray, np.ndarray],
    base: tuple[np.ndarray, np.ndarray],
    findings: np.ndarray,
    no_interval: bool = False,
) -> Record:
    """Mean AUC over some findings (K,), and its difference to the clean images, with intervals."""
    values, draws = zip(*((a[findings], d[:, findings]) for a, d in (found, base)), strict=True)
    auc, clean = map(mean_defined, values)
    means, before = map(mean_over_classes, draws)
    measured = dict(auc=(auc, means))
    if cell.kind:
        measured['difference'] = auc - clean, means - before
    record: Record = dict(kind=cell.kind or 'clean', strength=cell.strength)
    for key, (value, replicates) in measured.items():
        low, high = (np.nan, np.nan) if no_interval else percentile_interval(replicates)
        record |= {key: float(value), f'{key}_low': float(low), f'{key}_high': float(high)}
    return record


def robustness_tables(folder: str | Path) -> list[Table]:
    """The tables of an earlier ``mlrfnet robustness``, from its CSV files.

    Every record holds the stamp too (``sha256``, ``replicates``, ``seed``, ``date`` …).

    Args:
        folder: of that command, by default ``robustness`` next to the checkpoint.

    Raises:
        FileNotFoundError: nothing was measured there.
        ValueError: another kind of table.
    """
    found = []
    for name in (MEAN, FINDINGS):
        path = Path(folder) / f'{name}.csv'
        with path.open(newline='', encoding='utf-8') as file:
            rows = [{k: _value(k, v) for k, v in row.items() if v} for row in csv.DictReader(file)]
        if not rows or not {'kind', 'strength', 'auc', 'sha256'} <= set(rows[0]):
            raise ValueError(f'{path} is not a table of mlrfnet robustness; make it again')
        found.append(rows)
    measured = {'kind', 'strength', 'finding'}
    numbers = {f'{key}{end}' for key in ('auc', 'difference') for end in ('', '_low', '_high')}
    stamp = {k: v for k, v in found[0][0].items() if k not in measured | numbers}
    return make_tables(found[0], found[1], stamp)  # type: ignore[arg-type]


def _value(key: str, text: str) -> str | int | float:
    if key in COUNTS or key == 'seed':
        return int(text)
    numeric = ('strength', 'auc', 'difference', 'auc_low', 'auc_high', 'difference_low',
               'difference_high')  # fmt: skip
    return float(text) if key in numeric else text


def make_tables(
    records: Sequence[Record], by_finding: Sequence[Record], stamp: Mapping[str, str | int]
) -> list[Table]:
    """Both tables; the records of the first keep what they hold.

    Args:
        records: see :class:`Robustness`.
        by_finding: see there.
        stamp: what they are based on.
    """
    on = f'{stamp["dataset"]} {stamp["protocol"]}/{stamp["split"]}'
    rows = [_said(record) | record for record in records]
    columns = {'degradation': 'degradation', 'strength': 'said', 'mean AUC': 'auc'}
    columns |= {'difference to clean': 'difference'}
    line = ', '.join(f'{k} {v:,}' if k in COUNTS else f'{k} {v}' for k, v in stamp.items())
    mean = Table(MEAN, f'{on}: mean AUC on degraded images', columns, rows, [INTERVALS, f'{line}.'])
    kinds = [kind for kind in DEGRADATIONS if any(r['kind'] == kind for r in by_finding)]
    return [mean, _findings_table(by_finding, kinds, on)]


INTERVALS = (
    'Nominal 95 % intervals by bootstrap over patients, each for itself; differences are paired: '
    'the same draws, the same images. The files themselves are degraded, before any resize; noise '
    "SNR: standard deviation of the image over the noise's; blur, translation and border: % of the "
    'side; contrast: factor about the mean; rotation and translation: direction by image name; '
    'resolution: both sides divided by the factor.'
)


def _said(record: Record) -> Record:
    if record['kind'] == 'clean':
        return dict(degradation='none', said='')
    kind = DEGRADATIONS[str(record['kind'])]
    return dict(degradation=kind.title, said=kind.say(float(record['strength'])))


def _findings_table(records: Sequence[Record], kinds: Sequence[str], on: str) -> Table:
    """Clean AUC of each finding, and the difference at the middle strength of each kind."""
    rows: dict[str, Record] = {}
    for record in records:
        kind, name = str(record['kind']), str(record['finding'])
        row = rows.setdefault(name, dict(finding=name))
        if kind == 'clean':
            row['clean'] = record['auc']
        elif record['strength'] == DEGRADATIONS[kind].strengths[MIDDLE]:
            row |= {f'{kind}{e}': record[f'difference{e}'] for e in ('', '_low', '_high')}
    columns = {'finding': 'finding', 'clean AUC': 'clean'}
    columns |= {DEGRADATIONS[kind].title: kind for kind in kinds}
    middle = {kind: DEGRADATIONS[kind] for kind in kinds}
    said = ', '.join(f'{d.title} {d.say(d.strengths[MIDDLE])}' for d in middle.values())
    notes = [
        f'Differences in AUC to the clean images at the middle strength: {said}. All strengths are '
        f'in {FINDINGS}.csv.'
    ]
    title = f'{on}: findings at the middle strengths'
    return Table(FINDINGS, title, columns, list(rows.values()), notes, wide=True)
