"""Real images as the graph takes them, with their labels: to calibrate and to compare on."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.registry import DATASETS, DefaultScope

from mlrfnet_mm.engine.cross_dataset import use_split
from mlrfnet_mm.engine.parts import leaf_datasets
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.inference.pipeline import placing_pipeline


@dataclass(frozen=True)
class ParityImages:
    """Images that the network was not trained on.

    Attributes:
        gray: (N, 1, H, W) uint8.
        labels: (N, K) float32, NaN is unknown.
        patients: (N,).
        stamp: what they are, as ``'ChestX-ray14 official/val'``.
    """

    gray: np.ndarray
    labels: np.ndarray
    patients: np.ndarray
    stamp: str


def parity_images(loaded: LoadedModel, split: str = 'val', most: int | None = None) -> ParityImages:
    """Read images of the data set that the checkpoint's config tests on.

    Args:
        loaded: the checkpoint.
        split: of the data set.
        most: number of images, evenly spread over the split; None takes all.

    Raises:
        ValueError: a data set without splits or with other classes.
    """
    cfg = deepcopy(loaded.cfg)
    use_split(cfg, split)
    data = next(leaf_datasets(cfg.test_dataloader.dataset))
    data['pipeline'] = placing_pipeline(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpretrain')):
        dataset = DATASETS.build(data)
    classes = tuple(dataset.metainfo.get('classes', ()))
    if classes != loaded.classes:
        raise ValueError(
            f'the data set has the findings {", ".join(classes)}, the checkpoint '
            f'{", ".join(loaded.classes)}: give the config of the training (--config)'
        )
    n = len(dataset)
    chosen = np.arange(n) if most is None else np.unique(np.linspace(0, n - 1, most).astype(int))
    items: list[dict[str, Any]] = [dataset[int(i)] for i in chosen]
    meta = dataset.metainfo
    stamp = f'{meta["dataset"]} {meta["protocol"]}/{meta["split"]}'
    if len(chosen) < n:
        stamp = f'part of {stamp}'
    return ParityImages(
        gray=np.stack([item['inputs'].numpy() for item in items]),
        labels=np.stack([item['data_samples'].gt_score.numpy() for item in items]),
        patients=np.array([str(item['data_samples'].patient_id) for item in items]),
        stamp=stamp,
    )
