"""ChestX-ray14's label table, image lists and folders, read and checked; no data set class.

The protocols and splits are defined here, once, and tools and tests use them without images.
"""

import csv
import functools
import gzip
import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.tables import check_disjoint, read_names, refuse, stable_bucket
from mlrfnet_mm.xrays import people

FINDINGS = (
    'Atelectasis',
    'Cardiomegaly',
    'Effusion',
    'Infiltration',
    'Mass',
    'Nodule',
    'Pneumonia',
    'Pneumothorax',
    'Consolidation',
    'Edema',
    'Emphysema',
    'Fibrosis',
    'Pleural_Thickening',
    'Hernia',
)
NO_FINDING = 'No Finding'  # not a class: its target is all zeros
LABEL_TABLE = 'Data_Entry_2017_v2020.csv'
LISTS = dict(
    official=dict(train_val='train_val_list.txt', test='test_list.txt'),
    chexnet=dict(
        train='chexnet_train_list.txt',
        val='chexnet_val_list.txt',
        test='chexnet_test_list.txt',
    ),
)
# SHA-256 of the names in the published lists, sorted and joined by newlines: what a folder's lists
# must hold for its numbers to be called those of the protocol.
PUBLISHED = dict(
    official=dict(
        train_val='61fbe896321c1c1c8b75f3e4f3a08e4fef6486d95ef8a667c31d4d60dca6cb81',
        test='38ca5ef7f756092946f57c1a59faca882ed589a1ab1f72590b45dc06c6d5e1cc',
    ),
    chexnet=dict(
        train='7265fa9efe68c5e8afa201c9b7ecf9b25d9e9a9c41fab3e0efe8e650bd405d06',
        val='65fd487c51e6316d6db7e547ac0dedd3beb6ef70ea36e74c4e55a77ca5ff40e9',
        test='a20c79828a7825d1d5ac7e8e1b2eccdb21db7e87f9449415f40896116264d55a',
    ),
)
SPLITS = ('train', 'val', 'test')
PERSON = ['Patient Age', 'Patient Gender', 'View Position']  # columns 5 to 7
VIEWS = ('PA', 'AP')
PHANTOM_MANIFEST = 'phantom.json'  # in the folder of a generated data set


class Labels(NamedTuple):
    """The label table, by image name. Flat dicts: one object per row takes twice the time."""

    patients: dict[str, int]
    findings: dict[str, bytes]  # 14 bytes of 0 or 1, in the order of FINDINGS
    people: dict[str, 'Person']  # empty where the table has no such columns


class Person(NamedTuple):
    """Who is in an image, and from where it was taken; one object for all rows that are alike."""

    sex: str  # 'M', 'F' or '' (not known)
    age: float | None  # years, as the table says: that of 2017 goes to 414
    view: str  # 'PA', 'AP' or '' (not known)


class Split(NamedTuple):
    """One split of one protocol: its images in the order of the list, and the whole table."""

    list_file: Path
    lines: dict[str, int]  # image name → line in the list
    labels: Labels
    published: bool  # all lists of the protocol are the published ones


@functools.cache  # the full table has 112,120 rows, but 836 different entries
def encode_findings(text: str) -> bytes:
    """Fourteen bytes of 0 or 1 from an entry such as ``'Effusion|Mass'`` or ``'No Finding'``.

    Raises:
        ValueError: for a label that is not one of the 14, and for ``No Finding`` next to others.
    """
    labels = text.split('|')
    for label in labels:
        if label != NO_FINDING and label not in FINDINGS:
            raise ValueError(
                f"the label {label!r}, which is not '{NO_FINDING}' or one of "
                f"{', '.join(FINDINGS)}; correct it or take NIH's own table"
            )
    if NO_FINDING in labels and len(labels) > 1:
        raise ValueError(
            f"the labels {text!r}, '{NO_FINDING}' next to others; "
            "correct them or take NIH's own table"
        )
    return bytes(finding in labels for finding in FINDINGS)


@functools.cache
def read_person(age: str, sex: str, view: str) -> Person:
    """Sex, age and view from three entries of a row.

    >>> read_person('58', 'M', 'PA')
    Person(sex='M', age=58.0, view='PA')

    Raises:
        ValueError: an entry that is none of those, and not blank.
    """
    if view not in VIEWS and view.strip().lower() not in people.UNKNOWN:
        raise ValueError(f'the view {view!r}, which is none of {", ".join(VIEWS)} and blank')
    return Person(people.sex(sex), people.years(age), view if view in VIEWS else '')


def read_labels(path: Path) -> Labels:
    """Read ``Data_Entry_2017_v2020.csv`` or its ``.gz``.

    Two names in the header have unquoted commas inside, so its width means nothing: it and the
    rows are read up to the seventh column, or up to the fourth if age, sex and view do not follow.

    Raises:
        ValueError: for another header, a row with fewer than four fields, a patient ID that is
            not a number, a second row of an image, and what `encode_findings` and `read_person`
            refuse.
    """
    content = path.read_bytes()  # whole: reading lines through gzip takes twice the time
    if path.suffix == '.gz':
        content = gzip.decompress(content)
    labels = Labels({}, {}, {})
    patients, findings, persons = labels
    problems = []
    with io.TextIOWrapper(
        io.BytesIO(content), encoding='utf-8-sig', errors='replace', newline=''
    ) as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            if header[:2] != ['Image Index', 'Finding Labels'] or header[3:4] != ['Patient ID']:
                raise ValueError(
                    f'{path}, line 1: the header must begin with Image Index,Finding Labels and '
                    f'have Patient ID as its 4th column, got {",".join(header[:4])!r}; '
                    f"take NIH's own {LABEL_TABLE}"
                )
            least = 7 if header[4:7] == PERSON else 4
            for row in reader:
                if not row:
                    continue
                problem = ''
                if len(row) < least:
                    problem = f'{len(row)} fields in {",".join(row)!r}, at least {least} are needed'
                elif row[0] in patients:
                    problem = f'a second row for {row[0]}; remove one of the two'
                elif not row[3].isdecimal():
                    problem = f'patient ID {row[3]!r} of {row[0]} is not a number; correct it'
                else:
                    patients[row[0]] = int(row[3])
                    try:
                        findings[row[0]] = encode_findings(row[1])
                        if least == 7:
                            persons[row[0]] = read_person(*row[4:7])
                    except ValueError as error:
                        problem = f'{row[0]} has {error}'
                if problem:
                    problems.append(f'{path}, line {reader.line_num}: {problem}')
        except csv.Error as error:
            raise ValueError(f'{path}, line {reader.line_num}: {error}') from error
    refuse(problems)
    return labels


