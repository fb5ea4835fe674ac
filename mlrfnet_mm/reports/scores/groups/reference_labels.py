"""Labels of another source for the same images: NIH's radiologists, or any table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlrfnet_mm.datasets.published.chestxray14.radiologists import (
    RADIOLOGISTS,
    TABLE,
    NIHRadiologists,
)
from mlrfnet_mm.datasets.published.chestxray14.radiologists import read_table as read_radiologists
from mlrfnet_mm.datasets.table_xrays.table import read_table
from mlrfnet_mm.datasets.tables import refuse, table_file

GOOGLE = 'google2019'
IMAGE = ('image', 'image index')  # names of the column of images
SUFFIXES = ('.png', '.jpg', '.jpeg', '.dcm', '.dicom', '.tif', '.tiff')
MARKS = {'0': 0.0, '1': 1.0, '0.0': 0.0, '1.0': 1.0, '': np.nan}


class ReferenceLabels(NamedTuple):
    """A second source of labels.

    Attributes:
        title: what it is.
        classes: its findings.
        marks: name of an image without suffix → its C marks as the table has them.
        places: name of an image without suffix → file and line.
        patients: name of an image without suffix → patient; empty where it does not say.
        dataset: whose images they are, as a stamp begins; empty: not known.
    """

    title: str
    classes: tuple[str, ...]
    marks: Mapping[str, tuple[str, ...]]
    places: Mapping[str, str]
    patients: Mapping[str, str]
    dataset: str = ''

    def labels(self, images: Sequence[str], columns: Sequence[int]) -> np.ndarray:
        """(N, C) of 0, 1 and NaN (unknown) of some images, which are all there.

        Raises:
            ValueError: another mark.
        """
        problems = [
            f'{self.places[name]}: {self.marks[name][k]!r} in column {self.classes[k]!r}, which is '
            '0, 1 or blank (unknown); correct it'
            for name in images
            for k in columns
            if self.marks[name][k] not in MARKS
        ]
        refuse(problems)
        rows = [[MARKS[self.marks[name][k]] for k in columns] for name in images]
        return np.array(rows, float).reshape(len(images), len(columns))


def bare(image: str) -> str:
    """The name of an image without the suffix of its file.

    >>> bare('00000013_008.png'), bare('1.2.840')
    ('00000013_008', '1.2.840')
    """
    stem, dot, suffix = image.rpartition('.')
    return stem if f'{dot}{suffix}'.lower() in SUFFIXES else image


def read_reference(source: str, data_root: str | None = None) -> ReferenceLabels:
    """Read a second source of labels.

    Args:
        source: ``'google2019'`` (Majkowska et al. 2020) or the path of a table, CSV or Parquet,
            with a column ``image`` and one of 0, 1 and blank (unknown) for each finding.
        data_root: for ``'google2019'``, the folder of ChestX-ray14 with the table; ``None`` takes
            ``XRAY14_ROOT`` or ``data/ChestX-ray14``, as in training.

    Raises:
        FileNotFoundError: no such table.
        ValueError: a table of another form, another mark, an image twice.
    """
    if source == GOOGLE:
        return _read_google(data_root)
    if data_root is not None:
        raise ValueError(f'--data-root is for --labels {GOOGLE}: {source} is a table')
    return _read_any(Path(source))


def _read_google(data_root: str | None) -> ReferenceLabels:
    root, origin = NIHRadiologists.find_folder(data_root)
    try:
        path = table_file(root, TABLE)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{error} The folder is from {origin}: put the table there, or name another folder '
            'with --data-root'
        ) from None
    table = read_radiologists(path)
    marks = {bare(name): tuple(map(str, code)) for name, code in table.labels.items()}
    places = {bare(name): f'{path}, line {line}' for name, line in table.lines.items()}
    patients = {bare(name): patient for name, patient in table.patients.items()}
    title = 'radiologists (Majkowska et al. 2020)'
    return ReferenceLabels(title, RADIOLOGISTS, marks, places, patients, 'ChestX-ray14')


def _read_any(path: Path) -> ReferenceLabels:
    table = read_table(path)
    images = [name for name in table.columns if name.strip().lower() in IMAGE]
    if len(images) != 1:
        raise ValueError(
            f'{path}: one column must be the image, named {" or ".join(IMAGE)}; its columns are '
            f'{", ".join(map(repr, table.columns))}'
        )
    classes = tuple(name for name in table.columns if name != images[0])
    columns = [table.column(name, '--labels') for name in classes]
    marks: dict[str, tuple[str, ...]] = {}
    places: dict[str, str] = {}
    problems = []
    for row, image in enumerate(table.column(images[0], '--labels')):
        name = bare(image)
        if not name or name in marks:
            what = f'{image} a second time' if name else 'no image'
            problems.append(f'{table.where(row)}: {what}; remove the row')
        marks[name] = tuple(column[row] for column in columns)
        places[name] = table.where(row)
    refuse(problems)
    return ReferenceLabels(path.name, classes, marks, places, {})
