"""From a patient's visit to its frontal image, with a box for each finding."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlrfnet_mm.datasets.phantom.anatomy import Chest, Map, Pose, vessel_tree
from mlrfnet_mm.datasets.phantom.film import Film, scatter_field, transmit
from mlrfnet_mm.datasets.phantom.findings import PAINT, RESHAPE, Place
from mlrfnet_mm.datasets.phantom.patients import (
    CLASSES,
    NOISE,
    PAINT_DRAW,
    RESHAPE_DRAW,
    VESSELS,
    VISIT,
    contrasts,
    draw_patient,
    draw_visit,
    random_stream,
)

FRAME = 1024  # pixels a side of the frame that boxes are given in, as in BBox_List_2017.csv


@dataclass(frozen=True)
class PhantomImage:
    """One rendered image."""

    image: NDArray[np.uint8]  # (size, size)
    findings: tuple[str, ...]  # in the order of CLASSES; empty is 'No Finding'
    boxes: list[tuple[str, float, float, float, float]]  # (finding, x, y, w, h) in the 1024 frame
    age: int  # years
    gender: str  # 'M' or 'F'
    view: str  # 'PA' or 'AP'


def render(
    seed: int,
    patient_id: int,
    index: int,
    size: int = 128,
    without: Collection[str] = (),
    planted: bool = False,
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
        planted: some findings are rarer or fainter in some groups, see `patients`.

    Raises:
        IndexError: the patient has no image of that index.
        ValueError: `without` names something that is not a finding.
    """
    patient = draw_patient(seed, patient_id, planted)
    visit = draw_visit(seed, patient_id, index, planted)
    if unknown := set(without) - set(CLASSES):
        raise ValueError(f'without must name findings out of {CLASSES}, got {sorted(unknown)}')
    findings = tuple(name for name in visit.findings if name not in without)
    exposure = Exposure(seed, patient_id, index, size, planted)
    full = exposure.transmission(findings)
    clean = exposure.display(full)
    boxes = []
    for name in findings:
        rest = exposure.transmission(tuple(other for other in findings if other != name))
        boxes.append((name, *_box(np.abs(clean - exposure.display(rest)))))
    return PhantomImage(
        exposure.develop(full), findings, boxes, visit.age, patient.gender, visit.view
    )


def render_frontal(seed: int, patient_id: int, index: int, size: int = 128) -> NDArray[np.uint8]:
    """Renders the same image as `render`, (size, size), without looking for boxes."""
    exposure = Exposure(seed, patient_id, index, size)
    return exposure.develop(exposure.transmission(exposure.visit.findings))


class Exposure:
    """One visit's chest, pose, beam and display, for any subset of its findings."""

    def __init__(
        self, seed: int, patient_id: int, index: int, size: int, planted: bool = False
    ) -> None:
        self.key, self.size = (seed, patient_id), size
        self.patient = draw_patient(seed, patient_id, planted)
        self.visit = draw_visit(seed, patient_id, index, planted)
        about = self.patient.gender, self.visit.age, self.visit.view
        self.contrasts = contrasts(*about) if planted else {}
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
        self.film = Film.draw(rng, size)
        self.index = index
        self._chests: dict[tuple[str, ...], Chest] = {}
        tree = patient_vessels(seed, patient_id)
        chest = self._chest(())
        widths, weights = (0.010, 0.006, 0.004), (0.17, 0.12, 0.10)
        drawn = (
            weight * chest.strokes(lines, width)
            for lines, width, weight in zip(tree, widths, weights, strict=True)
        )
        self.vessels = sum(drawn, 0.02 * chest.cloud(rng, 0.08))
        # Scatter is a wide blur of the healthy chest: a field that the findings leave alone.
        self.scatter = scatter_field(chest.attenuation(self.vessels))

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
        clear = tuple(name for name in findings if name not in self.contrasts)
        attenuation = base = self._attenuation(clear)
        for name in findings:
            if name in self.contrasts:
                with_it = tuple(other for other in findings if other in clear or other == name)
                contrast = np.float32(self.contrasts[name])
                attenuation = attenuation + contrast * (self._attenuation(with_it) - base)
        return transmit(attenuation, self.scatter)

    def _attenuation(self, findings: tuple[str, ...]) -> Map:
        chest = self._chest(findings)
        for name in findings:
            if name in PAINT:
                PAINT[name](chest, self._place(name), self._draw(PAINT_DRAW, name))
        return chest.attenuation(self.vessels)

    def display(self, transmission: Map) -> Map:
        """Gray levels 0 … 255, free of noise."""
        return self.film.display(transmission)

    def develop(self, transmission: Map) -> NDArray[np.uint8]:
        """The image with its noise."""
        return self.film.develop(transmission, random_stream(*self.key, NOISE, self.index))


@lru_cache(maxsize=2)
def patient_vessels(seed: int, patient_id: int) -> list[NDArray[np.float64]]:
    """The vessels of a patient's lungs, the same in all images: see `vessel_tree`."""
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
