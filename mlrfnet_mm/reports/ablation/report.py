"""The table of a plan as Markdown, CSV and plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation.files.pairing import split_stamp
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.ablation.plan import Plan
from mlrfnet_mm.reports.ablation.plots import plot_forest, plot_lam, plot_losses
from mlrfnet_mm.reports.ablation.results import Results, RowResult, collect
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.paper import WHOLE

NOT_RUN = 'not run'
COLUMNS = {
    'row': 'label',
    'paper': 'paper',
    'ours (95 %)': 'ours',
    'sd': 'sd',
    'difference (95 %)': 'difference',
    'sd ': 'difference_sd',
    'seeds': 'seeds',
}


@dataclass(frozen=True)
class Report:
    """A written table."""

    table: Table
    paths: Sequence[Path]

    def text(self) -> str:
        """Lay out for a terminal."""
        return self.table.text(width=150)


def write_report(
    plan: Plan, seeds: Sequence[int], work: Path, out: Path, replicates: int = 1000
) -> Report:
    """Write ``<plan>.md``, ``<plan>.csv`` and the plots from what is done.

    Args:
        plan: the table.
        seeds: of the runs.
        work: folder of the runs.
        out: folder to write to.
        replicates: of the bootstrap by patient.

    Raises:
        ValueError: runs that must not be in one table.
    """
    results = collect(plan, seeds, work, replicates)
    base = results.rows[0]
    records = [_record(result, base, results) for result in results.rows]
    stamp = _stamp(results, replicates)
    table = Table(plan.name, plan.title, COLUMNS, records, _notes(results, stamp))
    out.mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    if results.test is not None:
        title = f'{plan.title}\n{results.test.stamp}, {stamp["test"]}'
        pictures = plot_forest(results.rows, title, out / plan.name)
        pictures += plot_losses(results.rows, plan.title, out / plan.name)
        swept = [result for result in results.rows if len(result.row.value) == 3]
        if any(result.seeds for result in swept):
            pictures += plot_lam(swept, title, out / plan.name)
    page = out / f'{plan.name}.md'
    write_text(page, _page(table, results, pictures))
    return Report(table, [page, table.write_csv(out, stamp), *pictures])


def _record(result: RowResult, base: RowResult, results: Results) -> Record:
    """One row of the table."""
    value = result.row.paper.get(_paper_key(results)) if results.test is not None else None
    paper: Record = dict(name=result.row.name, label=result.row.label)
    paper['paper'] = '—' if value is None else value
    if not result.seeds:
        return paper | dict(ours=NOT_RUN)
    low, high = result.interval
    record: Record = dict(ours=result.mean, ours_low=float(low), ours_high=float(high))
    record |= dict(sd=result.sd, seeds=' '.join(map(str, result.seeds)))
    record |= {
        f'seed_{seed}': float(auc) for seed, auc in zip(result.seeds, result.aucs, strict=True)
    }
    if result is not base and base.seeds:
        gap = result.difference(base)
        low, high = gap.ends
        record |= dict(difference=gap.mean, difference_low=float(low), difference_high=float(high))
        record |= dict(difference_sd=gap.sd)
    return paper | record


def _paper_key(results: Results) -> str:
    """Data set and protocol as the paper's values name them; '' on a part of the test set."""
    assert results.test is not None
    key = ' '.join(split_stamp(results.test.stamp)[:2])
    partial = any(record.get('partial_test') for row in results.rows for record in row.records)
    return '' if partial or len(results.test.images) != WHOLE.get(key) else key


def _stamp(results: Results, replicates: int) -> dict[str, str | int]:
    """What the numbers are based on."""
    if results.test is None:
        return {}
    records = [record for row in results.rows for record in row.records]

    def distinct(key: str) -> str:
        return ' '.join(sorted({str(record[key]) for record in records}))

    dates = sorted(record['finished'][:10] for record in records)
    dataset, protocol, split = split_stamp(results.test.stamp)
    unit = 'studies' if results.test.unit == 'study' else 'images'
    patients = len(np.unique(results.test.patients))
    sizes = {
        name: {record['data'][name]['items'] for record in records} for name in ('train', 'val')
    }
    size = {name: '/'.join(f'{n:,}' for n in sorted(values)) for name, values in sizes.items()}
    return dict(
        data=dataset,
        protocol=protocol,
        split=split,
        test=f'{len(results.test.images):,} {unit} of {patients:,} patients',
        training=f'{size["train"]} images, validation {size["val"]}, epochs {distinct("epochs")}',
        replicates=replicates,
        date=' to '.join(dict.fromkeys([dates[0], dates[-1]])),
        commit=distinct('commit') or 'unknown',
    )


def _notes(results: Results, stamp: dict[str, str | int]) -> list[str]:
    """What a reader must know."""
    if results.test is None:
        return ['No run of this table is done.', *results.notes]
    line = ', '.join(f'{key}: {value}' for key, value in stamp.items())
    notes = [f'{line}. Research use, not for diagnosis.']
    notes.append(
        f'Ours: mean AUC over {len(results.test.classes)} classes, mean over the seeds; sd: over '
        'the seeds; difference: to the first row, paired by seed, and its sd over the seeds. '
        'Nominal 95 % intervals over test patients and training seeds: variances of both added, '
        "Student's t."
    )
    if any(len(row.seeds) == 1 for row in results.rows):
        notes.append(
            'With one seed an interval is about the test patients only: nothing is known about '
            'other seeds, and no row is shown to be better than another.'
        )
    if not any(_paper_key(results) in row.row.paper for row in results.rows):
        notes.append(
            f'The paper has no value for {results.test.stamp} as tested here: its numbers hold for '
            'its data sets, protocols and whole test sets only.'
        )
    return [*notes, *results.notes]


def _page(table: Table, results: Results, pictures: Sequence[Path]) -> str:
    """Lay out the Markdown page: table, notes, commands, plots."""
    commands = dict.fromkeys(
        record['command'] for row in results.rows for record in row.records if record['command']
    )
    parts = [table.markdown().replace('## ', '# ', 1)]
    if commands:
        parts.append('Commands of the runs:\n\n```bash\n' + '\n'.join(commands) + '\n```\n')
    parts += [f'![{p.stem}]({p.name})\n' for p in pictures if p.suffix == '.png']
    return '\n'.join(parts)
