"""CheXpert's two tables, read and checked, and the labels that MIMIC-CXR-JPG shares; no images.

Irvin et al., "CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert
Comparison", AAAI 2019. https://arxiv.org/abs/1901.07031
"""

import functools
import re
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.tables import (
    check_disjoint,
    read_columns,
    read_header,
    refuse,
    stable_bucket,
    table_file,
)
from mlrfnet_mm.xrays import people

FINDINGS = (
    'No Finding',
    'Enlarged Cardiomediastinum',
    'Cardiomegaly',
    'Lung Opacity',
    'Lung Lesion',
    'Edema',
    'Consolidation',
    'Pneumonia',
    'Atelectasis',
    'Pneumothorax',
    'Pleural Effusion',
    'Pleural Other',
    'Fracture',
    'Support Devices',
)
SCORED = ('Atelectasis', 'Cardiomegaly', 'Consolidation', 'Edema', 'Pleural Effusion')
NEGATIVE, POSITIVE, UNCERTAIN, BLANK = range(4)  # blank: the report does not mention it
CODES = {
    '': BLANK,
    **{'0.0': NEGATIVE, '1.0': POSITIVE, '-1.0': UNCERTAIN},
    **{'0': NEGATIVE, '1': POSITIVE, '-1': UNCERTAIN},
}
VIEWS = ('all', 'frontal')
# Protocol → split → table. `held-out` divides train.csv between train and val.
PROTOCOLS = {
    'held-out': dict(train='train', val='train', valid='valid'),
    'select-on-valid': dict(train='train', val='valid', valid='valid'),
}
NAMED_VIEWS = dict(frontal='Frontal', lateral='Lateral')  # in a file's name and in the table
PATH = re.compile(r'(?:.*/)?([^/]+/patient\d+/study\d+/view\d+_(frontal|lateral)\.\w+)')


class Xrays(NamedTuple):
    """Images of a table, column by column: one object per row takes twice the time to load."""

    paths: list[str]  # <folder>/<patient>/<study>/<file>, relative to the data set's folder
    views: list[str]  # 'Frontal', 'Lateral'; in MIMIC-CXR-JPG also 'Other'
    codes: list[bytes]  # 14 of the four codes, in the order of FINDINGS
    lines: list[int]  # in the table
    sexes: list[str]  # 'M', 'F' or '' (not known); empty as a whole where the table has no column
    ages: list[float | None]  # years; empty likewise

    def add(self, path: str, view: str, codes: bytes, line: int) -> None:
        """Append one image."""
        self.paths.append(path)
        self.views.append(view)
        self.codes.append(codes)
        self.lines.append(line)

    def keep(self, flags: list[bool]) -> 'Xrays':
        """The images whose flag is true."""
        return Xrays._make(list(compress(column, flags)) for column in self)

    def patients(self) -> list[str]:
        """The patient of each image."""
        return [path.rsplit('/', 3)[1] for path in self.paths]


@functools.cache  # of 223,414 rows most repeat another's labels
def encode_labels(*values: str) -> bytes:
    """Fourteen codes from the entries of a row, in the order of ``FINDINGS``.

    >>> list(encode_labels('1.0', '-1.0', '0.0', *11 * ['']))[:4]
    [1, 2, 0, 3]

    Raises:
        ValueError: for an entry that is not 1, 0, -1 or blank; it names the column.
    """
    for finding, value in zip(FINDINGS, values, strict=True):
        if value not in CODES:
            raise ValueError(
                f"has {value!r} in column '{finding}', a label is 1.0, 0.0, -1.0 (uncertain) or "
                'blank; correct it or take the table as it was published'
            )
    return bytes(CODES[value] for value in values)


def read_table(path: Path) -> Xrays:
    """Read ``train.csv`` or ``valid.csv``, plain or ``.gz``.

    What comes before ``train/patient…`` in the column ``Path`` does not matter.

    Raises:
        ValueError: for another header, malformed rows and paths, an unknown view, label, sex or
            age, and a second row of an image.
    """
    table = Xrays([], [], [], [], [], [])
    # bound once: faster than add(), which a row of 223,414 need not pay
    add_path, add_view = table.paths.append, table.views.append
    add_code, add_line = table.codes.append, table.lines.append
    add_sex, add_age = table.sexes.append, table.ages.append
    problems = []
    columns = ('Path', 'Frontal/Lateral', *FINDINGS)
    with_people = {'Sex', 'Age'} <= set(read_header(path))
    for line, fields in read_columns(path, (*columns, 'Sex', 'Age') if with_people else columns):
        name, view, labels = fields[0], fields[1], fields[2:16]
        match = PATH.fullmatch(name)
        try:
            if match is None:
                raise ValueError(
                    'is not like train/patient00001/study1/view1_frontal.jpg; correct it'
                )
            if view != NAMED_VIEWS[match[2]]:
                raise ValueError(
                    f"has {view!r} in column 'Frontal/Lateral', its name says {match[2]}; correct "
                    'one of the two'
                )
            code = encode_labels(*labels)
            if with_people:
                sex, age = people.sex(fields[16]), people.years(fields[17])
        except ValueError as error:
            problems.append(f'{path}, line {line}: {name} {error}')
            continue
        add_path(match[1])
        add_view(NAMED_VIEWS[match[2]])  # one object for all rows
        add_code(code)
        add_line(line)
        if with_people:
            add_sex(sex)
            add_age(age)
    refuse(problems)
    check_unique(path, table)
    return table


