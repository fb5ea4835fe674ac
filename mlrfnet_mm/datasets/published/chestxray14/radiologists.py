"""Radiologists' labels of 4,376 images of ChestX-ray14: a second reference for four findings.

Majkowska et al., "Chest Radiograph Interpretation with Deep Learning Models: Assessment with
Radiologist-adjudicated Reference Standards and Population-adjusted Evaluation", Radiology 2020.
https://doi.org/10.1148/radiol.2019191293, the table at
https://cloud.google.com/healthcare-api/docs/resources/public-datasets/nih-chest
"""

from pathlib import Path
from typing import Any, NamedTuple

from mlrfnet_mm.datasets.published.chestxray14.tables import (
    LISTS,
    PERSON,
    Person,
    index_images,
    read_person,
)
from mlrfnet_mm.datasets.published.labeled_xrays import LabeledXrays
from mlrfnet_mm.datasets.tables import (
    read_columns,
    read_header,
    read_names,
    refuse,
    table_file,
)
from mlrfnet_mm.registry import DATASETS

RADIOLOGISTS = ('Fracture', 'Pneumothorax', 'Airspace opacity', 'Nodule or mass')
TABLE = 'google2019_nih-chest-xray-labels.csv'
SPLITS = ('val', 'test')  # column Set Id
MARKS = {'NO': 0, 'YES': 1}


class Reference(NamedTuple):
    """The table, by image name with its suffix."""

    labels: dict[str, bytes]  # four bytes of 0 or 1, in the order of RADIOLOGISTS
    sets: dict[str, str]
    patients: dict[str, str]
    lines: dict[str, int]
    people: dict[str, Person]  # empty where the table has no such columns


def read_table(path: Path) -> Reference:
    """Read ``google2019_nih-chest-xray-labels.csv``, or its ``.gz``.

    Raises:
        ValueError: for another header, a mark that is not YES or NO, an unknown set, a patient ID
            that is not a number, a second row of an image, a patient in both sets, and what
            `read_person` refuses.
    """
    table = Reference({}, {}, {}, {}, {})
    of_patient: dict[str, str] = {}
    problems = []
    columns = ('Image Index', 'Patient ID', 'Set Id', *RADIOLOGISTS)
    more = PERSON if set(PERSON) <= set(read_header(path)) else []
    for line, (image, patient, part, *marks) in read_columns(path, (*columns, *more)):
        marks, person, problem = marks[: len(RADIOLOGISTS)], marks[len(RADIOLOGISTS) :], ''
        wrong = [(n, m) for n, m in zip(RADIOLOGISTS, marks, strict=True) if m not in MARKS]
        if image in table.lines:
            problem = f'a row already, at line {table.lines[image]}; remove one of the two'
        elif wrong:
            problem = f'{wrong[0][1]!r} in column {wrong[0][0]!r}, which is YES or NO; correct it'
        elif part not in SPLITS:
            problem = f'{part!r} in column Set Id, which is one of {", ".join(SPLITS)}; correct it'
        elif not patient.isdecimal():
            problem = f'patient ID {patient!r}, which is not a number; correct it'
        elif of_patient.setdefault(patient, part) != part:
            problem = f'patient {patient}, who is in {of_patient[patient]}, too; take the table as '
            problem += 'it was published'
        elif person:
            try:
                table.people[image] = read_person(*person)
            except ValueError as error:
                problem = f'{error}; correct it'
        if problem:
            problems.append(f'{path}, line {line}: {image} has {problem}')
            continue
        table.labels[image] = bytes(MARKS[mark] for mark in marks)
        table.sets[image], table.patients[image], table.lines[image] = part, patient, line
    refuse(problems)
    return table


def check_lists(path: Path, table: Reference, root: Path) -> None:
    """Refuse images of a set that the official list of the other split has, where it is there.

    Raises:
        ValueError: with the first one.
    """
    other = dict(val=LISTS['official']['test'], test=LISTS['official']['train_val'])
    for part, name in other.items():
        if not (root / name).is_file():
            continue
        listed = read_names(root / name)
        refuse(
            [
                f'{path}, line {table.lines[image]}: {image} is in the set {part}, and in '
                f'{root / name}, line {listed[image]}; take the table as it was published'
                for image, found in table.sets.items()
                if found == part and image in listed
            ]
        )


@DATASETS.register_module()
class NIHRadiologists(LabeledXrays):
    """ChestX-ray14's images with radiologists' labels: Fracture, Pneumothorax, opacity, nodule.

    Labels that radiologists read from the images, where NIH's own were mined from the reports:
    ``test`` are 1,962 images, all in the official test list, ``val`` 2,414 of its
    ``train_val_list.txt``. It is a second reference for a model of the official protocol, which has
    not seen the images of ``test``, but those of ``val``.

    The folder is that of ChestX-ray14 with ``google2019_nih-chest-xray-labels.csv`` (or
    ``.csv.gz``). An item holds ``img_path``, ``gt_score`` (float32, ``(4,)``), ``patient_id`` and
    mmengine's ``sample_idx``.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``XRAY14_ROOT`` and, if that is not set, ``data/ChestX-ray14``.
        split: ``'val'`` or ``'test'``.
        **options: ``pipeline``, ``prepared``, ``test_mode`` and the others of `XrayDataset`; with a
            prepared store the images themselves may be absent.

    Raises:
        FileNotFoundError: for a missing folder, table or image.
        ValueError: for an unknown or empty split, and what `read_table` and `check_lists` refuse.
    """

    METAINFO = dict(
        dataset='ChestX-ray14 (radiologists)', classes=RADIOLOGISTS, images_of='ChestX-ray14'
    )
    default_root = 'data/ChestX-ray14'
    root_variable = 'XRAY14_ROOT'
    url = 'https://doi.org/10.1148/radiol.2019191293'  # and the images from NIH
    splits = SPLITS

    def __init__(self, data_root: str | None = None, split: str = 'test', **options: Any) -> None:
        super().__init__(data_root, dict(protocol='official', split=split), **options)

    def _read(self, root: Path) -> list[dict[str, Any]]:
        path = table_file(root, TABLE)
        table = read_table(path)
        check_lists(path, table, root)
        chosen = [n for n, part in table.sets.items() if part == self._metainfo['split']]
        try:
            files = {name: f'{folder}/{name}' for name, folder in index_images(root).items()}
        except FileNotFoundError:
            if self.store is None:
                raise
            files = {}
        stems = {name: name.rsplit('.', 1)[0] for name in chosen}
        items = self._items(
            path,
            {stems[name]: table.labels[name] for name in chosen},
            {stems[name]: table.lines[name] for name in chosen},
            {name.rsplit('.', 1)[0]: file for name, file in files.items()},
            f'an image folder of {root.absolute()}',
            {stems[name]: table.patients[name] for name in chosen},
        )
        for item, name in zip(items, chosen if table.people else (), strict=bool(table.people)):
            item.update(table.people[name]._asdict())
        return items
