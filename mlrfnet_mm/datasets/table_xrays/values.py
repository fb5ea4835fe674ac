"""What the entries of a label column mean: positive, negative, uncertain or unknown."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from mlrfnet_mm.datasets.published.chexpert.tables import BLANK, NEGATIVE, POSITIVE, UNCERTAIN
from mlrfnet_mm.datasets.table_xrays.table import Table
from mlrfnet_mm.datasets.tables import refuse

Value = str | int | float
Values = Value | Sequence[Value]
MISSING = ('nan', 'na', 'n/a', 'null', '<na>')  # what pandas, R and SQL write for a blank
TRUTHS = {'true': 1.0, 'false': 0.0}


@functools.cache
def plain(text: str) -> str | float:
    """An entry to compare by: a number as such, ``true`` as 1, what stands for a blank as blank.

    >>> plain('1.0') == plain('1') == plain('True'), plain('NaN'), plain('yes')
    (True, '', 'yes')
    """
    small = text.strip().lower()
    if not small or small in MISSING:
        return ''
    if small in TRUTHS:
        return TRUTHS[small]
    try:
        return float(small)
    except ValueError:
        return text.strip()


def meanings(
    positive: Values, negative: Values, uncertain: Values, unknown: Values
) -> dict[str | float, int]:
    """Entry → code, from the values that each of the four is written as.

    Raises:
        ValueError: no value for positive, or a value for two of them.
    """
    found: dict[str | float, int] = {}
    given = dict(positive=positive, negative=negative, uncertain=uncertain, unknown=unknown)
    for (name, values), code in zip(
        given.items(), (POSITIVE, NEGATIVE, UNCERTAIN, BLANK), strict=True
    ):
        for value in [values] if isinstance(values, str | int | float) else values:
            if not isinstance(value, str | int | float):
                raise ValueError(f'{name} is a number, a text or a list of them, got {values!r}')
            if found.setdefault(plain(str(value)), code) != code:
                raise ValueError(
                    f'{value!r} is given as {name} and as another of positive, negative, uncertain '
                    f'and unknown: {given}; give each value once'
                )
    if POSITIVE not in found.values():
        raise ValueError(f'positive names no value, so that no label could be: {given}')
    return found


def encode(table: Table, labels: Sequence[str], codes: Mapping[str | float, int]) -> np.ndarray:
    """Return the codes of label columns, uint8 (N, K).

    Raises:
        ValueError: a missing column, or an entry that means nothing; with its place.
    """
    result = np.empty((len(table.lines), len(labels)), np.uint8)
    problems = []
    for k, name in enumerate(labels):
        column = table.columns[name] if name in table.columns else table.column(name, 'labels')
        known = {text: codes.get(plain(text), -1) for text in set(column)}
        if -1 in known.values():
            row = next(i for i, text in enumerate(column) if known[text] < 0)
            problems.append(
                f'{table.where(row)}: {column[row]!r} in column {name!r} is not a label; those are '
                f'{_told(codes)}. Correct it, or say what it means: positive=…, negative=…, '
                'uncertain=… or unknown=… of the data set take lists of values'
            )
            continue
        result[:, k] = list(map(known.__getitem__, column))
    refuse(problems)
    return result


def label_columns(
    table: Table, codes: Mapping[str | float, int], without: Sequence[str]
) -> list[str]:
    """Name the columns that hold labels only, over the whole table, with a positive among them.

    Args:
        table: all of it.
        codes: see :func:`meanings`.
        without: columns that are something else.
    """
    found = []
    for name, column in table.columns.items():
        if not name or name in without:
            continue
        kinds = {codes.get(plain(text), -1) for text in set(column)}
        if -1 not in kinds and POSITIVE in kinds:
            found.append(name)
    return found


def near_misses(
    table: Table, codes: Mapping[str | float, int], without: Sequence[str]
) -> list[str]:
    """Say of each column that is a label in most rows but not in all why it is not taken.

    Args:
        table: all of it.
        codes: see :func:`meanings`.
        without: columns that are something else, or taken.
    """
    found = []
    for name, column in table.columns.items():
        if not name or name in without:
            continue
        known = {text: codes.get(plain(text), -1) for text in set(column)}
        others = [row for row, text in enumerate(column) if known[text] < 0]
        if POSITIVE in known.values() and 0 < len(others) < len(column) / 2:
            found.append(
                f'{table.where(others[0])}: column {name!r} is not taken for a finding, as '
                f'{column[others[0]]!r} is not a label (in {len(others):,} of {len(column):,} rows)'
            )
    return found


def _told(codes: Mapping[str | float, int]) -> str:
    names = {POSITIVE: 'positive', NEGATIVE: 'negative', UNCERTAIN: 'uncertain', BLANK: 'unknown'}
    shown = (
        f'{value:g}' if isinstance(value, float) else repr(value) if value else 'blank or NaN'
        for value in codes
    )
    return ', '.join(f'{text} ({names[c]})' for text, c in zip(shown, codes.values(), strict=True))
