"""What the label tables of the chest X-ray data sets have in common.

Reading lists, checking that no patient is in two of them, splitting by a hash, and saying what is
wrong: plain functions without a data set class, so that tools and tests use them without images.
"""

import csv
import gzip
import hashlib
import io
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path


def refuse(problems: Sequence[str], error: type[Exception] = ValueError) -> None:
    """Do nothing if there are no problems, else raise the first one with the count of the others.

    Args:
        problems: sentences that name file, line and value found, and the way out.
        error: the type to raise; it must be constructible with one string.

    Raises:
        error: if ``problems`` is not empty.
    """
    if problems:
        rest = len(problems) - 1
        raise error(problems[0] + (f' (… and {rest:,} more)' if rest else ''))


def stable_bucket(text: str, buckets: int) -> int:
    """SHA-256 of the UTF-8 text, read as one big-endian integer, modulo ``buckets``.

    The same in every language, on every machine and in every version; no random generator.

    >>> stable_bucket('abc', 8)  # the digest ends in …15ad, and 0xd % 8 = 5
    5
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), 'big') % buckets


HASH_SPLITS = ('train', 'val', 'test')


def hash_split(dataset: str, patient: str) -> str:
    """The split of a patient where no official one is published: 7, 1 and 2 tenths.

    The rule: take the SHA-256 of the text ``<dataset>/split/<patient>``, as a big-endian integer
    modulo 10; 0 is ``val``, 1 and 2 are ``test``, what is left is ``train``. In a shell:
    ``printf PadChest/split/839860488694292331637988235681460987 | sha256sum``.

    >>> hash_split('PadChest', '839860488694292331637988235681460987')
    'train'
    """
    place = stable_bucket(f'{dataset}/split/{patient}', 10)
    return 'val' if place == 0 else 'test' if place < 3 else 'train'


def index_files(folders: Sequence[Path], suffixes: Sequence[str]) -> dict[str, str]:
    """Find image files by name: name without suffix → path; one listing per folder.

    Folders that are absent are passed over.

    Args:
        folders: that hold the files, not deeper.
        suffixes: of the files that count, in lower case.

    Raises:
        ValueError: for a name that is there twice.
    """
    index: dict[str, str] = {}
    problems = []
    for folder in folders:
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)
                if suffix.lower() not in suffixes:
                    continue
                if stem in index:
                    problems.append(
                        f'{index[stem]} and {entry.path} are one image; remove one of the two'
                    )
                index[stem] = entry.path
    refuse(sorted(problems))
    return index


def summary_line(title: str, images: int, patients: int, positives: Mapping[str, int]) -> str:
    """The one line that a data set prints about itself.

    >>> summary_line('ChestX-ray14 official/val', 1200, 340, {'Mass': 71, 'Hernia': 2})
    'ChestX-ray14 official/val: 1,200 images, 340 patients; positives: Mass 71, Hernia 2'
    """
    counts = ', '.join(f'{name} {count:,}' for name, count in positives.items())
    return f'{title}: {images:,} images, {patients:,} patients; positives: {counts}'


def read_names(path: Path) -> dict[str, int]:
    """Read an image list: base names in file order, each with its line number (from 1).

    Only a line's first field counts, and of that the base name: lists in the manner of
    ``images_001/00000001_000.png 0 1 0 …`` are read too, their labels are not. Empty lines are
    passed over; the last line may end without a newline.

    Raises:
        ValueError: for a name that is in the list twice.
    """
    names: dict[str, int] = {}
    problems = []
    with path.open(encoding='utf-8-sig', errors='replace') as file:
        for number, line in enumerate(file, 1):
            fields = line.split(maxsplit=1)
            if not fields:
                continue
            name = fields[0].rsplit('/', 1)[-1]
            if name in names:
                problems.append(
                    f'{path}, line {number}: {name} is in the list already, at line '
                    f'{names[name]}; remove one of the two lines'
                )
            else:
                names[name] = number
    refuse(problems)
    return names


def table_file(folder: Path, name: str) -> Path:
    """Return the table, or its ``.gz`` where the table itself is absent.

    Raises:
        FileNotFoundError: if there is neither.
    """
    for path in (folder / name, folder / f'{name}.gz'):
        if path.is_file():
            return path
    raise FileNotFoundError(f'no {(folder / name).absolute()} (and no .gz next to it).')


def _open(path: Path) -> io.TextIOWrapper:
    content = path.read_bytes()  # whole: reading lines through gzip takes twice the time
    if path.suffix == '.gz':
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ValueError(f'{path}: {error}; get the file again') from error
    return io.TextIOWrapper(io.BytesIO(content), encoding='utf-8-sig', errors='replace', newline='')


def read_header(path: Path) -> list[str]:
    """The names of the columns of a csv, plain or ``.gz``."""
    return next(csv.reader(_open(path)), [])


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Read some columns of a csv, plain or ``.gz``, by name: line number (from 1) and fields.

    Args:
        path: of the table.
        columns: two or more names; fields come in this order, whatever order the table has.

    Raises:
        ValueError: for a missing or repeated column, a row of another width than the header, and
            a file that is not CSV.
    """
    text = _open(path)
    reader = csv.reader(text)
    try:
        header = next(reader, [])
        for name in columns:
            if header.count(name) != 1:
                raise ValueError(
                    f'{path}, line 1: the header needs one column {name!r}, got '
                    f'{",".join(header)!r}; take the table as it was published'
                )
        pick = itemgetter(*map(header.index, columns))
        width = len(header)
        for row in reader:
            if len(row) == width:
                yield reader.line_num, pick(row)
            elif row:
                raise ValueError(
                    f'{path}, line {reader.line_num}: {len(row)} fields in {",".join(row)!r}, the '
                    f'header has {width}; correct the row, or get the file again'
                )
    except csv.Error as error:
        raise ValueError(f'{path}, line {reader.line_num}: {error}; correct it') from error


