"""Predictions of a test split at every kind and strength of degradation.

Each image is read once and goes through the rest of the test pipeline in all its forms. What is
done is written now and then: a run that was stopped goes on from there.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader, Subset

from mlrfnet_mm.datasets.transforms import LoadXray, XrayDegradation
from mlrfnet_mm.datasets.transforms.degradation import DEGRADATIONS
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.engine.parts import is_part, leaf_datasets
from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.evaluation.files.predictions import ROWS
from mlrfnet_mm.evaluation.metrics import MultiLabelAUC
from mlrfnet_mm.inference.loaded_model import LoadedModel

UNFINISHED = 'unfinished'
SAVE_SECONDS = 60
UNKNOWN = dict(sexes='', ages=np.nan)  # of images; other rows are known of all or of none


class Cell(NamedTuple):
    """A kind of degradation and a strength; ``''`` is the image as it is."""

    kind: str = ''
    strength: float = 0.0

    @property
    def file(self) -> str:
        """Name of its prediction file: other strengths are other files."""
        return f'{self.kind}_{self.strength:g}.npz' if self.kind else 'clean.npz'

    def stamped(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """What a data set says of itself, with the degradation in its name."""
        if not self.kind:
            return dict(meta)
        kind = DEGRADATIONS[self.kind]
        name = f'{meta.get("dataset", "?")} ({kind.title}, {kind.say(self.strength)})'
        return {**meta, 'dataset': name}


CLEAN = Cell()


def all_cells(kinds: Sequence[str] = tuple(DEGRADATIONS)) -> list[Cell]:
    """The clean images, and five strengths of each kind."""
    return [CLEAN, *(Cell(k, s) for k in kinds for s in DEGRADATIONS[k].strengths)]


class EveryCell:
    """A test pipeline that reads an image once, and goes on with it in every form.

    Args:
        steps: the transforms of the test pipeline; the first one reads.
        cells: the forms.

    Raises:
        ValueError: the first transform is not LoadXray.
    """

    def __init__(self, steps: Sequence[Callable[[Any], Any]], cells: Sequence[Cell]) -> None:
        if not steps or not isinstance(steps[0], LoadXray):
            raise ValueError(
                'robustness needs a test pipeline that begins with mlrfnet_mm.LoadXray, got '
                f'{[type(step).__name__ for step in steps]}'
            )
        self.load, rest = steps[0], list(steps[1:])
        self.chains = [[XrayDegradation(*cell), *rest] if cell.kind else rest for cell in cells]

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Inputs (C, …) of all cells and the data sample of the first."""
        read = self.load(results)
        found = [reduce(lambda item, step: step(item), chain, dict(read)) for chain in self.chains]
        # one tensor and one sample: each is a file handle on its way from a worker
        inputs = torch.stack([item['inputs'] for item in found])
        return dict(inputs=inputs, data_samples=found[0]['data_samples'])


def build_dataset(loaded: LoadedModel) -> Any:
    """The test data set of a model's config, which reads the files themselves.

    Raises:
        ValueError: the data set has other findings than the model.
    """
    options = deepcopy(loaded.cfg.test_dataloader.dataset)
    scope = loaded.cfg.get('default_scope')
    for leaf in leaf_datasets(options):
        if is_part(MMENGINE_DATASETS, leaf.get('type'), scope, XrayDataset):
            leaf['prepared'] = False  # its images are smaller than the files
    dataset = DATASETS.build(options)
    classes = tuple(dataset.metainfo.get('classes', ()))
    if classes != loaded.classes:
        raise ValueError(
            f'the test data has the findings {", ".join(classes)}, the model '
            f'{", ".join(loaded.classes)}: give the config of its training'
        )
    return dataset


