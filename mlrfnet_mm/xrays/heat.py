"""From a map's cells to the network's input, and from there back to the image, to the pixel."""

import re
from collections.abc import Sequence

import cv2
import numpy as np


def to_image(heat: np.ndarray, geometry: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a map of the network's input to the image that the input was made from.

    Args:
        heat: (h, w) float32.
        geometry: (2, 3), what ``XrayGeometry`` sets: from pixels of the image to pixels of the
            input, whole numbers at their centers.
        shape: (H, W) of the image.

    Returns:
        (H, W) float32, bilinear; NaN where the input showed nothing of the image (beyond the crop).

    Raises:
        ValueError: a geometry of another shape, as that of ten crops.
    """
    geometry = np.asarray(geometry, float)
    if geometry.shape != (2, 3):
        raise ValueError(
            f'a heat map needs the (2, 3) geometry of one crop, got {geometry.shape}; use a '
            "pipeline with XrayGeometry(crop='center')"
        )
    height, width = shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP  # the matrix leads from the output to `heat`
    warped = cv2.warpAffine(
        heat.astype(np.float32), geometry, (width, height), flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    columns, rows = np.arange(width), np.arange(height)[:, None]
    inside = np.ones((height, width), bool)
    for (a, b, c), side in zip(geometry, heat.shape[::-1], strict=True):
        place = a * columns + b * rows + c
        inside &= (place >= -0.5) & (place <= side - 0.5)
    warped[~inside] = np.nan
    return warped


def shrunk(
    geometry: np.ndarray, shape: tuple[int, ...], side: int | None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Geometry and shape of an image made smaller, so that its longer side is ``side`` at most.

    Args:
        geometry: (2, 3), from pixels of the image.
        shape: (H, W) of the image.
        side: in pixels; None leaves both as they are.
    """
    height, width = shape
    factor = 1.0 if side is None else min(1.0, side / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    fy, fx = height / size[0], width / size[1]
    grow = np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])  # pixel centers
    return np.asarray(geometry, float) @ grow, size


def spread(
    maps: np.ndarray, size: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Bring maps (…, h, w) to ``size`` (H, W): bilinear, cells where they belong.

    Beyond the centers of the outermost cells it is their value.

    Args:
        maps: float.
        size: (H, W).
        shift: pixels of the input, y and x, by which cells are further down and right of their
            places when they are taken as tiles; zeros take them as tiles.
    """
    for axis, (pixels, by) in enumerate(zip(size, shift, strict=True), -2):
        cells = maps.shape[axis]
        place = (np.arange(pixels) + 0.5 + by) * cells / pixels - 0.5  # in cells
        place = np.clip(place, 0, cells - 1)
        low = np.minimum(place.astype(int), max(cells - 2, 0))
        weight = (place - low).astype(maps.dtype)
        if axis == -2:
            weight = weight[:, None]
        high = np.minimum(low + 1, cells - 1)
        maps = maps.take(low, axis) * (1 - weight) + maps.take(high, axis) * weight
    return maps


def combined_map(levels: np.ndarray, lam: Sequence[float]) -> np.ndarray:
    r"""Sum the levels (L, …) with their weights :math:`\lambda`, see ``score_maps.py``.

    Raises:
        ValueError: all weights are 0, so that no level looks for a place.
    """
    if not any(lam):
        raise ValueError(
            f'the head has lam={tuple(lam)}: no level enters with a place. Take one level '
            '(score_maps1, score_maps2, …) or gradcam'
        )
    combined: np.ndarray = np.tensordot(np.asarray(lam, levels.dtype), levels, 1)
    return combined


def score_map_level(method: str, methods: Sequence[str]) -> int | None:
    """Level that a method of score maps shows, from 0; None for the weighted sum.

    Args:
        method: ``'score_maps'``, ``'score_maps1'``, …, ``'mrfc'``, ``'mrfc1'``, …
        methods: names that could be given, for the error.

    Raises:
        ValueError: another method.
    """
    match = re.fullmatch(r'(?:score_maps|mrfc)([1-9]\d*)?', method)
    if not match:
        raise ValueError(
            f'method must be one of {", ".join(methods)}, or score_maps1, score_maps2, … for a '
            f'level, got {method!r}'
        )
    return int(match[1]) - 1 if match[1] else None


def normalize(heat: np.ndarray) -> np.ndarray:
    """Scale a map (H, W) to least 0 and greatest 1; NaN, where there is no map, stays.

    A flat map becomes 0 everywhere: it points nowhere.

    Raises:
        ValueError: a map without any value, or with an infinite one.
    """
    heat = np.asarray(heat, np.float32)
    if np.isnan(heat).all() or np.isinf(heat).any():
        raise ValueError(f'a heat map needs finite values, got none in {heat.shape} or infinities')
    low, high = np.nanmin(heat), np.nanmax(heat)
    return (heat - low) / (high - low) if high > low else heat - low
