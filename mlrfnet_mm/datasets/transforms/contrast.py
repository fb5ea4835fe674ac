"""Contrast and brightness of a gray image by one lookup table."""

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mlrfnet_mm.datasets.transforms.draws import CONTRAST, uniforms
from mlrfnet_mm.registry import TRANSFORMS

LEVELS = np.arange(256, dtype=np.uint8)
DOWN = -0.4999  # makes OpenCV's rounding a rounding down, and leaves whole numbers as they are


def contrast_table(mean: float, contrast: float, brightness: float) -> np.ndarray:
    """New gray level of each of the 256: contrast first, then brightness; uint8 ``(256,)``.

    ``v -> contrast · v + (1 - contrast) · round(mean)``, then ``v -> brightness · v``, each cut off
    to 0 to 255 and rounded down, as in mmcv's ``adjust_contrast`` and ``adjust_brightness``.
    """
    offset = (1 - contrast) * round(mean)
    table = cv2.addWeighted(LEVELS, contrast, LEVELS, 0, offset + DOWN)
    if brightness != 1:
        table = cv2.addWeighted(table, brightness, table, 0, DOWN)
    return table.reshape(256)


@TRANSFORMS.register_module()
class XrayContrast(BaseTransform):
    """Change contrast and brightness of ``img`` by random factors, with one lookup table.

    Equals mmpretrain's ``ColorJitter(brightness, contrast)`` on a gray image with the same factors
    in this order (mmpretrain draws the order too): contrast about the image's mean, then
    brightness. The factors are drawn for (seed, epoch, index). Ten crops share one table.

    Args:
        contrast: the factor is uniform in ``1 - contrast`` to ``1 + contrast``.
        brightness: the same for brightness.

    Raises:
        ValueError: an argument outside 0 to 1.
        TypeError: an image that is not uint8, when called.
    """

    def __init__(self, contrast: float = 0.1, brightness: float = 0.0) -> None:
        for key, value in dict(contrast=contrast, brightness=brightness).items():
            if not 0 <= value <= 1:
                raise ValueError(f'{key} must be 0 to 1, got {value}')
        self.contrast, self.brightness = contrast, brightness

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw both factors, look up each pixel."""
        img = results['img']
        if img.dtype != np.uint8:
            raise TypeError(f"XrayContrast needs results['img'] as uint8, got {img.dtype}")
        u = uniforms(results, CONTRAST, 2)
        contrast = 1 + self.contrast * (2 * u[0] - 1)
        brightness = 1 + self.brightness * (2 * u[1] - 1)
        flat = img.reshape(-1, img.shape[-1])  # ten crops as one high image
        table = contrast_table(cv2.mean(flat)[0], contrast, brightness)
        results['img'] = cv2.LUT(flat, table).reshape(img.shape)
        return results

    def __repr__(self) -> str:
        return f'XrayContrast(contrast={self.contrast}, brightness={self.brightness})'
