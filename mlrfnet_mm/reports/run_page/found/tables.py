"""What other commands wrote into a work directory: tables by their CSV files, and pictures.

A CSV is read by its form alone (``x_low`` and ``x_high`` are the interval of ``x``, the stamp is in
every row), so a table that is new to :class:`~mlrfnet_mm.reports.output.tables.Table` needs a name
in ``TOPICS`` and nothing else.
"""

import csv
from collections.abc import Collection, Mapping, Sequence
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
        names: of its CSV files in the run's folder, without suffix, as patterns of a shell.
        command: that writes them; ``{config}`` and ``{folder}`` are those of the run, ``{test}``
            and ``{val}`` its predictions.
        pictures: patterns of its PNG files, without suffix.
        pages: patterns of pages of its own, which are named.
        left_out: columns that are not shown.
        cases: whether a row is one image: a card, which may be published, counts them only.
    """

    key: str
    title: str
    names: tuple[str, ...]
    command: str
    pictures: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    cases: bool = False

    def command_of(self, run: Run) -> str:
        """The command for a run."""
        config, folder = run.quoted()
        files = dict(test=f'{folder}/{TEST}', val=f'{folder}/{VAL}')
        return self.command.format(config=config, folder=folder, **files)


def _matching(folder: Path, names: Sequence[str], suffix: str = '') -> list[Path]:
    """Files that match one of the patterns, each once."""
    found = [path for name in names for path in sorted(folder.glob(f'{name}{suffix}'))]
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Found:
    """What a run's folder has on a topic.

    Attributes:
        topic: the subject.
        tables: of the weights that the page is about.
        pictures: PNG files.
        pages: files with more.
        stale: sentences on files that are of other weights.
    """

    topic: Topic
    tables: list[Table]
    pictures: list[Path]
    pages: list[Path]
    stale: list[str]

    def __bool__(self) -> bool:
        return bool(self.tables)


def find(run: Run, topic: Topic) -> Found:
    """Read the tables of a topic; those of other weights are named and not taken."""
    test = run.predictions[TEST]
    digest = test.checkpoint if test else ''
    tables, stale = [], []
    for path in _matching(run.folder, topic.names, '.csv'):
        rows = read_rows(path)
        name = path.relative_to(run.folder).as_posix()
        of = str(rows[0].get('sha256') or '') if rows else ''
        if digest and of and of != digest:
            stale.append(
                f'{name} is of other weights (SHA-256 {of}…, those of {TEST} are {digest}…); '
                f'make it again with {topic.command_of(run)}'
            )
        else:
            tables.append(as_table(name.removesuffix('.csv'), rows, topic.left_out))
    if not tables:
        return Found(topic, [], [], [], stale)
    pictures = _matching(run.folder, topic.pictures, '.png')
    pages = [path.relative_to(run.folder) for path in _matching(run.folder, topic.pages)]
    return Found(topic, tables, pictures, pages, stale)


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


def as_table(name: str, rows: Sequence[Mapping[str, str]], left_out: Collection[str] = ()) -> Table:
    """A table to print; what is one value in all rows, and the stamp, become a note.

    Args:
        name: of the file, without suffix.
        rows: of the file.
        left_out: columns that are not taken.
    """
    names = [key for key in rows[0] if key not in left_out] if rows else []
    same = [key for key in names if len({row[key] for row in rows}) == 1]
    constant = [key for key in same if len(rows) > 1 or key.removeprefix('stamp_') in STAMP]
    stems = {
        f'{stem}_{end}': stem
        for stem in (key[:-4] for key in names if key.endswith('_low'))
        if f'{stem}_high' in names
        for end in ('low', 'high')
    }
    # in the order of the file; an interval without its value is a column of its own
    columns = dict.fromkeys(stems.get(key, key) for key in names if key not in constant)
    records: list[Record] = [{key: value(row[key]) for key in names} for row in rows]
    notes = [', '.join(f'{key} {rows[0][key]}' for key in constant if key not in stems)]
    printed = {key: key for key in columns}
    return Table(name, f'From {name}.csv', printed, records, [note for note in notes if note])


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


def topic_section(found: Found, most: int = MOST_ROWS) -> Section:
    """The tables and pictures of a topic, and what of it is of other weights.

    Args:
        found: what there is.
        most: rows that are shown of a table.
    """
    pictures = [Picture(path, path.stem.replace('_', ' ')) for path in found.pictures]
    tables = [cut(table, most) for table in found.tables]
    pages = [f'More in {path}.' for path in found.pages]
    return Section(found.topic.title, [*found.stale, *tables, *pages, *pictures], folded=True)
