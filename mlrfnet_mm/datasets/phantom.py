"""A generated chest data set in ChestX-ray14's own layout: 14 findings with true labels and boxes.

It is a physics toy, not a simulator, and carries no medical truth. A chest is a map of attenuation
(`phantom_anatomy`), the findings change it (`phantom_findings`), and an image is Beer–Lambert
transmission I = exp(-attenuation), with scatter, detector blur, quantum noise and a film-like
display. It serves to try a training pipeline end to end where the real images are not at hand.

An image depends on (seed, patient, index, size) alone: not on the number of patients or of workers.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mlrfnet_mm.datasets.chestxray14_tables import LABEL_TABLE, LISTS, NO_FINDING
from mlrfnet_mm.datasets.phantom_anatomy import Chest, Map, Pose, vessel_tree
from mlrfnet_mm.datasets.phantom_findings import PAINT, RESHAPE, Place
from mlrfnet_mm.datasets.phantom_patients import (
    CLASSES,
    NOISE,
    PAINT_DRAW,
    RESHAPE_DRAW,
    VESSELS,
    VISIT,
    draw_patient,
    is_test_patient,
    random_stream,
)

VERSION = 1  # of the generator; raise it whenever the same seed gives other bytes
FRAME = 1024  # pixels a side of the frame that boxes are given in, as in BBox_List_2017.csv
FIELD_MM = 430.0  # side of the imaged field

LABELS_HEADER = (
    'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,'
    'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'
)
BOXES_HEADER = 'Image Index,Finding Label,Bbox [x,y,w,h],,,'


@dataclass(frozen=True)
class PhantomImage:
    """One rendered image."""

    image: NDArray[np.uint8]  # (size, size)
    findings: tuple[str, ...]  # in the order of CLASSES; empty is 'No Finding'
    boxes: list[tuple[str, float, float, float, float]]  # (finding, x, y, w, h) in the 1024 frame
    age: int  # years
    gender: str  # 'M' or 'F'
    view: str  # 'PA' or 'AP'


class PhantomSummary(NamedTuple):
    """What `write_phantom` left on the disk, and whether it had to write anything."""

    images: int
    patients: int
    written: bool


def render(
    seed: int, patient_id: int, index: int, size: int = 128, without: Collection[str] = ()
) -> PhantomImage:
    """Renders one image of a patient.

    A finding's box holds where it changes the noise-free image: 1 % of the summed absolute change
    is cut off at most at each of the four sides.

    Args:
        seed: seed of the whole data set.
        patient_id: number of the patient, from 1.
        index: number of the patient's image, from 0.
        size: pixels a side.
        without: findings to leave out; all else, the noise draw included, stays as it is.

    Raises:
        IndexError: the patient has no image of that index.
        ValueError: `without` names something that is not a finding.
    """
    patient = draw_patient(seed, patient_id)
    if not 0 <= index < len(patient.visits):
        raise IndexError(
            f'patient {patient_id} of seed {seed} has {len(patient.visits)} images, index must be '
            f'0 … {len(patient.visits) - 1}, got {index}'
        )
    if unknown := set(without) - set(CLASSES):
        raise ValueError(f'without must name findings out of {CLASSES}, got {sorted(unknown)}')
    visit = patient.visits[index]
    findings = tuple(name for name in visit.findings if name not in without)
    exposure = _Exposure(seed, patient_id, index, size)
    full = exposure.transmission(findings)
    clean = exposure.display(full)
    boxes = []
    for name in findings:
        rest = exposure.transmission(tuple(other for other in findings if other != name))
        boxes.append((name, *_box(np.abs(clean - exposure.display(rest)))))
    return PhantomImage(
        exposure.develop(full), findings, boxes, visit.age, patient.gender, visit.view
    )


class _Exposure:
    """One visit's chest, pose, beam and display, for any subset of its findings."""

    def __init__(self, seed: int, patient_id: int, index: int, size: int) -> None:
        self.key, self.size = (seed, patient_id), size
        self.patient = draw_patient(seed, patient_id)
        self.visit = self.patient.visits[index]
        portable = self.visit.view == 'AP'
        rng = random_stream(seed, patient_id, VISIT, index)
        turn = np.deg2rad(4.0 if portable else 1.5)
        self.pose = Pose(
            dx=rng.uniform(-0.02, 0.02),
            dy=rng.uniform(-0.015, 0.02),
            turn=rng.uniform(-turn, turn),
            scale=rng.uniform(0.97, 1.03),
        )
        # A portable film is taken from the front and of a shallower breath: a larger heart.
        thorax, breath = self.patient.thorax, rng.uniform(-0.008, 0.008) - 0.012 * portable
        self.rest = replace(
            thorax,
            domes=(thorax.domes[0] + breath, thorax.domes[1] + breath),
            heart_ratio=thorax.heart_ratio * (1.07 if portable else 1.0),
        )
        self.photons = rng.uniform(4000, 9000) * (128 / size) ** 2  # a pixel, unattenuated
        self.black, self.white = rng.uniform(0.20, 0.32), rng.uniform(2.15, 2.45)
        self.bend = rng.uniform(0.3, 0.6)  # of the display's curve
        self.noise_key = (NOISE, index)
        self._chests: dict[tuple[str, ...], Chest] = {}
        tree = _vessels(seed, patient_id)
        chest = self._chest(())
        widths, weights = (0.010, 0.006, 0.004), (0.17, 0.12, 0.10)
        drawn = (
            weight * chest.strokes(lines, width)
            for lines, width, weight in zip(tree, widths, weights, strict=True)
        )
        self.vessels = sum(drawn, 0.02 * chest.cloud(rng, 0.08))
        # Scatter is a wide blur of the healthy chest: a field that the findings leave alone.
        bare = np.exp(-chest.attenuation(self.vessels))
        small = cv2.resize(bare, (32, 32), interpolation=cv2.INTER_AREA)
        scatter = cv2.GaussianBlur(small, (0, 0), 3.0)
        self.scatter = 0.12 * cv2.resize(scatter, (size, size), interpolation=cv2.INTER_LINEAR)

    def _chest(self, findings: tuple[str, ...]) -> Chest:
        """A chest in the shape that the findings give it, not yet painted."""
        reshaping = tuple(name for name in findings if name in RESHAPE)
        if reshaping not in self._chests:
            shape = self.rest
            for name in reshaping:
                shape = RESHAPE[name](shape, self._place(name), self._draw(RESHAPE_DRAW, name))
            self._chests[reshaping] = Chest(self.rest, shape, self.pose, self.size)
        return self._chests[reshaping].copy()

    def _place(self, name: str) -> Place:
        return self.patient.places[name]._replace(growth=self.visit.growth)

    def _draw(self, stream: int, name: str) -> np.random.Generator:
        return random_stream(*self.key, stream, CLASSES.index(name))

    def transmission(self, findings: tuple[str, ...]) -> Map:
        """Share of the beam that reaches each pixel, scatter included, free of noise."""
        chest = self._chest(findings)
        for name in findings:
            if name in PAINT:
                PAINT[name](chest, self._place(name), self._draw(PAINT_DRAW, name))
        primary = np.exp(-chest.attenuation(self.vessels))
        return cv2.GaussianBlur(primary, (0, 0), 0.004 * self.size) * np.float32(0.9) + self.scatter

    def display(self, transmission: Map) -> Map:
        """Grey levels 0 … 255: bright where little comes through."""
        depth = (-np.log(np.maximum(transmission, 0.02)) - self.black) / (self.white - self.black)
        np.clip(depth, 0, 1, out=depth)
        return 255 * ((1 - self.bend) * depth + self.bend * np.sqrt(depth))

    def develop(self, transmission: Map) -> NDArray[np.uint8]:
        """The image with quantum noise: its variance is the number of photons."""
        draw = random_stream(*self.key, *self.noise_key).standard_normal(
            transmission.shape, np.float32
        )
        noisy = transmission + np.sqrt(transmission / np.float32(self.photons)) * draw
        return np.round(self.display(noisy)).astype(np.uint8)


@lru_cache(maxsize=2)
def _vessels(seed: int, patient_id: int) -> list[NDArray[np.float64]]:
    return vessel_tree(
        random_stream(seed, patient_id, VESSELS), draw_patient(seed, patient_id).thorax
    )


def _box(change: Map) -> tuple[float, float, float, float]:
    """x, y, w, h in the 1024 frame of the box that cuts off at most 1 % of the change a side."""
    edges = []
    for axis in (0, 1):
        share = change.sum(axis=axis, dtype=np.float64).cumsum()
        first, last = np.searchsorted(share / share[-1], (0.01, 0.99))
        edges.append((first, last + 1 - first))
    (x, w), (y, h) = edges
    unit = FRAME / len(change)
    return float(x * unit), float(y * unit), float(w * unit), float(h * unit)


# --- the data set on the disk ----------------------------------------------------------------


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
    manifest, journal = out / 'phantom.json', out / 'phantom.partial.jsonl'
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
