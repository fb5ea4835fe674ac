"""What is known of the images of a test: pixels, boxes, people, and a second reference."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from mlrfnet_mm.datasets.published.chestxray14.boxes import BOX_TABLE, read_boxes
from mlrfnet_mm.datasets.published.chestxray14.dataset import ChestXray14
from mlrfnet_mm.datasets.published.chestxray14.radiologists import RADIOLOGISTS, TABLE, read_table
from mlrfnet_mm.datasets.published.labeled_xrays import LabeledXrays
from mlrfnet_mm.datasets.tables import table_file
from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.metrics.synonyms import finding
from mlrfnet_mm.inference.pipeline import placing_pipeline
from mlrfnet_mm.reports.audit.rows import Split, read_splits
from mlrfnet_mm.xrays.regions import Box

NO_SECOND = "Second reference: left out; the radiologists' labels are of ChestX-ray14's images"


class Person(NamedTuple):
    """Of an image; ``''`` and NaN where not known."""

    sex: str
    age: float
    view: str


@dataclass(frozen=True)
class KnownImages:
    """The images of a prediction file.

    Attributes:
        dataset: gives network input and data sample of the image at a place.
        places: image → place in the data set.
        people: image → sex, age, view.
        boxes: image and finding (by :func:`~mlrfnet_mm.evaluation.metrics.synonyms.finding`) →
            regions.
        second: image → findings by the second reference; None where there is no such reference.
        notes: sentences on what is there and what is not.
    """

    dataset: Any
    places: Mapping[str, int]
    people: Mapping[str, Person]
    boxes: Mapping[tuple[str, str], list[Box]]
    second: Mapping[str, tuple[str, ...]] | None
    notes: list[str]

    def regions(self, image: str, name: str) -> list[Box]:
        """The boxes of a finding in an image."""
        return self.boxes.get((image, finding(name)), [])


def find_images(cfg: Config, predictions: Predictions) -> KnownImages:
    """Find the images of predictions in the test data of a config.

    Args:
        cfg: of the test.
        predictions: whose images are looked for.

    Raises:
        ValueError: several data sets, an image that is not there, other labels; see also
            :func:`placing_pipeline`.
    """
    data = Config(dict(default_scope=cfg.get('default_scope'), test_dataloader=cfg.test_dataloader))
    splits, problems = read_splits(data)
    if len(splits) != 1:
        said = problems[0].value if problems else 'it has several'
        raise ValueError(f'failures need one test data set in the config: {said}')
    split = splits[0]
    places = {name: i for i, name in enumerate(split.images)}
    _check(predictions, split, places)
    options = dict(deepcopy(cfg.test_dataloader.dataset))
    options['pipeline'] = placing_pipeline(cfg)
    dataset = DATASETS.build(options)
    regions, boxes_note = _boxes(dataset, split)
    second, second_note = _second_reference(dataset, split.root)
    return KnownImages(
        dataset, places, _people(predictions, split), regions, second, [boxes_note, second_note]
    )


def _check(predictions: Predictions, split: Split, places: Mapping[str, int]) -> None:
    """Raise a ValueError where the predictions are of other images or labels."""
    for row, name in enumerate(predictions.images.tolist()):
        if name not in places:
            raise ValueError(
                f'image {name} of the predictions ({predictions.stamp}) is not in the test data of '
                f'the config ({split.stamp}); give the config of that test, or its --split'
            )
        one, two = predictions.labels[row], split.labels[places[name]]
        if not np.array_equal(one, two, equal_nan=True):
            raise ValueError(
                f'image {name} has other labels in the predictions ({predictions.stamp}) than in '
                f'the test data of the config ({split.stamp})'
            )


def _people(predictions: Predictions, split: Split) -> dict[str, Person]:
    """Sex, age and view as the predictions have them, else as the tables do."""
    people = {
        name: Person(*row)
        for name, *row in zip(
            split.images, split.sexes, split.ages.tolist(), split.views, strict=True
        )
    }
    for row, name in enumerate(predictions.images.tolist()):
        known: dict[str, Any] = {}
        for key, values in (('sex', predictions.sexes), ('view', predictions.views)):
            if values is not None and str(values[row]):
                known[key] = str(values[row])
        if predictions.ages is not None and not np.isnan(predictions.ages[row]):
            known['age'] = float(predictions.ages[row])
        people[name] = people[name]._replace(**known)
    return people


def _boxes(dataset: Any, split: Split) -> tuple[dict[tuple[str, str], list[Box]], str]:
    """Regions by image and finding, and a sentence on them."""
    boxes: list[Box] = []
    by_stem = isinstance(dataset, LabeledXrays)
    if by_stem and type(dataset).read_boxes is not LabeledXrays.read_boxes:
        boxes = dataset.read_boxes()
    elif isinstance(dataset, ChestXray14) and Path(dataset.data_root, BOX_TABLE).is_file():
        boxes = read_boxes(dataset.data_root)
    names = {Path(path).stem if by_stem else Path(path).name: image
             for path, image in zip(split.paths, split.images, strict=True)}  # fmt: skip
    found: dict[tuple[str, str], list[Box]] = {}
    for box in boxes:
        if box.image in names:
            found.setdefault((names[box.image], finding(box.finding)), []).append(box)
    if not found:
        return found, 'No boxes are known.'
    return found, 'Blue: the boxes of the finding, where the table has one.'


def _second_reference(dataset: Any, root: Path) -> tuple[dict[str, tuple[str, ...]] | None, str]:
    """Findings by radiologists, of the images that are ChestX-ray14's, and a sentence on them."""
    if not isinstance(dataset, ChestXray14) or 'phantom' in dataset.metainfo['dataset']:
        return None, f'{NO_SECOND}.'
    try:
        table = read_table(table_file(root, TABLE))
    except FileNotFoundError:
        return None, f'{NO_SECOND}, and their table, {TABLE}, is not in the data folder.'
    labels = {
        image: tuple(name for name, mark in zip(RADIOLOGISTS, marks, strict=True) if mark)
        for image, marks in table.labels.items()
    }
    return labels, (
        'Second reference: radiologists (Majkowska et al., Radiology 2020), who were asked for '
        f'{", ".join(RADIOLOGISTS)}; they read some of the images.'
    )
