"""Heat maps against boxes: pointing game, IoU and IoBB, with intervals by patient.

Wang et al., "ChestX-ray8", CVPR 2017, section 4.2: a heat map is scaled to 0-255 and cut at 60 and
at 180; the boxes around the connected regions of both are the detections. A finding is located if a
detection's IoU, or its IoBB (intersection over the area of the *detected* box), is over a
threshold. Detections that are not are its false positives. The pointing game is that of Zhang et
al., "Top-down Neural Attention by Excitation Backprop", IJCV 2018, without tolerance.

Where a table has a polygon or a mask, the pointing game asks for the region itself, and IoU and
IoBB for the box around it. Dice's coefficient, 2 |A ∩ B| / (|A| + |B|), compares the pixels at or
over a threshold with all regions of the finding in the image; the threshold is chosen on
validation.

Boxes are ``x, y, w, h`` in pixels of the heat map, measured at edges: pixel (i, j) covers
``[i, i + 1) × [j, j + 1)``.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from mlrfnet_mm.evaluation.areas.bootstrap import patient_weights
from mlrfnet_mm.xrays.heat import normalize

LEVELS = (60 / 255, 180 / 255)
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
DICE_THRESHOLDS = tuple(k / 20 for k in range(1, 20))  # of the scaled map
SIZES = ('small', 'medium', 'large')


class Localisation(NamedTuple):
    """How well one heat map meets one box.

    Attributes:
        hit: whether the greatest value lies in the box (pointing game); False for a flat map.
        iou: (D,) of each detection.
        iobb: (D,) of each detection.
    """

    hit: bool
    iou: np.ndarray
    iobb: np.ndarray


def peak(heat: np.ndarray) -> tuple[float, float] | None:
    """Center of the pixel of the greatest value, the first in reading order; None for a flat map.

    >>> peak(np.array([[0.0, 0.0], [0.0, 2.0]]))
    (1.5, 1.5)
    """
    if not np.nanmax(heat) > np.nanmin(heat):
        return None
    y, x = np.unravel_index(np.nanargmax(heat), heat.shape)
    return float(x) + 0.5, float(y) + 0.5


def detect(heat: np.ndarray, levels: Sequence[float] = LEVELS) -> np.ndarray:
    """Boxes around the connected regions (of 8 neighbors) at or above each level.

    Args:
        heat: (H, W); scaled by :func:`normalize` here.
        levels: shares of the scaled map's range, over 0.

    Returns:
        (D, 4) float64 ``x, y, w, h``; D = 0 for a flat map.
    """
    scaled = normalize(heat)
    found = []
    for level in levels:
        mask = (scaled >= level).astype(np.uint8)  # NaN is outside
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        found.append(stats[1:, :4])  # the first is the background
    return np.concatenate(found).astype(float)


def overlaps(detected: np.ndarray, box: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """IoU and IoBB, both (D,), of detections (D, 4) with a box ``x, y, w, h``."""
    low, size = np.array(box[:2], float), np.array(box[2:], float)
    ends = np.minimum(detected[:, :2] + detected[:, 2:], low + size)
    shared = np.clip(ends - np.maximum(detected[:, :2], low), 0, None).prod(1)
    areas = detected[:, 2:].prod(1)
    return shared / (areas + size.prod() - shared), shared / areas


def localise(
    heat: np.ndarray,
    box: Sequence[float],
    levels: Sequence[float] = LEVELS,
    region: np.ndarray | None = None,
) -> Localisation:
    """Compare a heat map (H, W) with a box ``x, y, w, h`` in its pixels.

    Args:
        heat: (H, W).
        box: around the finding.
        levels: see `detect`.
        region: (H, W) bool, within the box, where the peak must lie; ``None`` is the whole box.
    """
    x, y, width, height = box
    top = peak(heat)
    hit = top is not None and x <= top[0] <= x + width and y <= top[1] <= y + height
    if top is not None and region is not None:
        hit = bool(region[int(top[1]), int(top[0])])
    return Localisation(hit, *overlaps(detect(heat, levels), box))


def dice_curve(
    heat: np.ndarray, region: np.ndarray, thresholds: Sequence[float] = DICE_THRESHOLDS
) -> np.ndarray:
    """Dice's coefficient of a region (H, W) and a scaled map at or over each threshold: (T,).

    Where there is no map (NaN) nothing is found, and what the region has there is missed.

    >>> dice_curve(np.array([[0, 0.5, 1]]), np.array([[False, True, True]]), [0.3, 0.7]).tolist()
    [1.0, 0.6666666666666666]
    """
    scaled = np.nan_to_num(normalize(heat), nan=-1.0)
    rank = np.searchsorted(np.array(thresholds, scaled.dtype), scaled, side='right')  # (H, W)

    def over(ranks: np.ndarray) -> np.ndarray:
        counts = np.bincount(ranks.ravel(), minlength=len(thresholds) + 1)
        return np.cumsum(counts[::-1])[::-1][1:]  # pixels at or over each threshold

    return 2 * over(rank[region]) / (over(rank) + region.sum())


def best_threshold(curves: np.ndarray, thresholds: Sequence[float] = DICE_THRESHOLDS) -> float:
    """The threshold of the greatest mean of curves (B, T); the lowest of equals."""
    return thresholds[int(np.argmax(curves.mean(0)))]


def measures(results: Sequence[Localisation], thresholds: Sequence[float]) -> dict[str, np.ndarray]:
    """Pointing, accuracies and false positives of B comparisons, each (B,) float64.

    Keys: ``pointing``; for each threshold T ``iou@T`` and ``iobb@T``, 1 where a detection is over
    it; ``iou_fp@T`` and ``iobb_fp@T``, the number of detections that are not (their mean is the
    average number of false positives, AFP, of Wang et al.).
    """
    columns = dict(pointing=np.array([r.hit for r in results], float))
    for key in ('iou', 'iobb'):
        for t in thresholds:
            over = [getattr(r, key) > t for r in results]
            columns[f'{key}@{t:g}'] = np.array([o.any() for o in over], float)
            columns[f'{key}_fp@{t:g}'] = np.array([(~o).sum() for o in over], float)
    return columns


def size_terciles(areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split boxes into three equal parts by area.

    Args:
        areas: (B,).

    Returns:
        (B,) 0 (small), 1 or 2, and the two areas between them; equal areas stay together.
    """
    edges = np.quantile(areas, [1 / 3, 2 / 3])
    return np.searchsorted(edges, areas, side='left'), edges


def grouped_means(
    values: np.ndarray,
    groups: Mapping[str, np.ndarray],
    patients: np.ndarray,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of every measure in every group, and its bootstrap by patient.

    Boxes of one patient are drawn together.

    Args:
        values: (B, M).
        groups: name → (B,) whether a box belongs to it; G of them.
        patients: (B,).
        replicates: number of replicates R.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.

    Returns:
        (G, M) means and (R, G, M) replicates of them; NaN where a group has no box.
    """
    index, weights = patient_weights(patients, replicates, seed)
    members = np.array(list(groups.values()), float)  # (G, B)
    drawn = weights[:, index].astype(float)  # (R, B)
    with np.errstate(invalid='ignore'):  # 0 / 0 in an empty group
        means = members @ values / members.sum(1, keepdims=True)
        draws = np.stack(
            [(drawn * m) @ values / (drawn @ m)[:, None] for m in members], 1
        )  # (R, G, M)
    return means, draws
