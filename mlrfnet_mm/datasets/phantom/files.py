"""The phantom on the disk, in ChestX-ray14's own layout and file formats."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from mlrfnet_mm.datasets.chestxray14_tables import (
    LABEL_TABLE,
    LISTS,
    NO_FINDING,
    PHANTOM_MANIFEST,
)
from mlrfnet_mm.datasets.phantom.exposure import render
from mlrfnet_mm.datasets.phantom.patients import CLASSES, draw_patient, is_test_patient

VERSION = 1  # of the generator; raise it whenever the same seed gives other bytes
FIELD_MM = 430.0  # side of the imaged field

LABELS_HEADER = (
    'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,'
    'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'
)
BOXES_HEADER = 'Image Index,Finding Label,Bbox [x,y,w,h],,,'


class PhantomSummary(NamedTuple):
    """What `write_phantom` left on the disk, and whether it had to write anything."""

    images: int
    patients: int
    written: bool


def write_phantom(
    out: Path,
    patients: int,
    size: int = 128,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Writes the data set under a folder, or finds it there already.

    `phantom.json`, written last, marks a finished set and holds its parameters. Until then
    `phantom.partial.jsonl` does: its first line holds the parameters, each further one a patient
    whose images are written, so that a second call goes on where the first was interrupted.

    Args:
        out: folder; must be new, empty, or hold a phantom of the same parameters.
        patients: number of patients, each with 1 … 5 images.
        size: pixels a side.
        seed: seed of the whole data set.
        workers: processes; the files do not depend on it.
        progress: called with the number of patients finished since its last call.

    Raises:
        FileExistsError: the folder holds anything else; nothing is touched.
    """
    out = Path(out)
    parameters = dict(generator=VERSION, patients=patients, size=size, seed=seed)
    manifest, journal = out / PHANTOM_MANIFEST, out / 'phantom.partial.jsonl'
    if manifest.exists():
        images = _check_finished(out, manifest, parameters)
        if progress:
            progress(patients)
        return PhantomSummary(images, patients, written=False)
    done = _begin(out, journal, parameters)
    todo = [patient for patient in range(1, patients + 1) if patient not in done]
    if progress:
        progress(len(done))
    with journal.open('a', encoding='utf-8') as file:
        for record in _run(partial(_write_patient, out / 'images', seed, size), todo, workers):
            file.write(json.dumps(record) + '\n')
            file.flush()
            done[record['patient']] = record
            if progress:
                progress(1)
    images = _write_tables(out, [done[patient] for patient in range(1, patients + 1)])
    _write(manifest, json.dumps(dict(parameters, images=images), indent=2) + '\n')
    journal.unlink()
    return PhantomSummary(images, patients, written=True)


def _refuse(out: Path, reason: str) -> FileExistsError:
    return FileExistsError(
        f'{out} {reason}. Nothing was changed: name another folder, or remove this one first if '
        'you no longer need it'
    )


def _check_finished(out: Path, manifest: Path, parameters: dict[str, int]) -> int:
    found = json.loads(manifest.read_text(encoding='utf-8'))
    images = found.pop('images')
    if found != parameters:
        raise _refuse(out, f'holds a phantom made with {found}, asked for was {parameters}')
    there = sum(1 for _ in (out / 'images').glob('*.png'))
    if there != images:
        raise _refuse(out, f'holds a finished phantom that has {there} of its {images} images left')
    return images


def _begin(out: Path, journal: Path, parameters: dict[str, int]) -> dict[int, dict[str, Any]]:
    """Opens the journal, or reads the records of the patients that an earlier call finished."""
    records: list[dict[str, Any]] = []
    if journal.exists():
        for line in journal.read_text(encoding='utf-8').splitlines(keepends=True):
            if line.endswith('\n'):  # an interrupted call may have left half a line
                records.append(json.loads(line))
        if records and records[0] != parameters:
            raise _refuse(
                out, f'holds an unfinished phantom of {records[0]}, asked for was {parameters}'
            )
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise _refuse(out, 'exists and holds something that is not a generated phantom')
    out.mkdir(parents=True, exist_ok=True)
    records = records or [parameters]
    _write(journal, ''.join(json.dumps(record) + '\n' for record in records))
    (out / 'images').mkdir(exist_ok=True)
    return {record['patient']: record for record in records[1:]}


def _run(
    task: Callable[[int], dict[str, Any]], patients: list[int], workers: int
) -> Iterator[dict[str, Any]]:
    """The records of the patients in order, from a pool of processes if there are several."""
    if workers <= 1 or not patients:
        yield from map(task, patients)
        return
    # A fork server has no threads to inherit, and imports this module once for all workers.
    method = 'forkserver' if 'forkserver' in get_all_start_methods() else 'spawn'
    context = get_context(method)
    if method == 'forkserver':
        context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        yield from pool.map(task, patients, chunksize=8)
    finally:
        pool.shutdown(cancel_futures=True)


def _write_patient(folder: Path, seed: int, size: int, patient_id: int) -> dict[str, Any]:
    """Writes a patient's images; returns the rows of the label table and of the box table."""
    patient = draw_patient(seed, patient_id)
    labels: list[list[Any]] = []
    boxes: list[list[Any]] = []
    for index in range(len(patient.visits)):
        name = f'{patient_id:08d}_{index:03d}.png'
        result = render(seed, patient_id, index, size)
        _, png = cv2.imencode('.png', result.image, [cv2.IMWRITE_PNG_COMPRESSION, 6])
        _write(folder / name, png.tobytes())
        spacing = FIELD_MM / size
        labels.append([
            name, '|'.join(result.findings) or NO_FINDING, index, patient_id, result.age,
            result.gender, result.view, size, size, spacing, spacing,
        ])  # fmt: skip
        boxes.extend([name, *box] for box in result.boxes)
    return dict(patient=patient_id, labels=labels, boxes=boxes)


def _write_tables(out: Path, records: list[dict[str, Any]]) -> int:
    """Writes the two tables and the two lists; returns the number of images."""
    labels = [row for record in records for row in record['labels']]
    boxes = [row for record in records for row in record['boxes']]
    boxes.sort(key=lambda row: (CLASSES.index(row[1]), row[0]))  # by finding, as in the real file
    _write(out / LABEL_TABLE, _table(LABELS_HEADER, labels))
    _write(out / 'BBox_List_2017.csv', _table(BOXES_HEADER, boxes))
    for part, name in LISTS['official'].items():
        chosen = [row[0] for row in labels if is_test_patient(row[3]) == (part == 'test')]
        _write(out / name, ''.join(f'{image}\n' for image in chosen))
    return len(labels)


def _table(header: str, rows: list[list[Any]]) -> str:
    return header + '\n' + ''.join(','.join(map(str, row)) + '\n' for row in rows)


def _write(path: Path, content: str | bytes) -> None:
    """Writes the whole file or nothing."""
    part = path.with_name(path.name + '.part')
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(part, path)
