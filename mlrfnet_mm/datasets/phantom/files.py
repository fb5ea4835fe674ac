"""The phantom on the disk, in ChestX-ray14's own layout and file formats."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from mlrfnet_mm.datasets.phantom.exposure import render
from mlrfnet_mm.datasets.phantom.folder import (
    Layout,
    PhantomSummary,
    Record,
    table,
    write_file,
    write_folder,
)
from mlrfnet_mm.datasets.phantom.patients import (
    CLASSES,
    describe_planted,
    draw_patient,
    is_test_patient,
)
from mlrfnet_mm.datasets.published.chestxray14.tables import LABEL_TABLE, LISTS, NO_FINDING

VERSION = 1  # of the generator; raise it whenever the same seed gives other bytes
FIELD_MM = 430.0  # side of the imaged field

LABELS_HEADER = (
    'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,'
    'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'
)
BOXES_HEADER = 'Image Index,Finding Label,Bbox [x,y,w,h],,,'


def write_phantom(
    out: Path,
    patients: int,
    size: int = 128,
    seed: int = 0,
    workers: int = 2,
    planted: bool = False,
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Writes the data set in ChestX-ray14's layout, or finds it there already.

    Args:
        out: folder; must be new, empty, or hold a phantom of the same parameters.
        patients: number of patients, each with 1 … 5 images.
        size: pixels a side.
        seed: seed of the whole data set.
        workers: processes; the files do not depend on it.
        planted: some findings are rarer or fainter in some groups, see `patients`.
        progress: called with the number of patients finished since its last call.

    Raises:
        FileExistsError: the folder holds anything else; nothing is touched.
    """
    out = Path(out)
    layout = Layout(
        partial(_write_patient, out / 'images', seed, size, planted),
        partial(_write_tables, out),
        images=('images/*.png',),
    )
    parameters: Record = dict(
        layout='chestxray14', generator=VERSION, patients=patients, size=size, seed=seed
    )
    if planted:
        parameters['planted'] = describe_planted()
    return write_folder(out, layout, parameters, workers, progress)


def _write_patient(folder: Path, seed: int, size: int, planted: bool, patient_id: int) -> Record:
    """Writes a patient's images; returns the rows of the label table and of the box table."""
    folder.mkdir(exist_ok=True)
    patient = draw_patient(seed, patient_id, planted)
    labels: list[list[Any]] = []
    boxes: list[list[Any]] = []
    for index in range(len(patient.visits)):
        name = f'{patient_id:08d}_{index:03d}.png'
        result = render(seed, patient_id, index, size, planted=planted)
        _, png = cv2.imencode('.png', result.image, [cv2.IMWRITE_PNG_COMPRESSION, 6])
        write_file(folder / name, png.tobytes())
        spacing = FIELD_MM / size
        labels.append([
            name, '|'.join(result.findings) or NO_FINDING, index, patient_id, result.age,
            result.gender, result.view, size, size, spacing, spacing,
        ])  # fmt: skip
        boxes.extend([name, *box] for box in result.boxes)
    return dict(patient=patient_id, labels=labels, boxes=boxes)


def _write_tables(out: Path, records: list[Record]) -> int:
    """Writes the two tables and the two lists; returns the number of images."""
    labels = [row for record in records for row in record['labels']]
    boxes = [row for record in records for row in record['boxes']]
    boxes.sort(key=lambda row: (CLASSES.index(row[1]), row[0]))  # by finding, as in the real file
    write_file(out / LABEL_TABLE, table(LABELS_HEADER, labels))
    write_file(out / 'BBox_List_2017.csv', table(BOXES_HEADER, boxes))
    for part, name in LISTS['official'].items():
        chosen = [row[0] for row in labels if is_test_patient(row[3]) == (part == 'test')]
        write_file(out / name, ''.join(f'{image}\n' for image in chosen))
    return len(labels)