def check_unique(path: Path, table: Xrays) -> None:
    """Refuse an image that is in the table twice.

    Raises:
        ValueError: with both lines.
    """
    if len(set(table.paths)) == len(table.paths):
        return
    lines: dict[str, int] = {}
    refuse(
        [
            f'{path}, line {line}: {image} is there already, at line {lines[image]}; remove one of '
            'the two'
            for image, line in zip(table.paths, table.lines, strict=True)
            if lines.setdefault(image, line) != line
        ]
    )


def is_validation(patient: str) -> bool:
    """Whether a patient of ``train.csv`` belongs to the validation split of ``held-out``.

    The rule, 1/32 of the patients: take the SHA-256 of the ASCII text ``CheXpert/val/<patient>``,
    with the patient as the table writes it; the patient is in validation if the digest, as a
    big-endian integer, is divisible by 32, which is to say if its last two hexadecimal digits are
    00, 20, 40, 60, 80, a0, c0 or e0. In a shell: ``printf CheXpert/val/patient00001 | sha256sum``.
    """
    return stable_bucket(f'CheXpert/val/{patient}', 32) == 0


def table_name(protocol: str, split: str) -> str:
    """``'train'`` or ``'valid'``: the table that holds the split.

    Raises:
        ValueError: for an unknown protocol or split.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f'protocol must be one of {", ".join(PROTOCOLS)}, got {protocol!r}')
    if split not in PROTOCOLS[protocol]:
        raise ValueError(f'split must be one of train, val, valid, got {split!r}')
    return PROTOCOLS[protocol][split]


def read_split(folder: Path, protocol: str, split: str) -> tuple[Path, Xrays]:
    """Return the table of a split and the split's rows, all views, in the table's order.

    Both tables are read, to see that they share no patient; for the splits of ``valid.csv`` only
    where ``train.csv`` is there.

    Raises:
        FileNotFoundError: for a missing table.
        ValueError: for unknown names, faults in a table, a patient in both, an uncertain label in
            ``valid.csv``, which radiologists made, and an empty split.
    """
    name = table_name(protocol, split)
    path = table_file(folder, f'{name}.csv')
    table = kept = read_table(path)
    tables = {name: (path, table)}
    with suppress(FileNotFoundError) if name == 'valid' else nullcontext():
        other = table_file(folder, 'valid.csv' if name == 'train' else 'train.csv')
        tables['valid' if name == 'train' else 'train'] = other, read_table(other)
    _check_patients(dict(tables.values()))
    _check_certain(*tables['valid'])
    if name == 'train':
        patients = table.patients()
        if protocol == 'held-out':
            chosen = {patient for patient in set(patients) if is_validation(patient)}
            kept = table.keep([(patient in chosen) == (split == 'val') for patient in patients])
    if not kept.paths:
        raise ValueError(
            f'{path}: {protocol}/{split} is empty ({len(table.paths)} images in the table); put '
            'images of more patients into it'
        )
    return path, kept


def _check_certain(path: Path, table: Xrays) -> None:
    """Refuse an uncertain label in the table of the radiologists' labels."""
    refuse(
        [
            f"{path}, line {line}: {image} has an uncertain label (-1) in column '{FINDINGS[k]}'; "
            "the radiologists' labels are 0 or 1: take the table as it was published"
            for image, codes, line in zip(table.paths, table.codes, table.lines, strict=True)
            if (k := codes.find(UNCERTAIN)) >= 0
        ]
    )


def _check_patients(tables: Mapping[Path, Xrays]) -> None:
    """Refuse a patient in two tables; the images in question only go to `check_disjoint`."""
    patients = {path: table.patients() for path, table in tables.items()}
    shared = set.intersection(*map(set, patients.values()))
    lines: dict[Path, dict[str, int]] = {}
    owners: dict[str, str] = {}
    for path, table in tables.items():
        part = table.keep([patient in shared for patient in patients[path]])
        lines[path] = dict(zip(part.paths, part.lines, strict=True))
        owners.update(zip(part.paths, part.patients(), strict=True))
    check_disjoint(lines, owners)


def find_folders(root: Path) -> list[Path]:
    """Return the folders with a table: ``root`` itself, else those directly below it."""

    def has_table(folder: Path) -> bool:
        names = ('train.csv', 'train.csv.gz', 'valid.csv', 'valid.csv.gz')
        return any((folder / name).is_file() for name in names)

    if has_table(root) or not root.is_dir():
        return [root]
    return sorted(folder for folder in root.iterdir() if folder.is_dir() and has_table(folder))
