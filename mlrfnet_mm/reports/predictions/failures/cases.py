"""One miss or false alarm: what is said of it, and its pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.dataset import pseudo_collate

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation.localisation import localise
from mlrfnet_mm.inference.heatmaps import HeatMapper
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.reports.localisation.heat_figure import (
    add_scale,
    describe,
    draw_box,
    draw_heat,
    draw_xray,
)
from mlrfnet_mm.reports.localisation.localise import gray_image
from mlrfnet_mm.reports.output.drawing import plain, save, subplots
from mlrfnet_mm.reports.output.tables import Record
from mlrfnet_mm.reports.predictions.failures.images import KnownImages, Person
from mlrfnet_mm.xrays.heat import shrunk, to_image
from mlrfnet_mm.xrays.regions import Box, box_in_image

MISSED, ALARM = 'false negative', 'false positive'
SIDE = 320  # pixels of the longer side that are drawn
ACROSS = 3  # cases in a row of the figure


@dataclass(frozen=True)
class Case:
    """An image that a finding was missed in, or called in without label.

    Attributes:
        number: in the whole report, by which the page and the table of all cases name it.
        image: its name.
        patient: whose it is.
        finding: that is wrong.
        error: ``MISSED`` or ``ALARM``.
        score: of the prediction file.
        value: what the threshold is compared with.
        threshold: of the finding.
        labels: findings of the data set's label.
        second: findings of the second reference; None where it has not read the image.
        person: sex, age, view.
        regions: boxes of the finding.
    """

    number: int
    image: str
    patient: str
    finding: str
    error: str
    score: float
    value: float
    threshold: float
    labels: tuple[str, ...]
    second: tuple[str, ...] | None
    person: Person
    regions: list[Box]

    def record(self) -> Record:
        """As a row of a table; all but the heat map's place."""
        sex, age, view = self.person
        known = '–' if self.second is None else _listed(self.second)
        return dict(
            number=self.number,
            finding=self.finding,
            error=self.error,
            image=self.image,
            patient=self.patient,
            score=self.score,
            value=self.value,
            threshold=self.threshold,
            labels=_listed(self.labels),
            second=known,
            sex=sex or '–',
            age='–' if np.isnan(age) else f'{age:g}',
            view=view or '–',
            boxes=len(self.regions),
        )


def _listed(findings: Sequence[str]) -> str:
    return ', '.join(name.replace('_', ' ') for name in findings) or 'none'


@dataclass(frozen=True)
class Pictures:
    """Image and map of a case, both (h, w), and the pixels (H, W) of the image itself."""

    image: np.ndarray
    heat: np.ndarray
    shape: tuple[int, int]
    score: float  # of the pass that made the map


def picture_cases(
    loaded: LoadedModel,
    tested: KnownImages,
    cases: Sequence[Case],
    mapper: HeatMapper,
    batch_size: int = 16,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Pictures]:
    """Read each case's image and map its finding.

    Args:
        loaded: the model.
        tested: the images.
        cases: in order.
        mapper: makes the maps.
        batch_size: images at a time.
        progress: called with the number of cases done since its last call.
    """
    for start in range(0, len(cases), batch_size):
        batch = cases[start : start + batch_size]
        items = [tested.dataset.prepare_data(tested.places[case.image]) for case in batch]
        data = loaded.model.data_preprocessor(pseudo_collate(items), False)
        classes = torch.tensor([[loaded.classes.index(case.finding)] for case in batch])
        maps = mapper(data['inputs'], classes)[:, 0]
        with torch.no_grad():
            logits = loaded.model.head(loaded.model.extract_feat(data['inputs'])).float().cpu()
        scores = logits.sigmoid().gather(1, classes)[:, 0].tolist()
        for i, sample in enumerate(data['data_samples']):
            yield _pictures(sample, data['inputs'][i], maps[i], scores[i])
        if progress:
            progress(len(batch))


def _pictures(sample: Any, inputs: torch.Tensor, heat: np.ndarray, score: float) -> Pictures:
    shape = tuple(sample.ori_shape[:2])
    matrix, size = shrunk(sample.geometry, shape, SIDE)
    image = cv2.resize(gray_image(sample, inputs), size[::-1], interpolation=cv2.INTER_AREA)
    return Pictures(image, to_image(heat, matrix, size), shape, score)


def draw_cases(cases: Sequence[tuple[Case, Pictures]], stem: Path, method: str, stamp: str) -> Path:
    """Draw each case's image and its heat map side by side; return the PNG.

    Args:
        cases: in order, with their pictures.
        stem: of the file.
        method: of the maps.
        stamp: of the model.
    """
    across = min(ACROSS, len(cases))
    rows = -(-len(cases) // across)
    size = (4.6 * across + 0.7, 2.75 * rows + 0.5)
    figure, grid = subplots(rows, 2 * across, figsize=size, squeeze=False)
    panels = grid.reshape(-1, 2)
    for (left, right), (case, shown) in zip(panels, cases, strict=False):
        height, width = shown.shape
        extent = (0.0, float(width), float(height), 0.0)
        boxes = [_in_pixels(box, shown.shape) for box in case.regions]
        draw_xray(left, shown.image, extent)
        draw_xray(right, shown.image, extent)
        draw_heat(right, shown.heat, extent)
        for axes in (left, right):
            for box in boxes:
                draw_box(axes, box)
            axes.set(xticks=[], yticks=[])
        sign = '<' if case.error == MISSED else '≥'
        left.set_title(
            f'case {case.number}: {case.value:.3g} {sign} {case.threshold:.3g}', fontsize=9
        )
        right.set_title(_met(shown, boxes), fontsize=9)
        left.set_xlabel(plain(_person(case.person)), fontsize=8)
    for axes in panels[len(cases) :].flat:
        axes.set_visible(False)
    add_scale(figure, grid.ravel().tolist())
    figure.supxlabel(f'{plain(stamp)}. Maps: {method}. {NOTICE}', fontsize=8)
    return _save_png(figure, stem)


def _in_pixels(box: Box, shape: tuple[int, int]) -> Box:
    x, y, width, height = box_in_image(box, shape)
    return box._replace(x=x, y=y, width=width, height=height)


def _met(shown: Pictures, boxes: Sequence[Box]) -> str:
    """How the map met the first box; nothing where there is none."""
    if not boxes:
        return ''
    (rows, columns), (height, width) = shown.image.shape, shown.shape
    down, across = rows / height, columns / width  # of the small image to the whole one
    box = boxes[0]
    target = box.x * across, box.y * down, box.width * across, box.height * down
    return describe(localise(shown.heat, target))


def _person(person: Person) -> str:
    age = '' if np.isnan(person.age) else f'{person.age:g} years'
    return ', '.join(part for part in (person.sex, age, person.view) if part)


def _save_png(figure: Figure, stem: Path) -> Path:
    png, svg = save(figure, stem, dpi=90)
    svg.unlink()  # photographs: as large as the PNG and no sharper
    return png
