"""The SIIM-ACR pneumothorax challenge's table of run-length masks, read and checked; no images.

https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation
"""

from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.tables import read_columns, read_header, refuse
from mlrfnet_mm.xrays.regions import Box, around_runs, runs_of

TABLE = 'train-rle.csv'
FINDING = 'Pneumothorax'
NONE = '-1'  # in place of a mask: no pneumothorax


class Masks(NamedTuple):
    """The table."""

    labels: dict[str, bytes]  # ImageId → one byte, 0 or 1
    lines: dict[str, int]  # ImageId → its first line
    runs: list[tuple[str, str, int]]  # ImageId, run lengths and line of each mask


def read_table(path: Path) -> Masks:
    """Read ``train-rle.csv``, or its ``.gz``: a row per mask, or per image without one.

    The published header is ``ImageId, EncodedPixels``, with a blank before the second name; a
    header without it is read, too.

    Raises:
        ValueError: for another header, an image that has a mask and ``-1``, or ``-1`` twice, the
            same mask twice, and run lengths that `runs_of` refuses.
    """
    table = Masks({}, {}, [])
    labels, lines, masks = table
    seen: dict[tuple[str, str], int] = {}
    problems = []
    blank = ' ' if ' EncodedPixels' in read_header(path) else ''
    for line, (image, text) in read_columns(path, ('ImageId', f'{blank}EncodedPixels')):
        text = text.strip()
        problem = ''
        first = seen.setdefault((image, text), line)
        if not image:
            problem = 'no ImageId'
        elif first != line:
            problem = f'the row of line {first} again'
        elif image in labels and (text == NONE or labels[image] == b'\0'):
            problem = f'{NONE} (no mask) and a mask, the first row is line {lines[image]}'
        elif text != NONE:
            try:
                runs_of(text)
                masks.append((image, text, line))
            except ValueError as error:
                problem = f'a mask that cannot be: {error}'
        if problem:
            problems.append(f'{path}, line {line}: {image!r} has {problem}; correct it')
            continue
        labels[image] = bytes([text != NONE])
        lines.setdefault(image, line)
    refuse(problems)
    return table


def boxes_of(table: Masks) -> list[Box]:
    """A region for each mask."""
    return [
        Box(image, FINDING, *around_runs(runs_of(text)), line, runs=text)
        for image, text, line in table.runs
    ]
