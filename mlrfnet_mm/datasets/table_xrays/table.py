"""A table of one's own, CSV or Parquet, as columns of text that know where they stand."""

import csv
import gzip
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

GZIP, PARQUET, ZIP = b'\x1f\x8b', b'PAR1', b'PK\x03\x04'
DELIMITERS = ',;\t'
CHUNK = 256  # rows


class Table(NamedTuple):
    """Columns of equal length.

    Attributes:
        path: of the file.
        columns: name → entries, as the file has them.
        lines: of each row in the file; in Parquet its number, from 1.
        unit: what ``lines`` counts, ``'line'`` or ``'row'``.
        digest: first 8 hexadecimal digits of the file's SHA-256.
    """

    path: Path
    columns: dict[str, list[str]]
    lines: Sequence[int]
    unit: str
    digest: str

    def where(self, row: int) -> str:
        """File and line of a row, to begin a message with."""
        return f'{self.path}, {self.unit} {self.lines[row]}'

    def column(self, name: str, argument: str) -> list[str]:
        """Return the entries of a column without spaces around them.

        Args:
            name: of the column.
            argument: that names it, for the error.

        Raises:
            ValueError: there is none.
        """
        if name not in self.columns:
            raise ValueError(
                f'{self.path}, {self.unit} 1: no column {name!r}, which {argument} names; its '
                f'columns are {", ".join(map(repr, self.columns))}: set {argument} to one of them'
            )
        return list(map(str.strip, self.columns[name]))


def read_table(path: Path) -> Table:
    """Read a table whole; its content, not its suffix, says whether it is Parquet, and gzip.

    CSV is UTF-8, with a header, separated by commas, semicolons or tabs: by what the header has
    most of. Empty lines are passed over. In Parquet null is blank, as NaN is.

    Raises:
        FileNotFoundError: no such file.
        ImportError: Parquet without the extra ``parquet``.
        ValueError: neither CSV nor Parquet, no row, a row of another width than the header, a
            column twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f'no table {path.absolute()}')
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    if content.startswith(ZIP):
        raise ValueError(f'{path}: a spreadsheet or an archive; save the table as CSV (UTF-8)')
    if content.startswith(PARQUET):
        names, columns = _read_parquet(path)
        lines: Sequence[int] = range(1, 1 + (len(columns[0]) if columns else 0))
        unit = 'row'
    else:
        names, columns, lines = _read_csv(path, content)
        unit = 'line'
    for name in names:
        if name and names.count(name) > 1:
            raise ValueError(f'{path}, {unit} 1: two columns {name!r}; rename or remove one')
    if not lines:
        raise ValueError(f'{path} has no row below its header; give a table with one row per image')
    return Table(path, dict(zip(names, columns, strict=True)), lines, unit, digest)


def _read_csv(path: Path, content: bytes) -> tuple[list[str], list[list[str]], list[int]]:
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ValueError(f'{path}: {error}; get the file again') from error
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        found = content[error.start : error.start + 1]
        raise ValueError(
            f'{path}, line {line}: the byte {found!r} is not UTF-8; save the table as UTF-8'
        ) from None
    first = text.partition('\n')[0]
    reader = csv.reader(
        io.StringIO(text, newline=''), delimiter=max(DELIMITERS, key=first.count), strict=True
    )
    rows: list[list[str]] = []  # of one chunk: columns of text cost no garbage collection
    lines: list[int] = []
    try:
        names = [name.strip() for name in next(reader, [])]
        columns: list[list[str]] = [[] for _ in names]
        for row in reader:
            if len(row) == len(names):
                rows.append(row)
                lines.append(reader.line_num)
                if len(rows) == CHUNK:
                    _move(rows, columns)
            elif row:
                raise ValueError(
                    f'{path}, line {reader.line_num}: {len(row)} fields in {",".join(row)!r}, the '
                    f'header has {len(names)}; correct the row'
                )
    except csv.Error as error:
        raise ValueError(f'{path}, line {reader.line_num}: {error}; correct it') from error
    _move(rows, columns)
    return names, columns, lines


def _move(rows: list[list[str]], columns: list[list[str]]) -> None:
    for column, entries in zip(columns, zip(*rows, strict=True), strict=False):
        column.extend(entries)
    rows.clear()


def _read_parquet(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ImportError(
            f"{path} is Parquet, which needs pip install 'mlrfnet-mm[parquet]': {error}"
        ) from error
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise ValueError(f'{path} is damaged Parquet: {error}; get the file again') from error
    columns = [
        ['' if value is None or value != value else str(value) for value in column.to_pylist()]
        for column in table.columns
    ]
    return [str(name).strip() for name in table.column_names], columns
