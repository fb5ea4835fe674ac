"""VinDr-CXR's tables, as Kaggle and as PhysioNet publish them, read and checked; no images.

Nguyen et al., "VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations",
Scientific Data 2022. https://arxiv.org/abs/2012.15029
"""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlrfnet_mm.datasets.tables import read_columns, read_header, refuse, table_file
from mlrfnet_mm.xrays.regions import Box

# Kaggle's, by class_id
FINDINGS = (
    'Aortic enlargement',
    'Atelectasis',
    'Calcification',
    'Cardiomegaly',
    'Consolidation',
    'ILD',
    'Infiltration',
    'Lung Opacity',
    'Nodule/Mass',
    'Other lesion',
    'Pleural effusion',
    'Pleural thickening',
    'Pneumothorax',
    'Pulmonary fibrosis',
)
NO_FINDING = 'No finding'  # not a class: its target is all zeros
# PhysioNet's: 22 that are drawn, then 5 diseases of the whole image; 'No finding' is the 28th label
LOCAL = (
    *FINDINGS,
    'Clavicle fracture',
    'Edema',
    'Emphysema',
    'Enlarged PA',
    'Lung cavity',
    'Lung cyst',
    'Mediastinal shift',
    'Rib fracture',
)
GLOBAL = ('COPD', 'Lung tumor', 'Pneumonia', 'Tuberculosis', 'Other diseases')
ALL_FINDINGS = (*LOCAL, *GLOBAL)
SPELLINGS = {'Other disease': 'Other diseases'}  # PhysioNet's header → the paper's name
READERS = 3  # per image of the training tables
READINGS = ('majority', 'any', 'all', 'share')
KAGGLE = 'train.csv'
CORNERS = ('x_min', 'y_min', 'x_max', 'y_max')


class Votes(NamedTuple):
    """How many readers see what."""

    table: Path
    readers: int  # per image; 1 is a consensus
    votes: dict[str, bytes]  # image → the number of readers who name each class
    lines: dict[str, int]  # image → its first line


def read_kaggle(path: Path) -> Votes:
    """Read Kaggle's ``train.csv``, or its ``.gz``: a row per box, or per reader without a finding.

    Raises:
        ValueError: for another header, an unknown class or one whose number is another's, boxes
            that cannot be, a reader who says "No finding" next to a finding, and an image that
            three readers have not read.
    """
    marks: dict[str, dict[str, int]] = {}  # image → reader → one bit per class
    lines: dict[str, int] = {}
    problems = []
    places = {name: (str(k), 1 << k) for k, name in enumerate((*FINDINGS, NO_FINDING))}
    columns = ('image_id', 'class_name', 'class_id', 'rad_id', *CORNERS)
    for line, (image, name, number, reader, *corners) in read_columns(path, columns):
        expected, bit = places.get(name, ('', 0))
        problem = ''
        if not bit:
            problem = f'class_name {name!r}, which is none of {", ".join(places)}'
        elif number != expected:
            problem = f'class_id {number!r} of {name!r}, which has {expected}'
        elif name == NO_FINDING and any(corners):
            problem = f'a box of {NO_FINDING!r}: {corners}'
        elif not reader or not image:
            problem = f'image_id {image!r} and rad_id {reader!r}; neither may be blank'
        elif name != NO_FINDING:
            problem = corner_problem(corners)
        if problem:
            problems.append(f'{path}, line {line}: {image} has {problem}; correct it')
            continue
        lines.setdefault(image, line)
        own = marks.setdefault(image, {})
        own[reader] = own.get(reader, 0) | bit
    refuse(problems)
    none = places[NO_FINDING][1]
    for image, own in marks.items():
        where = f'{path}, line {lines[image]}: {image}'
        if len(own) != READERS:
            problems.append(
                f'{where} has {len(own)} readers ({", ".join(sorted(own))}), each image has '
                f'{READERS}; the file may be cut, get it again'
            )
        for reader, seen in own.items():
            if seen & none and seen != none:
                problems.append(
                    f'{where}: {reader} says {NO_FINDING!r} next to findings; correct it'
                )
    refuse(problems)
    votes = {image: _count(tuple(sorted(own.values()))) for image, own in marks.items()}
    return Votes(path, READERS, votes, lines)


@functools.cache  # of 15,000 images most repeat another's
def _count(marks: tuple[int, ...]) -> bytes:
    return bytes(sum(mark >> k & 1 for mark in marks) for k in range(len(FINDINGS)))


def corner_problem(corners: list[str]) -> str:
    """What is wrong with ``x_min, y_min, x_max, y_max``; nothing is ``''``."""
    try:
        x0, y0, x1, y1 = map(float, corners)
    except ValueError:
        return f'the corners {corners}, which are not four numbers'
    # not (…), so that NaN is refused too
    if not (0 <= x0 < x1 < math.inf and 0 <= y0 < y1 < math.inf):
        return f'the corners {corners}, a box without area or beyond the image'
    return ''


