"""Columns of a CSV, joined to predictions by the name of the image."""

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.groups.grouping import parse_by


def read_joined(
    path: str | Path, predictions: Predictions, wanted: Sequence[str]
) -> dict[str, np.ndarray]:
    """The columns of those wanted that the table has, in the order of the predictions.

    The column of the images is the one that names most of them: as the predictions do, or by the
    end of a path.

    Args:
        path: CSV with a header, plain or ``.gz``; other rows than those of the images may be there.
        predictions: N images.
        wanted: columns as ``--by`` names them.

    Returns:
        Column → (N,) texts.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a CSV, none of the columns there or one twice, no column of images, an
            image that is missing or there twice.
    """
    header, rows = _read(Path(path))
    wanted = [parse_by(text)[0] for text in wanted]
    chosen = [name for name in wanted if name in header]
    if not chosen:
        raise ValueError(
            f'{path}, line 1: none of the columns {", ".join(map(repr, wanted))} is there, but '
            f'{", ".join(map(repr, header))}'
        )
    for name in chosen:
        if header.count(name) > 1:
            raise ValueError(f'{path}, line 1: column {name!r} is there {header.count(name)} times')
    images = [str(image) for image in predictions.images.tolist()]
    key, exact = _image_column(path, header, rows, set(images))
    names = set(images)
    line_of: dict[str, int] = {}
    values: dict[str, list[str]] = {}
    for line, row in rows:
        name = row[key] if exact else _ending(row[key], names)
        if name not in names:
            continue
        if name in line_of:
            raise ValueError(
                f'{path}, line {line}: {name} is there already, at line {line_of[name]}; remove '
                'one of the two'
            )
        line_of[name], values[name] = line, row
    missing = [image for image in images if image not in values]
    if missing:
        raise ValueError(
            f'{path}: no row for {missing[0]} in column {header[key]!r} ({len(missing):,} of '
            f'{len(images):,} {predictions.unit} names are missing); give a table that has them all'
        )
    places = {name: header.index(name) for name in chosen}
    return {
        name: np.array([values[image][place] for image in images]) for name, place in places.items()
    }


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and line number and fields of each row."""
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if content[:2] == b'\x1f\x8b' else content
        lines = content.decode('utf-8-sig').splitlines(keepends=True)
        reader = csv.reader(lines)
        header = next(reader, [])
        rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not a CSV table: {error}') from error
    for line, row in rows:
        if len(row) != len(header):
            raise ValueError(
                f'{path}, line {line}: {len(row)} fields in {",".join(row)[:80]!r}, the header has '
                f'{len(header)}; correct the row'
            )
    return header, rows


def _image_column(
    path: str | Path, header: list[str], rows: list[tuple[int, list[str]]], images: set[str]
) -> tuple[int, bool]:
    """Place of the column that names the images, and whether it does so as the predictions do."""
    for exact in (True, False):
        hits = [
            sum((row[k] if exact else _ending(row[k], images)) in images for _, row in rows)
            for k in range(len(header))
        ]
        if max(hits, default=0):
            return int(np.argmax(hits)), exact
    raise ValueError(
        f'{path}: no column names the images, as {min(images)!r}; it has '
        f'{", ".join(map(repr, header))}'
    )


def _ending(text: str, images: set[str]) -> str:
    """The end of a path that is an image's name: ``'a/b/c.png'`` may be ``'b/c.png'``."""
    parts = text.replace('\\', '/').split('/')
    return next(
        (end for i in range(len(parts)) if (end := '/'.join(parts[i:])) in images), parts[-1]
    )
