"""The phantom on the disk, in CheXpert's own layout and file formats.

A visit of a patient is a study: a frontal view, and in about a sixth of the studies a lateral one.
Its labels hold for both views.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mlrfnet_mm.datasets.phantom.chexpert.labels import expert_labels, report_labels
from mlrfnet_mm.datasets.phantom.exposure import render_frontal
from mlrfnet_mm.datasets.phantom.folder import (
    Layout,
    PhantomSummary,
    Record,
    table,
    write_file,
    write_folder,
)
from mlrfnet_mm.datasets.phantom.lateral import render_lateral
from mlrfnet_mm.datasets.phantom.patients import STUDY, draw_patient, random_stream
from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS

VERSION = 1  # of the generator; raise it whenever the same seed gives other bytes
PREFIX = 'CheXpert-v1.0-small'  # what the Path column begins with, whatever the folder's name
HEADER = ','.join(['Path', 'Sex', 'Age', 'Frontal/Lateral', 'AP/PA', *FINDINGS])
LATERAL_SHARE = 1 / 6  # of the studies; in CheXpert 32,387 laterals in 187,641 studies
LONG_SIDE = (1.0, 1.22)  # of an image, in short sides: not square, much as CheXpert's are
OLDEST = 90  # years; the real tables go no further, so that nobody is known by their age
GENDERS = dict(M='Male', F='Female')


class View(NamedTuple):
    """One image of a study."""

    name: str  # 'frontal' or 'lateral'
    height: int  # pixels
    width: int


def write_chexpert_phantom(
    out: Path,
    patients: int,
    size: int = 128,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Writes the data set in CheXpert's layout, or finds it there already.

    ``train.csv`` has labels as reports leave them, ``valid.csv`` the true ones of the patients
    that `is_valid_patient` chooses. The images are gray JPEGs.

    Args:
        out: folder; must be new, empty, or hold a phantom of the same parameters.
        patients: number of patients, each with 1 … 5 studies.
        size: pixels of the shorter side; the longer one has up to 1.22 times as many.
        seed: seed of the whole data set.
        workers: processes; the files do not depend on it.
        progress: called with the number of patients finished since its last call.

    Raises:
        FileExistsError: the folder holds anything else; nothing is touched.
    """
    out = Path(out)
    layout = Layout(
        partial(_write_patient, out, seed, size),
        partial(_write_tables, out),
        images=('train/*/*/*.jpg', 'valid/*/*/*.jpg'),
    )
    parameters = dict(layout='chexpert', generator=VERSION, patients=patients, size=size, seed=seed)
    return write_folder(out, layout, parameters, workers, progress)


def is_valid_patient(patient_id: int) -> bool:
    """Every fifth patient is in the validation table."""
    return patient_id % 5 == 0


def _write_patient(out: Path, seed: int, size: int, patient_id: int) -> Record:
    """Writes a patient's images; returns the rows of the table that the patient is in."""
    patient = draw_patient(seed, patient_id)
    valid = is_valid_patient(patient_id)
    rows = []
    for index, visit in enumerate(patient.visits):
        rng = random_stream(seed, patient_id, STUDY, index)
        views = _draw_views(rng, size)
        labels = expert_labels(visit.findings) if valid else report_labels(visit.findings, rng)
        part = 'valid' if valid else 'train'
        study = f'{part}/patient{patient_id:05d}/study{index + 1}'
        (out / study).mkdir(parents=True, exist_ok=True)
        for number, view in enumerate(views, 1):
            path = f'{study}/view{number}_{view.name}.jpg'
            image = _render(seed, patient_id, index, view)
            _, jpeg = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            write_file(out / path, jpeg.tobytes())
            direction = visit.view if view.name == 'frontal' else ''
            rows.append([
                f'{PREFIX}/{path}', GENDERS[patient.gender], min(visit.age, OLDEST),
                view.name.capitalize(), direction, *labels,
            ])  # fmt: skip
    return dict(patient=patient_id, valid=valid, rows=rows)


def _draw_views(rng: np.random.Generator, size: int) -> list[View]:
    """The views of a study: a frontal one mostly lies, a lateral one stands."""
    lateral, lies = rng.random() < LATERAL_SHARE, rng.random() < 0.7
    long_sides = [round(size * factor) for factor in rng.uniform(*LONG_SIDE, 2)]
    frontal = View('frontal', *((size, long_sides[0]) if lies else (long_sides[0], size)))
    return [frontal, View('lateral', long_sides[1], size)] if lateral else [frontal]


def _render(seed: int, patient_id: int, index: int, view: View) -> NDArray[np.uint8]:
    """The image of a view, cut in the middle of a square one: collimated, not squeezed."""
    render = render_frontal if view.name == 'frontal' else render_lateral
    side = max(view.height, view.width)
    image = render(seed, patient_id, index, side)
    top, left = (side - view.height) // 2, (side - view.width) // 2
    return image[top : top + view.height, left : left + view.width]


def _write_tables(out: Path, records: list[Record]) -> int:
    """Writes the two tables; returns the number of images."""
    for name, valid in (('train.csv', False), ('valid.csv', True)):
        rows = [row for record in records if record['valid'] == valid for row in record['rows']]
        write_file(out / name, table(HEADER, rows))
    return sum(len(record['rows']) for record in records)
