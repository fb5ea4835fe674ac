"""From the network's input back to the image, exact to the pixel."""

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
