"""Dice's coefficient of heat maps and regions: one number per image and finding.

A finding's regions in an image are taken together, as its map has them all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS, percentile_interval
from mlrfnet_mm.evaluation.localisation import (
    DICE_THRESHOLDS,
    best_threshold,
    dice_curve,
    grouped_means,
)
from mlrfnet_mm.inference.heatmaps import HeatMapper
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.reports.localisation.boxed_images import BoxedImages
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.xrays.heat import shrunk, to_image
from mlrfnet_mm.xrays.regions import FRAME, Box, check_inside, region_mask


def targets(boxes: Sequence[Box]) -> dict[tuple[str, str], list[int]]:
    """Image and finding → places of its boxes, in the order of the first ones."""
    found: dict[tuple[str, str], list[int]] = {}
    for i, box in enumerate(boxes):
        found.setdefault((box.image, box.finding), []).append(i)
    return found


def map_batch(
    loaded: LoadedModel,
    source: BoxedImages,
    boxes: Sequence[Box],
    mappers: Mapping[str, HeatMapper],
) -> tuple[dict[str, Any], torch.Tensor, dict[str, np.ndarray]]:
    """The batch of the boxes' images, the findings' columns (B, 1), and by method the maps (B, …).

    Raises:
        ValueError: a region that leaves its image.
    """
    data = pseudo_collate([source.load(box.image) for box in boxes])
    data = loaded.model.data_preprocessor(data, False)
    for box, sample in zip(boxes, data['data_samples'], strict=True):
        check_inside(box, tuple(sample.ori_shape[:2]))
    classes = torch.tensor([[loaded.classes.index(box.finding)] for box in boxes])
    maps = {method: mapper(data['inputs'], classes)[:, 0] for method, mapper in mappers.items()}
    return data, classes, maps


def curve(heat: np.ndarray, sample: Any, boxes: Iterable[Box]) -> np.ndarray:
    """Dice by threshold (T,) of a map of the network's input and all boxes of a finding.

    In the image shrunk to ``FRAME`` pixels at most, in which most regions are given.
    """
    boxes, shape = list(boxes), tuple(sample.ori_shape[:2])
    matrix, size = shrunk(sample.geometry, shape, FRAME)
    scale = size[1] / shape[1], size[0] / shape[0]
    parts = [region_mask(_shrunk_box(box, scale), size) for box in boxes]
    return dice_curve(to_image(heat, matrix, size), np.logical_or.reduce(parts))


def _shrunk_box(box: Box, scale: tuple[float, float]) -> Box:
    """A box in the pixels of the image, in those of the smaller one; others have a frame."""
    if box.frame is not None:
        return box
    across, down = scale
    return box._replace(
        x=box.x * across, y=box.y * down, width=box.width * across, height=box.height * down
    )


def dice_curves(
    loaded: LoadedModel,
    source: BoxedImages,
    mappers: Mapping[str, HeatMapper],
    batch_size: int,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Method → Dice by threshold (B, T) of every image and finding of a source."""
    members = list(targets(source.boxes).values())
    curves: dict[str, list[np.ndarray]] = {method: [] for method in mappers}
    for start in range(0, len(members), batch_size):
        batch = members[start : start + batch_size]
        firsts = [source.boxes[places[0]] for places in batch]
        data, _, maps = map_batch(loaded, source, firsts, mappers)
        for i, (places, sample) in enumerate(zip(batch, data['data_samples'], strict=True)):
            for method, found in maps.items():
                own = curve(found[i], sample, (source.boxes[k] for k in places))
                curves[method].append(own)
        if progress:
            progress(sum(map(len, batch)))
    return {method: np.stack(found) for method, found in curves.items()}


def check_apart(source: BoxedImages, validation: BoxedImages) -> None:
    """Refuse images that choose the threshold and are measured at it.

    Raises:
        ValueError: with the first one.
    """
    shared = {box.image for box in source.boxes} & {box.image for box in validation.boxes}
    if shared:
        raise ValueError(
            f'{len(shared):,} images of {validation.stamp}, where the threshold of Dice is chosen, '
            f'are in {source.stamp}, too, the first is {min(shared)}; take splits that are apart, '
            'as --split test --val-split val'
        )


def dice_table(
    source: BoxedImages,
    validation: BoxedImages,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    replicates: int,
    seed: int,
) -> Table:
    """Dice at the best threshold of validation, with intervals by bootstrap over patients.

    Args:
        source: the boxes that are measured.
        validation: those that choose.
        curves: method → Dice by threshold of validation (V, T) and of the source (B, T).
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
    """
    members = list(targets(source.boxes).values())
    names = np.array([source.boxes[places[0]].finding for places in members])
    patients = np.array([source.patients[places[0]] for places in members])
    groups = {'all': np.ones(len(members), bool)}
    groups |= {str(name): names == name for name in sorted(set(names.tolist()))}
    records: list[Record] = []
    for method, (chosen_on, measured) in curves.items():
        threshold = best_threshold(chosen_on)
        values = measured[:, [DICE_THRESHOLDS.index(threshold)]]
        means, draws = grouped_means(values, groups, patients, replicates, seed)
        ends = percentile_interval(draws)[..., 0]  # (2, G)
        for g, (name, inside) in enumerate(groups.items()):
            few = len(set(patients[inside])) < LEAST_PATIENTS
            low, high = (np.nan, np.nan) if few else ends[:, g]
            records.append(
                dict(
                    method=method, group=name, targets=int(inside.sum()), threshold=threshold,
                    dice=float(means[g, 0]), dice_low=float(low), dice_high=float(high),
                )
            )  # fmt: skip
    headers = {'method': 'method', 'regions of': 'group', 'n': 'targets', 'over': 'threshold'}
    notes = [
        'Dice of the pixels at or over a threshold of the scaled map and all regions of the '
        'finding in the image; n counts images and findings. The threshold is the best one of '
        f'{validation.stamp} ({len(targets(validation.boxes)):,} of them), one per method. '
        f'Intervals as above; none with fewer than {LEAST_PATIENTS} patients.'
    ]
    title = f'{source.stamp}: Dice at the threshold of validation'
    return Table('localisation_dice', title, {**headers, 'Dice': 'dice'}, records, notes)
