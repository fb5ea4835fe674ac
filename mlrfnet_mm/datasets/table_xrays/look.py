"""A look at a table of unknown make: which column is what, and where its images are."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlrfnet_mm.datasets.published.chexpert.tables import BLANK, NEGATIVE, POSITIVE, UNCERTAIN
from mlrfnet_mm.datasets.table_xrays.dataset import TableXrays
from mlrfnet_mm.datasets.table_xrays.splits import SPLITS
from mlrfnet_mm.datasets.table_xrays.table import Table, read_table
from mlrfnet_mm.datasets.table_xrays.values import (
    encode,
    label_columns,
    meanings,
    near_misses,
)

# Names without case, spaces and signs; the first that the table has is taken.
NAMES: Mapping[str, tuple[str, ...]] = dict(
    image=(
        'path', 'image', 'imagepath', 'imgpath', 'img', 'filepath', 'file', 'filename', 'imagefile',
        'imagefilename', 'imagefilepath', 'imageindex', 'imageid', 'dicompath', 'dicomfile', 'png',
    ),
    patient=(
        'patientid', 'patient', 'subjectid', 'subject', 'pid', 'mrn', 'patientnumber', 'patientno',
        'pseudonym',
    ),
    study=(
        'studyid', 'study', 'studyinstanceuid', 'studyuid', 'examid', 'exam', 'accession',
        'accessionnumber',
    ),
    view=('view', 'viewposition', 'projection', 'frontallateral'),
    sex=('sex', 'gender', 'patientsex', 'patientgender'),
    age=('age', 'patientage', 'ageyears', 'ageatstudy'),
    split=('split', 'set', 'subset', 'partition', 'fold', 'dataset'),
)  # fmt: skip
SPLIT_NAMES: Mapping[str, tuple[str, ...]] = dict(
    train=('train', 'training', 'tr'),
    val=('val', 'valid', 'validation', 'validate', 'dev', 'development', 'tune'),
    test=('test', 'testing', 'holdout', 'heldout'),
)
FRACTIONS = dict(train=0.7, val=0.1, test=0.2)
NEEDED = dict(image='the image file of each row', patient='the patient of each image')
ENDS = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.dcm', '.dicom')
LOOKED_AT = 50  # rows
KINDS = dict(positive=POSITIVE, negative=NEGATIVE, uncertain=UNCERTAIN, unknown=BLANK)


class Look(NamedTuple):
    """What was understood.

    Attributes:
        settings: arguments of :class:`TableXrays`, the same for all splits.
        parts: split → data set, read and checked.
        counts: for each label its positive, negative, uncertain and unknown images.
        left: columns that nothing was made of.
        misses: what to know of those that are nearly labels.
    """

    settings: dict[str, Any]
    parts: dict[str, TableXrays]
    counts: list[dict[str, int]]
    left: list[str]
    misses: list[str]


def look(
    path: Path,
    root: Path | None = None,
    image: str | None = None,
    patient: str | None = None,
) -> Look:
    """Find out what the columns of a table are, and read its three splits.

    Args:
        path: of the table.
        root: folder of its relative paths; ``None`` tries the table's own and those directly in it.
        image: column of the images, where it is not found by its name or its entries.
        patient: column of the patients, where it is not found by its name.

    Raises:
        FileNotFoundError: no table, or an image that is not there.
        ValueError: a column that is needed and not there, and all that :class:`TableXrays` refuses.
    """
    table = read_table(path)
    settings, column = find_settings(path, table, root, image, patient)
    labels, codes = settings['labels'], meanings(1, 0, -1, '')
    encoded = encode(table, labels, codes)
    sums = [(encoded == code).sum(0).tolist() for code in KINDS.values()]
    counts = [dict(zip(KINDS, column, strict=True)) for column in zip(*sums, strict=True)]
    parts = _read(settings)
    keys = ('image', 'patient', 'study', 'view', 'sex', 'age')
    used = [settings[key] for key in keys if key in settings]
    left = [name for name in table.columns if name not in (*used, *labels, column)]
    misses = near_misses(table, codes, [name for name in table.columns if name not in left])
    return Look(settings, parts, counts, left, misses)


def find_settings(
    path: Path,
    table: Table,
    root: Path | None = None,
    image: str | None = None,
    patient: str | None = None,
) -> tuple[dict[str, Any], str | None]:
    """Arguments of :class:`TableXrays` for a table, and its column of splits, as :func:`look` does.

    Raises:
        FileNotFoundError: an image that is not there.
        ValueError: a column that is needed and not there.
    """
    named = {key: _named(table, key) for key in NAMES}
    for key, column in dict(image=image, patient=patient).items():
        if column is not None:
            table.column(column, f'--{key}')
            named[key] = column
    if named['image'] is None:
        named['image'] = next(_with_files(table), None)
    for key, what in NEEDED.items():
        if named[key] is None:
            raise ValueError(
                f'{path} has no column that is known as {what}: its columns are '
                f'{", ".join(map(repr, table.columns))}. Say which one it is by --{key} COLUMN, or '
                f'call it {NAMES[key][0] if key == "image" else "patient_id"!r}'
            )
    if named['study'] and len({*table.columns[named['study']]}) == len(table.lines):
        named['study'] = None  # one image each: nothing to score together
    folder = _root(table, str(named['image']), root)
    whole = path.resolve()
    settings: dict[str, Any] = dict(
        data_root=str(folder),
        table=str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole),
        image=named['image'],
        patient=named['patient'],
    )
    settings['splits'], column = _splits(table, named['split'])
    settings |= {key: named[key] for key in ('study', 'view', 'sex', 'age') if named[key]}
    used = [name for key, name in named.items() if name and key != 'split']
    used += [column] if column else []
    settings['labels'] = label_columns(table, meanings(1, 0, -1, ''), used)
    if not settings['labels']:
        raise ValueError(
            f'{path} has no column of labels: one per finding, with 1 and 0, -1 for uncertain and '
            f'blank for unknown, and at least one 1. Its other columns are '
            f'{", ".join(repr(name) for name in table.columns if name not in used) or "none"}; '
            'other values can be said in a config: positive=, negative= of mlrfnet_mm.TableXrays'
        )
    return settings, column


def _read(settings: dict[str, Any]) -> dict[str, TableXrays]:
    """Read the splits; without the study where its images have labels of their own."""
    try:
        return {split: TableXrays(**settings, split=split) for split in SPLITS}
    except ValueError as error:
        if 'study' not in settings or 'scores per study need one label' not in str(error):
            raise
        del settings['study']
        return {split: TableXrays(**settings, split=split) for split in SPLITS}


def _simple(name: str) -> str:
    return re.sub(r'[^a-z0-9]', '', name.lower())


def _named(table: Table, key: str) -> str | None:
    simple = {_simple(name): name for name in reversed(table.columns)}
    return next((simple[name] for name in NAMES[key] if name in simple), None)


def _with_files(table: Table) -> Iterator[str]:
    """Columns whose first entries all look like files of images."""
    for name, column in table.columns.items():
        if all(entry.strip().lower().endswith(ENDS) for entry in column[:LOOKED_AT]):
            yield name


def _root(table: Table, image: str, root: Path | None) -> Path:
    """Folder at which the paths begin: the first that has the first image.

    Raises:
        FileNotFoundError: none has.
    """
    own = table.path.resolve().parent
    entry = table.column(image, 'image')[0]
    if root is not None:
        return root.expanduser().resolve()
    tried = [own, *sorted(p for p in own.iterdir() if p.is_dir())]
    for folder in tried:
        if (folder / entry).is_file():
            return folder
    raise FileNotFoundError(
        f'{table.where(0)}: no file {entry!r} (column {image!r}) in {own} or in a folder directly '
        'in it; say where the paths begin by --data-root DIR, or which column has them by --image'
    )


def _splits(table: Table, column: str | None) -> tuple[str | dict[str, Any], str | None]:
    """The argument ``splits``, and the column that it is from."""
    if column is None:
        return dict(FRACTIONS), None
    entries = sorted(set(table.column(column, 'splits')))
    names: dict[str, list[str]] = {split: [] for split in SPLITS}
    for entry in entries:
        split = next((s for s in SPLITS if entry.lower() in SPLIT_NAMES[s]), None)
        if split is None:
            return dict(FRACTIONS), None  # something else of this name
        names[split].append(entry)
    if not names['train'] or len(entries) == 1:
        return dict(FRACTIONS), None
    if all(names[split] == [split] for split in SPLITS):
        return column, column
    given: dict[str, Any] = {split: found for split, found in names.items() if found}
    missing = {split: FRACTIONS[split] for split in SPLITS if not names[split]}
    return dict(column=column, **given, **missing), column
