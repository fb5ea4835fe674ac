"""Who is in which split of a run's data, from the tables that its config names."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mlrfnet_mm.reports.audit.labels import prevalence
from mlrfnet_mm.reports.audit.rows import Split, read_splits
from mlrfnet_mm.reports.audit.splits import count_splits, describe_people, find_common
from mlrfnet_mm.reports.output.tables import Table
from mlrfnet_mm.reports.run_page.finished_run import Run


@dataclass
class Partitions:
    """The splits of a run.

    Attributes:
        splits: one per data set of its loaders; none where they could not be read.
        tables: counts, what two splits have in common, findings, sex, age and view.
        reason: why they could not be read.
    """

    splits: list[Split] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    reason: str = ''

    def counts(self) -> str:
        """Images and patients of each split."""
        return '; '.join(
            f'{split.part} {len(split.paths):,} images of {_patients(split):,} patients'
            for split in self.splits
        )

    def common(self) -> str:
        """Patients that two splits have in common; empty where no two are comparable."""
        table = next((table for table in self.tables if table.name == 'common'), None)
        return '; '.join(f'{r["pair"]}: {r["patients"]}' for r in (table.records if table else ()))

    def people(self) -> str:
        """Which of sex, age and view are known, in the words of the tables."""
        names = [table.title for table in self.tables if table.name in ('sex', 'age', 'view')]
        return ', '.join(name[0].lower() + name[1:] for name in names)

    def unknown(self) -> str:
        """How many labels, and entries of sex, age and view, are not known."""
        return '; '.join(
            f'{split.part}: {", ".join(gaps) or "nothing"}'
            for split in self.splits
            for gaps in [[f'{n:,} {what}' for what, n in _unknown(split) if n]]
        )


def _patients(split: Split) -> int:
    return len(set(split.patients) - {''})


def _unknown(split: Split) -> Iterator[tuple[str, int]]:
    yield 'labels', int(np.isnan(split.labels).sum())
    for what, values in (('sex', split.sexes), ('view', split.views), ('patient', split.patients)):
        yield what, sum(value == '' for value in values)
    yield 'age', int(np.isnan(split.ages).sum())


def read_partitions(run: Run) -> Partitions:
    """Read the tables of a run's data; no image is opened."""
    if run.config is None:
        return Partitions(reason='no config of a training in the folder')
    try:
        splits, problems = read_splits(run.config)
    except (FileNotFoundError, ValueError) as error:
        return Partitions(reason=' '.join(str(error).split()))
    if problems:
        return Partitions(reason='; '.join(problem.value for problem in problems))
    common, _ = find_common(splits)
    nameless = {split.part for split in splits if not any(split.patients)}
    for record in common.records:
        if nameless & set(str(record['pair']).split(', ')):
            record['patients'] = 'not known'  # and not 0
    tables = [count_splits(splits), common, prevalence(splits), *describe_people(splits)]
    return Partitions(splits, tables)