def check_patient_folders(table: Path, paths: Sequence[str], lines: Sequence[int]) -> None:
    """Refuse images whose patient has no folder, and a first image that is absent.

    One listing for each folder of patients, where a look at 223,414 single files takes a second on
    a local disk and minutes over a network. An image that is missing in the folder of its patient
    is found when it is read.

    Args:
        table: the file that names the images.
        paths: like ``…/<patient>/<study>/<image>``.
        lines: of the images in the table.

    Raises:
        FileNotFoundError: with line and path of the first one.
    """
    patients: dict[str, int] = {}  # folder → line of its first image
    for path, line in zip(paths, lines, strict=True):
        patients.setdefault(path.rsplit('/', 2)[0], line)
    listings: dict[str, set[str]] = {}
    missing = [(paths[0], lines[0])] if not os.path.isfile(paths[0]) else []
    for folder, line in patients.items():
        parent, name = folder.rsplit('/', 1)
        if parent not in listings:
            listings[parent] = set(os.listdir(parent)) if os.path.isdir(parent) else set()
        if name not in listings[parent]:
            missing.append((folder, line))
    refuse(
        [
            f'{table.absolute()}, line {line}: no {os.path.abspath(path)}; get the missing '
            'archives or remove the rows'
            for path, line in missing
        ],
        FileNotFoundError,
    )


def check_disjoint(
    lists: Mapping[Path, Mapping[str, int]], patients: Mapping[str, Hashable]
) -> None:
    """Refuse an image or a patient that is in two lists.

    Args:
        lists: for each list file its names with their line numbers, as `read_names` gives them.
        patients: the patient of each image name.

    Raises:
        ValueError: for an image in two lists; then, for a patient in two lists.
    """
    image_seen: dict[str, Path] = {}
    patient_seen: dict[Hashable, tuple[Path, str]] = {}
    shared_images: list[str] = []
    shared_patients: dict[Hashable, str] = {}  # one problem per patient, however many images
    for path, names in lists.items():
        for name, number in names.items():
            other = image_seen.setdefault(name, path)
            if other is not path:
                shared_images.append(
                    f'{path}, line {number}: {name} is in {other}, line {lists[other][name]}, '
                    'too; an image belongs to one list only: remove one of the two lines'
                )
            patient = patients[name]
            first, sibling = patient_seen.setdefault(patient, (path, name))
            if first is not path and patient not in shared_patients:
                shared_patients[patient] = (
                    f'{path}, line {number}: patient {patient} ({name}) is in {first}, line '
                    f'{lists[first][sibling]} ({sibling}), too; move all images of a patient '
                    'into one list, or take the lists as they were published'
                )
    refuse(shared_images)
    refuse(list(shared_patients.values()))