def read_image_labels(path: Path) -> Votes:
    """Read PhysioNet's ``image_labels_train.csv`` (three rows an image) or ``…_test.csv`` (one).

    Raises:
        ValueError: for another header, a label that is not 0 or 1, a reader who is there twice for
            an image, and an image with another number of readers.
    """
    with_readers = path.name.startswith('image_labels_train')
    names = _columns(path)
    columns = ('image_id', *(['rad_id'] if with_readers else []), *names)
    values = {'0': 0, '1': 1, '0.0': 0, '1.0': 1}
    sums: dict[str, np.ndarray] = {}
    lines: dict[str, int] = {}
    readers: dict[str, list[str]] = {}
    problems = []
    for line, (image, *fields) in read_columns(path, columns):
        reader = fields.pop(0) if with_readers else ''
        wrong = [(n, v) for n, v in zip(names, fields, strict=True) if v not in values]
        if wrong:
            name, value = wrong[0]
            problems.append(
                f'{path}, line {line}: {image} has {value!r} in column {name!r}, a label is 0 or '
                '1; correct it'
            )
            continue
        if reader in readers.setdefault(image, []):
            problems.append(
                f'{path}, line {line}: a second row of {image}{" by " * bool(reader)}{reader}; '
                'remove one of the two'
            )
        readers[image].append(reader)
        lines.setdefault(image, line)
        row = np.array([values[value] for value in fields], np.uint8)
        sums[image] = sums[image] + row if image in sums else row
    wanted = READERS if with_readers else 1
    problems += [
        f'{path}, line {lines[image]}: {image} has {len(own)} rows, each image has {wanted}; the '
        'file may be cut, get it again'
        for image, own in readers.items()
        if len(own) != wanted
    ]
    refuse(problems)
    return Votes(path, wanted, {image: row.tobytes() for image, row in sums.items()}, lines)


def _columns(path: Path) -> list[str]:
    """The findings as the header writes them, in the order of ``ALL_FINDINGS``."""
    theirs = {SPELLINGS.get(name, name): name for name in read_header(path)}
    return [theirs.get(name, name) for name in ALL_FINDINGS]


def read_votes(root: Path, protocol: str, part: str) -> Votes:
    """Read the table of a protocol: ``kaggle`` has ``train``, ``physionet`` ``train`` and ``test``.

    Raises:
        FileNotFoundError: for a missing table.
        ValueError: see `read_kaggle` and `read_image_labels`.
    """
    if protocol == 'kaggle':
        return read_kaggle(table_file(root, KAGGLE))
    return read_image_labels(table_file(tables_folder(root), f'image_labels_{part}.csv'))


def tables_folder(root: Path) -> Path:
    """Where PhysioNet's tables are: ``annotations``, or the folder itself."""
    return root / 'annotations' if (root / 'annotations').is_dir() else root


def combine(votes: np.ndarray, readers: int, reading: str) -> np.ndarray:
    """Make labels of votes.

    Args:
        votes: (…, K) number of readers who name each class.
        readers: of an image.
        reading: ``'majority'`` (more than half), ``'any'``, ``'all'``, or ``'share'``: the readers'
            share, a soft label.

    >>> combine(np.array([0, 1, 2, 3]), 3, 'majority').tolist()
    [0.0, 0.0, 1.0, 1.0]

    Raises:
        ValueError: for an unknown reading.
    """
    rules: dict[str, Callable[[], np.ndarray]] = dict(
        majority=lambda: 2 * votes > readers,
        any=lambda: votes > 0,
        all=lambda: votes == readers,
        share=lambda: votes / np.float32(readers),
    )
    if reading not in rules:
        raise ValueError(f'reading must be one of {", ".join(READINGS)}, got {reading!r}')
    votes = np.asarray(votes, np.uint16)  # doubled without overflow
    return rules[reading]().astype(np.float32)


def read_boxes(path: Path) -> list[tuple[str, Box]]:
    """Read the boxes of ``train.csv`` or ``annotations_….csv``: reader ('' for a consensus), box.

    A box is in the pixels of the published DICOM image.

    Raises:
        ValueError: for another header, an unknown finding, and corners that cannot be.
    """
    with_readers = not path.name.startswith('annotations_test')
    columns = ('image_id', 'class_name', *(['rad_id'] if with_readers else []), *CORNERS)
    found, problems = [], []
    for line, (image, label, *fields) in read_columns(path, columns):
        reader = fields.pop(0) if with_readers else ''
        name = SPELLINGS.get(label, label)
        if name == NO_FINDING:
            continue
        problem = '' if name in ALL_FINDINGS else f'class_name {label!r}, which is unknown'
        if problem := problem or corner_problem(fields):
            problems.append(f'{path}, line {line}: {image} has {problem}; correct it')
            continue
        x, y, right, bottom = map(float, fields)
        found.append((reader, Box(image, name, x, y, right - x, bottom - y, line, frame=None)))
    refuse(problems)
    return found