def is_validation(patient: int) -> bool:
    """Whether a patient of ``train_val_list.txt`` belongs to the official validation split.

    The rule, one eighth of the patients: take the SHA-256 of the ASCII text
    ``ChestX-ray14/val/<patient ID>``, the ID in decimal without leading zeros; the patient is in
    validation if the digest, as a big-endian integer, is divisible by 8, which is to say if its
    last hexadecimal digit is 0 or 8. In a shell: ``printf ChestX-ray14/val/13 | sha256sum``.
    """
    return stable_bucket(f'ChestX-ray14/val/{patient}', 8) == 0


def list_names(protocol: str, split: str, lists: Mapping[str, str] | None = None) -> dict[str, str]:
    """File names of all lists of the protocol, with the user's own in place of the default ones.

    Raises:
        ValueError: for an unknown protocol, split or list, and for one file as two lists.
    """
    if protocol not in LISTS:
        raise ValueError(f'protocol must be one of {", ".join(LISTS)}, got {protocol!r}')
    if split not in SPLITS:
        raise ValueError(f'split must be one of {", ".join(SPLITS)}, got {split!r}')
    if unknown := set(lists or ()) - set(LISTS[protocol]):
        raise ValueError(
            f'lists of protocol {protocol!r} must be among {", ".join(LISTS[protocol])}, '
            f'got {min(unknown)!r}'
        )
    names = {**LISTS[protocol], **(lists or {})}
    if len(set(names.values())) < len(names):
        raise ValueError(f'lists must name different files, got {names}')
    return names


def read_split(
    root: Path, protocol: str, split: str, lists: Mapping[str, str] | None = None
) -> Split:
    """Read label table and lists, check all lists of the protocol, and return one split.

    Images are not touched. The arguments are those of `ChestXray14`.

    Raises:
        FileNotFoundError: if the label table or a list is missing.
        ValueError: for unknown names and for each fault in the tables.
    """
    names_of_lists = list_names(protocol, split, lists)
    table = root / LABEL_TABLE
    if not table.is_file():
        table = root / f'{LABEL_TABLE}.gz'
    files = {key: root / name for key, name in names_of_lists.items()}
    if not table.is_file():
        raise FileNotFoundError(
            f'no {(root / LABEL_TABLE).absolute()} (and no .csv.gz next to it).'
        )
    if missing := [str(path.absolute()) for path in files.values() if not path.is_file()]:
        origin = dict(
            official='They come with the images.',
            chexnet='They come with public CheXNet reimplementations, not from NIH; if yours '
            "have other names: lists=dict(train='train_list.txt', val=…, test=…).",
        )
        raise FileNotFoundError(f'no {", ".join(missing)}. {origin[protocol]}')

    labels = read_labels(table)
    names = {path: read_names(path) for path in files.values()}
    refuse(
        [
            f'{path}, line {line}: {name} has no row in {table}; remove the line or take the '
            'label table that belongs to the list'
            for path, lines in names.items()
            for name, line in lines.items()
            if name not in labels.patients
        ]
    )
    check_disjoint(names, labels.patients)

    path = files['train_val' if protocol == 'official' and split != 'test' else split]
    lines = names[path]
    if protocol == 'official' and split != 'test':
        patients = {labels.patients[name] for name in lines}
        chosen = {patient for patient in patients if is_validation(patient) == (split == 'val')}
        lines = {name: line for name, line in lines.items() if labels.patients[name] in chosen}
    if not lines:
        raise ValueError(
            f'{path}: {protocol}/{split} is empty ({len(names[path])} images in the list); '
            'put images of more patients into the list'
        )
    published = all(digest(names[files[key]]) == PUBLISHED[protocol][key] for key in files)
    return Split(path, lines, labels, published)


def digest(names: Iterable[str]) -> str:
    """SHA-256 of image names in any order, as in ``PUBLISHED``."""
    return hashlib.sha256('\n'.join(sorted(names)).encode()).hexdigest()


def index_images(root: Path) -> dict[str, str]:
    """Find the PNGs: name → folder, for ``images/`` and ``images_001/images … images_012/images``.

    The numbered folders may also hold the images themselves. One listing a folder, no look at the
    single files.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: for a name that is in two folders.
    """
    folders = [root / 'images', *sorted(root.glob('images_[0-9][0-9][0-9]'))]
    folders += [folder / 'images' for folder in folders]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        raise FileNotFoundError(
            f'no {(root / "images").absolute()} (and no images_001 next to it).'
        )
    index: dict[str, str] = {}
    problems = []
    for folder in map(str, folders):
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.endswith('.png'):
                    continue
                if entry.name in index:
                    problems.append(
                        f'{entry.name} is in {index[entry.name]} and in {folder}; '
                        'remove one of the two'
                    )
                else:
                    index[entry.name] = folder
    refuse(sorted(problems))
    return index
