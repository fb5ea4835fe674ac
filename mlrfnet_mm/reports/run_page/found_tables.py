"""What other commands wrote into a work directory: tables by their CSV files, and pictures.

A CSV is read by its form alone (``x_low`` and ``x_high`` are the interval of ``x``, the stamp is in
every row), so a table that is new to :class:`~mlrfnet_mm.reports.output.tables.Table` needs a name
in ``TOPICS`` and nothing else.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlrfnet_mm.reports.output.page import Picture, Section
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.run_page.finished_run import TEST, VAL, Run

MOST_ROWS = 200  # of one table on a page
# What says where a table is from, in every row of its CSV: a note below it, not columns.
STAMP = (
    'dataset', 'protocol', 'split', 'images', 'studies', 'patients', 'replicates', 'seed', 'date',
    'predictions', 'val', 'against', 'sha256',
)  # fmt: skip


@dataclass(frozen=True)
class Topic:
    """A subject of a page: the files that it is read from and the command that writes them.

    Attributes:
        key: its name in a model card.
        title: of the section.
        names: of its CSV files without their suffix, as patterns of a shell.
        command: that writes them; ``{config}`` and ``{folder}`` are those of the run, ``{test}``
            and ``{val}`` its predictions.
    """

    key: str
    title: str
    names: tuple[str, ...]
    command: str

    def command_of(self, run: Run) -> str:
        """The command for a run."""
        config, folder = run.quoted()
        files = dict(test=f'{folder}/{TEST}', val=f'{folder}/{VAL}')
        return self.command.format(config=config, folder=folder, **files)

    def tables(self, run: Run) -> list[Path]:
        """Its CSV files in the folder of a run, in the order of ``names``."""
        return _matching(run.folder, (f'{name}.csv' for name in self.names))

    def pictures(self, run: Run) -> list[Path]:
        """Its PNG files, whose names begin as those of the tables."""
        return _matching(run.folder, (f'{name.rstrip("*")}*.png' for name in self.names))


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Files that match one of the patterns, each once."""
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Found:
    """What a run's folder has on a topic.

    Attributes:
        topic: the subject.
        tables: of the weights that the page is about.
        pictures: PNG files.
        stale: sentences on files that are of other weights.
    """

    topic: Topic
    tables: list[Table]
    pictures: list[Path]
    stale: list[str]

    def __bool__(self) -> bool:
        return bool(self.tables)


def find(run: Run, topic: Topic) -> Found:
    """Read the tables of a topic; those of other weights are named and not taken."""
    test = run.predictions[TEST]
    digest = test.checkpoint if test else ''
    tables, stale = [], []
    for path in topic.tables(run):
        rows = read_rows(path)
        of = str(rows[0].get('sha256') or '') if rows else ''
        if digest and of and of != digest:
            stale.append(
                f'{path.name} is of other weights (SHA-256 {of}…, those of {TEST} are {digest}…); '
                f'make it again with {topic.command_of(run)}'
            )
        else:
            tables.append(as_table(path, rows))
    pictures = topic.pictures(run) if tables else []
    return Found(topic, tables, pictures, stale)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file.

    Raises:
        ValueError: not such a file.
    """
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path} is not a CSV file: {error}') from error
    if bad := next((i for i, row in enumerate(rows, 2) if None in row or None in row.values()), 0):
        raise ValueError(f'{path}, line {bad}: not as many values as the header has names')
    return rows


def as_table(path: Path, rows: Sequence[Mapping[str, str]]) -> Table:
    """A table to print; what is one value in all rows, and the stamp, become a note."""
    names = list(rows[0]) if rows else []
    same = [key for key in names if len({row[key] for row in rows}) == 1]
    constant = [key for key in same if len(rows) > 1 or key in STAMP]
    stems = {
        f'{stem}_{end}': stem
        for stem in (name[:-4] for name in names if name.endswith('_low'))
        if f'{stem}_high' in names
        for end in ('low', 'high')
    }
    # in the order of the file; an interval without its value is a column of its own
    columns = dict.fromkeys(stems.get(key, key) for key in names if key not in constant)
    records: list[Record] = [{k: value(v) for k, v in row.items()} for row in rows]
    notes = [', '.join(f'{key} {rows[0][key]}' for key in constant if key not in stems)]
    printed = {key: key for key in columns}
    return Table(path.stem, f'From {path.name}', printed, records, [note for note in notes if note])


def cut(table: Table, most: int = MOST_ROWS) -> Table:
    """The first rows of a table, and a note where there are more."""
    n = len(table.records)
    if n <= most:
        return table
    note = f'The first {most} of {n:,} rows; {table.name}.csv has them all.'
    return replace(table, records=table.records[:most], notes=[*table.notes, note])


def value(text: str) -> str | int | float:
    """A CSV's number as a number, so that it is printed as in the other tables."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def topic_section(found: Found) -> Section:
    """The tables and pictures of a topic, and what of it is of other weights."""
    pictures = [Picture(path, path.stem.replace('_', ' ')) for path in found.pictures]
    tables = [cut(table) for table in found.tables]
    return Section(found.topic.title, [*found.stale, *tables, *pictures], folded=True)
