"""One table of numbers as text, Markdown and CSV."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mlrfnet_mm.evaluation.files.whole_files import replacing

Record = dict[str, str | int | float]
FORMULA = tuple('=+-@\t\r')


@dataclass
class Table:
    """Numbers and how to print them.

    Attributes:
        name: of its CSV file.
        title: above it.
        columns: header → key of the records. Where ``key_low`` and ``key_high`` are in a record,
            they are printed as the interval behind the value.
        records: one per row, full precision; what the CSV holds.
        notes: sentences below it.
        wide: print the interval below the value, not next to it, in text.
    """

    name: str
    title: str
    columns: dict[str, str]
    records: list[Record] = field(default_factory=list)
    notes: Sequence[str] = ()
    wide: bool = False

    def rows(self) -> list[list[str]]:
        """Format the printed cells."""
        return [[cell(record, key) for key in self.columns.values()] for record in self.records]

    def text_columns(self) -> set[int]:
        """Columns of words, which are set to the left as the first one; numbers to the right."""
        return {
            i
            for row in self.rows()
            for i, cell in enumerate(row)
            if re.match(r"[^\W\d]|['\"(\[]", cell)
        }

    def text(self, width: int = 120) -> str:
        """Lay out for a terminal."""
        table = RichTable(title=Text(self.title), title_justify='left', box=SIMPLE_HEAD)
        for i, header in enumerate(self.columns):
            table.add_column(Text(header), justify='right' if i else 'left', no_wrap=True)
        for row in self.rows():
            shown = (c.replace(' (', '\n').rstrip(')') if self.wide else c for c in row)
            table.add_row(*map(Text, shown))
        out = StringIO()
        console = Console(file=out, width=width, highlight=False)
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False)
        return '\n'.join(line.rstrip() for line in out.getvalue().splitlines())

    def markdown(self) -> str:
        """Lay out as a section with a pipe table."""
        words = {0, *self.text_columns()}
        rule = ['---' if i in words else '---:' for i in range(len(self.columns))]
        cells = [[in_markdown(c) for c in row] for row in [list(self.columns), *self.rows()]]
        cells.insert(1, rule)
        lines = [f'| {" | ".join(row)} |' for row in cells]
        notes = [in_markdown(note) for note in self.notes]
        return '\n\n'.join([f'## {in_markdown(self.title)}', '\n'.join(lines), *notes]) + '\n'

    def write_csv(self, folder: Path, stamp: Mapping[str, str | int]) -> Path:
        """Write full precision, with the stamp in every row: a row copied out keeps its origin.

        What the records have under a name of the stamp stays; the stamp's is then ``stamp_NAME``.
        """
        path = folder / f'{self.name}.csv'
        keys = list(dict.fromkeys(key for record in self.records for key in record))
        stamp = {f'stamp_{k}' if k in keys else k: v for k, v in stamp.items()}
        with replacing(path) as part, part.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, [*keys, *stamp], restval='')
            writer.writeheader()
            writer.writerows(
                {key: in_csv(value) for key, value in {**record, **stamp}.items()}
                for record in self.records
            )
        return path


def in_csv(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula, with an apostrophe before it.

    >>> in_csv('=cmd()'), in_csv('Edema'), in_csv(-0.5)
    ("'=cmd()", 'Edema', -0.5)
    """
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value


def in_markdown(text: str) -> str:
    r"""A text whose HTML and pipes are shown, not obeyed.

    >>> in_markdown('a|b <script>')
    'a\\|b &lt;script>'
    """
    return text.replace('&', '&amp;').replace('<', '&lt;').replace('|', '\\|')


def cell(record: Mapping[str, str | int | float], key: str) -> str:
    """Format one value and its interval: three decimals, – for undefined, '' for none."""
    text = number(record[key], key) if key in record else ''
    if f'{key}_low' in record:
        low, high = (number(record[f'{key}_{end}'], key) for end in ('low', 'high'))
        between = ' to ' if '−' in low + high else '–'  # a minus next to a dash is hard to read
        ends = '–' if low == high == '–' else f'{low}{between}{high}'
        text = f'{text} ({ends})' if text and text != '–' else text or ends
    return text


def number(value: str | int | float, key: str = '') -> str:
    """Format one value; p-values are cut at 0.001, where three decimals end."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f'{value:,}'
    if value != value:
        return '–'
    if key.startswith('p_') and value < 0.001:
        return '<0.001'
    # a threshold is applied as it is printed: 0.001 for 0.00142 would be another one
    form = '.4g' if key == 'threshold' else '.4f' if key.startswith(('brier', 'ece')) else '.3f'
    return format(value, form).replace('-', '−')