def predict_cells(
    loaded: LoadedModel,
    folder: Path,
    cells: Sequence[Cell],
    batch_size: int = 64,
    workers: int = 1,
    bar: Callable[[int], Callable[[int], None]] | None = None,
) -> None:
    """Write one prediction file per cell; those that are there of this checkpoint are left.

    Args:
        loaded: the model, with the config whose test data is taken.
        folder: for the files.
        cells: what is predicted.
        batch_size: forms of images at a time.
        workers: processes that read and degrade; 0 is this one.
        bar: called before the first image with the number of those to do; gives what is called with
            the number of images done since its last call.

    Raises:
        ValueError: a file there that is of another checkpoint, data set or other images; see also
            :func:`build_dataset` and :class:`EveryCell`.
    """
    dataset = build_dataset(loaded)
    infos = (dataset.get_data_info(i) for i in range(len(dataset)))
    names = [str(info.get('image_id', Path(info['img_path']).name)) for info in infos]
    origin = (names, loaded.stamp['sha256'], dataset.metainfo)
    missing = [cell for cell in cells if _held(folder / cell.file, cell, *origin) is None]
    if not missing:
        return
    aside = folder / UNFINISHED
    earlier = {cell: _held(aside / cell.file, cell, *origin) for cell in missing}
    done = min(len(part.images) if part else 0 for part in earlier.values())
    held = {c: part.rows(np.arange(done)) if part and done else None for c, part in earlier.items()}
    metrics = {cell: MultiLabelAUC(checkpoint=loaded.stamp['sha256']) for cell in missing}
    for cell, metric in metrics.items():
        metric.dataset_meta = cell.stamped(dataset.metainfo)
    for leaf in leaf_datasets(dataset):
        leaf.pipeline = EveryCell(leaf.pipeline.transforms, missing)
    advance = bar(len(names) - done) if bar else None
    saved = time.monotonic()
    for images in _read(dataset, done, max(1, batch_size // len(missing)), workers):
        _predict(loaded, images, list(metrics.values()), batch_size)
        if advance:
            advance(len(images))
        if time.monotonic() - saved > SAVE_SECONDS:
            _take(metrics, held, aside)
            saved = time.monotonic()
    _take(metrics, held, aside)
    for cell in missing:
        (aside / cell.file).replace(folder / cell.file)
    if not any(aside.iterdir()):
        aside.rmdir()


def _read(dataset: Any, done: int, size: int, workers: int) -> Iterator[list[dict[str, Any]]]:
    """Some images at a time in all their forms, from the first that is not done."""
    rest = Subset(dataset, range(done, len(dataset)))
    yield from DataLoader(rest, batch_size=size, num_workers=workers, collate_fn=_as_it_is)


def _as_it_is(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return images


@torch.no_grad()
def _predict(
    loaded: LoadedModel,
    images: Sequence[dict[str, Any]],
    metrics: Sequence[MultiLabelAUC],
    batch_size: int,
) -> None:
    """Predict images in all forms and hand each to the metric of its cell."""
    inputs = torch.cat([image['inputs'] for image in images])  # (B C, 1, H, W)
    samples = [image['data_samples'] for image in images for _ in metrics]
    for first in range(0, len(inputs), batch_size):
        part = slice(first, first + batch_size)
        batch = dict(inputs=inputs[part], data_samples=[s.clone() for s in samples[part]])
        for i, sample in enumerate(loaded.model.test_step(batch), first):
            metrics[i % len(metrics)].process(None, [sample.to_dict()])


def _take(
    metrics: Mapping[Cell, MultiLabelAUC], held: dict[Cell, Predictions | None], folder: Path
) -> None:
    """Move what the metrics hold to what was held before, and write it."""
    for cell, metric in metrics.items():
        if metric.results:
            new, before = metric.gather(metric.results), held[cell]
            metric.results.clear()
            held[cell] = joined(before, new) if before else new
        if (now := held[cell]) is not None:
            now.save(folder / cell.file)


def joined(first: Predictions, second: Predictions) -> Predictions:
    """The rows of both; what one of them does not know of its images is unknown."""
    rows: dict[str, Any] = {}
    for name in ROWS:
        parts = [getattr(part, name) for part in (first, second)]
        if name in UNKNOWN and any(part is not None for part in parts):
            parts = [
                np.full(len(owner.images), UNKNOWN[name]) if part is None else part
                for part, owner in zip(parts, (first, second), strict=True)
            ]
        rows[name] = None if any(part is None for part in parts) else np.concatenate(parts)
    return replace(first, **rows)


def _held(
    path: Path, cell: Cell, names: Sequence[str], digest: str, meta: Mapping[str, Any]
) -> Predictions | None:
    """What a file holds of a cell, from the first image on; None if it is not there.

    Raises:
        ValueError: it is of something else.
    """
    if not path.is_file():
        return None
    found = load_predictions(path)
    stamp = '{dataset} {protocol}/{split}'.format_map(
        {'dataset': '?', 'protocol': '?', 'split': '?', **cell.stamped(meta)}
    )
    whole = path.parent.name != UNFINISHED
    for what, expected, there in (
        ('checkpoint', digest, found.checkpoint),
        ('data', stamp, found.stamp),
        ('findings', list(meta['classes']), found.classes.tolist()),
        ('images', names if whole else names[: len(found.images)], found.images.tolist()),
    ):
        if expected != there:
            differ = f'{there!r}, not {expected!r}' if what in ('checkpoint', 'data') else 'others'
            raise ValueError(
                f'{path}: its {what} are {differ}; give another folder (--out-dir), or remove this '
                'one'
            )
    return found
