"""MIMIC-CXR-JPG's three tables, read, checked and joined; no images.

Johnson et al., "MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs",
2019. https://arxiv.org/abs/1901.07042
"""

from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS, Xrays, encode_labels
from mlrfnet_mm.datasets.tables import check_disjoint, read_columns, refuse, table_file

LABELS, SPLIT, METADATA = (
    f'mimic-cxr-2.0.0-{name}.csv' for name in ('chexpert', 'split', 'metadata')
)
SPLITS = ('train', 'validate', 'test')
VIEW_POSITIONS = dict(PA='Frontal', AP='Frontal', LATERAL='Lateral', LL='Lateral')
# Images belong to 227,835 studies, labels to 227,827: eight are known to have none. Many more
# mean that the table of labels is cut.
MAX_UNLABELLED = 100


class Image(NamedTuple):
    """A row of ``…-split.csv``, with its view."""

    path: str  # files/p10/p10000032/s50414267/<dicom_id>.jpg
    patient: str
    study: str
    view: str
    line: int


class MIMICSplit(NamedTuple):
    """One split, all views."""

    table: Path
    images: Xrays
    unlabeled: dict[str, int]  # studies without labels → their line; not in `images`


def read_labels(path: Path) -> dict[str, tuple[str, bytes]]:
    """Read ``…-chexpert.csv``: study → (patient, 14 codes in the order of ``FINDINGS``).

    The file has another order of columns than CheXpert's; they are taken by name.

    Raises:
        ValueError: for another header, malformed rows, an unknown label, a second row of a study.
    """
    labels: dict[str, tuple[str, bytes]] = {}
    problems = []
    for line, values in read_columns(path, ('subject_id', 'study_id', *FINDINGS)):
        patient, study = values[:2]
        where = f'{path}, line {line}: study {study}'
        if study in labels:
            problems.append(f'{where} is there already; remove one of the two')
        try:
            labels[study] = patient, encode_labels(*values[2:])
        except ValueError as error:
            problems.append(f'{where} {error}')
    refuse(problems)
    return labels


def read_views(path: Path) -> dict[str, str]:
    """Read ``…-metadata.csv``: image → ViewPosition.

    Raises:
        ValueError: for a malformed table and for two rows of an image.
    """
    views: dict[str, str] = {}
    problems = []
    for line, (image, view) in read_columns(path, ('dicom_id', 'ViewPosition')):
        if image in views:
            problems.append(f'{path}, line {line}: a second row of {image}; remove one of the two')
        views[image] = view
    refuse(problems)
    return views


def _read_images(path: Path, views: dict[str, str]) -> dict[str, dict[str, Image]]:
    """Read ``…-split.csv``: split → dicom_id → image."""
    images: dict[str, dict[str, Image]] = {split: {} for split in SPLITS}
    problems = []
    columns = ('dicom_id', 'study_id', 'subject_id', 'split')
    for line, (name, study, patient, split) in read_columns(path, columns):
        problem = ''
        if split not in SPLITS:
            problem = (
                f"{split!r} in column 'split', which is one of {', '.join(SPLITS)}; correct it"
            )
        elif not (patient.isdecimal() and study.isdecimal()):
            problem = (
                f'subject_id {patient!r} and study_id {study!r}, which are numbers; correct them'
            )
        elif name not in views:
            problem = f'no row in {METADATA}; take the tables of one version'
        elif name in images[split]:
            problem = f'a row already, at line {images[split][name].line}; remove one of the two'
        else:
            file = f'files/p{patient[:2]}/p{patient}/s{study}/{name}.jpg'
            view = VIEW_POSITIONS.get(views[name], 'Other')
            images[split][name] = Image(file, patient, study, view, line)
        if problem:
            problems.append(f'{path}, line {line}: image {name} has {problem}')
    refuse(problems)
    return images


def read_split(folder: Path, split: str) -> MIMICSplit:
    """Return one of the official splits, joined from the three tables.

    Raises:
        FileNotFoundError: for a missing table.
        ValueError: for an unknown split, faults in a table, a patient in two splits, tables that
            disagree, and more than ``MAX_UNLABELLED`` studies without labels.
    """
    if split not in SPLITS:
        raise ValueError(f'split must be one of {", ".join(SPLITS)}, got {split!r}')
    path, label_file = table_file(folder, SPLIT), table_file(folder, LABELS)
    images = _read_images(path, read_views(table_file(folder, METADATA)))
    check_disjoint(
        {
            Path(f'{path} ({key})'): {name: image.line for name, image in part.items()}
            for key, part in images.items()
        },
        {name: image.patient for part in images.values() for name, image in part.items()},
    )
    labels = read_labels(label_file)
    result = MIMICSplit(path, Xrays([], [], [], [], [], []), {})
    problems = []
    for image in images[split].values():
        if image.study not in labels:
            result.unlabeled.setdefault(image.study, image.line)
            continue
        patient, codes = labels[image.study]
        if patient != image.patient:
            problems.append(
                f'{path}, line {image.line}: study {image.study} is of patient {image.patient}, in '
                f'{label_file} of {patient}; take the tables of one version'
            )
        result.images.add(image.path, image.view, codes, image.line)
    refuse(problems)
    _check_labeled(result, label_file, split)
    return result


def _check_labeled(result: MIMICSplit, label_file: Path, split: str) -> None:
    """Refuse an empty split, and one with too many studies without labels."""
    count, images = len(result.unlabeled), len(result.images.paths)
    if not count and not images:
        raise ValueError(f'{result.table}: official/{split} is empty; get the file again')
    if count > MAX_UNLABELLED or not images:
        study, line = next(iter(result.unlabeled.items()))
        raise ValueError(
            f'{label_file}: no labels for {count:,} studies of {split}, the first is {study} '
            f'({result.table}, line {line}); the file may be cut, get it again'
        )
