"""PadChest's table, read and checked; no images.

Bustos et al., "PadChest: A large chest x-ray image dataset with multi-label annotated reports",
Medical Image Analysis 2020. https://arxiv.org/abs/1901.07441
"""

import functools
import re
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.published.padchest.labels import LABELS
from mlrfnet_mm.datasets.tables import read_columns, read_header, refuse, table_file
from mlrfnet_mm.xrays import people

TABLE = 'PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv'
COLUMNS = ('ImageID', 'ImageDir', 'PatientID', 'Projection', 'MethodLabel', 'Labels')
PERSON = ('PatientSex_DICOM', 'PatientBirth', 'StudyDate_DICOM')
# Column Projection → as in the other sets
VIEWS = dict(PA='Frontal', AP='Frontal', AP_horizontal='Frontal', L='Lateral')
VIEWS |= dict(COSTAL='Other', EXCLUDE='Other', UNK='Other')
FRONTAL = ('PA', 'AP', 'AP_horizontal')
METHODS = dict(physician='Physician', network='RNN_model')  # ours → column MethodLabel
NO_LIST = 'nan'  # what 103 rows have in place of a list
LIST = re.compile(r"\[(?:'[^']*'(?:, '[^']*')*)?\]")
KNOWN = frozenset(LABELS)
# Why an image is left out, as the log says it
NO_LABELS = f'whose Labels is {NO_LIST!r}, not a list'
EXCLUDED = "labeled 'exclude'"
SILENT = "that say nothing but 'unchanged' or a blank"


class Rows(NamedTuple):
    """The table, column by column: one object per row takes twice the time to load."""

    images: list[str]  # ImageID, with its suffix
    folders: list[str]
    patients: list[str]
    projections: list[str]
    methods: list[str]
    labels: list[str]  # as written; see `names_in`
    lines: list[int]
    sexes: list[str]  # 'M', 'F', 'O' or '' (not known); empty where the table has no such columns
    ages: list[float | None]  # years between birth and study; empty likewise

    def keep(self, flags: Sequence[bool]) -> 'Rows':
        """The rows whose flag is true."""
        return Rows._make(list(compress(column, flags)) for column in self)


@functools.cache
def read_person(sex: str, birth: str, study: str) -> tuple[str, float | None]:
    """Sex and age; of the birth the table has the year alone, of the study its date.

    >>> read_person('F', '1930.0', '20140915')
    ('F', 84.0)

    Raises:
        ValueError: an entry that is none of those, and not blank.
    """
    year = people.years(birth)
    if year is None or study.strip().lower() in people.UNKNOWN:
        return people.sex(sex), None
    if not (len(study) == 8 and study.isdecimal()):
        raise ValueError(f'StudyDate_DICOM {study!r}, which is a date like 20140915')
    return people.sex(sex), int(study[:4]) - year


@functools.cache  # 160,861 rows have 28,809 different entries
def names_in(text: str) -> tuple[str, ...]:
    """Labels of an entry such as ``"['nodule', ' pacemaker', '']"``, without blanks around them.

    >>> names_in("['nodule', ' pacemaker', '', 'nodule']")
    ('nodule', 'pacemaker')

    Raises:
        ValueError: for what is not a list, and for a label that PadChest does not have.
    """
    if not LIST.fullmatch(text):
        raise ValueError(
            f"{text!r} in column 'Labels', which is a list like ['nodule', 'pacemaker']"
        )
    names = dict.fromkeys(name.strip() for name in text[1:-1].split("'")[1::2])
    names.pop('', None)
    for name in names:
        if name not in KNOWN:
            raise ValueError(f'the label {name!r}, which is not one of the {len(LABELS)} published')
    return tuple(names)


def read_table(path: Path) -> Rows:
    """Read the published table, plain or ``.gz``.

    Raises:
        ValueError: for another header, an image without name, folder or patient, or with a second
            row, an unknown projection or method, and what `names_in` refuses but for ``nan``.
    """
    rows = Rows([], [], [], [], [], [], [], [], [])
    with_people = set(PERSON) <= set(read_header(path))
    add_image, add_line = rows.images.append, rows.lines.append
    adds = [column.append for column in rows[1:6]]
    one: dict[str, str] = {}  # text → the one object for it in all rows
    known: dict[str, str] = {NO_LIST: ''}  # entry of Labels → what is wrong with it
    problems = []
    for line, fields in read_columns(path, (*COLUMNS, *PERSON) if with_people else COLUMNS):
        image, folder, patient, projection, method, text = fields[:6]
        if text not in known:
            try:
                names_in(text)
                known[text] = ''
            except ValueError as error:
                known[text] = str(error)
        problem = known[text]
        if not (image and folder and patient):
            problem = f'ImageDir {folder!r} and PatientID {patient!r}; none may be blank'
        elif projection not in VIEWS:
            problem = f'Projection {projection!r}, which is none of {", ".join(VIEWS)}'
        elif method not in METHODS.values():
            problem = f'MethodLabel {method!r}, which is none of {", ".join(METHODS.values())}'
        elif with_people:
            try:
                person = read_person(*fields[6:])
            except ValueError as error:
                problem = str(error)
        if problem:
            problems.append(f'{path}, line {line}: {image} has {problem}; correct it')
            continue
        add_image(image)
        add_line(line)
        for add, value in zip(adds, fields[1:6], strict=True):
            add(one.setdefault(value, value))
        if with_people:
            rows.sexes.append(person[0])
            rows.ages.append(person[1])
    if len(set(rows.images)) < len(rows.images):
        first: dict[str, int] = {}
        problems += [
            f'{path}, line {line}: {image} is there already, at line {first[image]}; remove one of '
            'the two'
            for image, line in zip(rows.images, rows.lines, strict=True)
            if first.setdefault(image, line) != line
        ]
    refuse(problems)
    return rows


def reason_to_leave_out(text: str) -> str:
    """Why an entry of ``Labels`` does not say what is in the image; ``''`` if it does.

    >>> reason_to_leave_out("['unchanged']")
    "that say nothing but 'unchanged' or a blank"
    """
    if text == NO_LIST:
        return NO_LABELS
    names = names_in(text)
    if 'exclude' in names:
        return EXCLUDED
    return '' if set(names) - {'unchanged'} else SILENT


def encode_labels(text: str, classes: Sequence[str]) -> bytes:
    """A byte of 0 or 1 for each class."""
    names = names_in(text)
    return bytes(name in names for name in classes)


def find_table(root: Path) -> Path:
    """The table in the data set's folder.

    Raises:
        FileNotFoundError: there is none.
    """
    return table_file(root, TABLE)
