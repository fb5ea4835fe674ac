"""Contrast and brightness of a grey image by one lookup table."""

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mlrfnet_mm.datasets.draws import CONTRAST, generator
from mlrfnet_mm.registry import TRANSFORMS

LEVELS = np.arange(256, dtype=np.float32)


def contrast_table(mean: float, contrast: float, brightness: float) -> np.ndarray:
    """Return the grey levels (256,) that replace 0 to 255: brightness, then contrast, cut to uint8.

    Args:
        mean: mean grey level of the image before the change.
        contrast: factor on the distance to the mean.
        brightness: factor on the grey level.
    """
    levels = LEVELS * brightness
    levels = contrast * levels + (1 - contrast) * round(mean * brightness)
    return np.rint(levels).clip(0, 255).astype(np.uint8)


@TRANSFORMS.register_module()
class XrayContrast(BaseTransform):
    """Random contrast and brightness, as mmpretrain's ``ColorJitter`` to one grey level.

    Args:
        contrast: the factor is uniform in 1 ± contrast.
        brightness: the factor is uniform in 1 ± brightness.

    Raises:
        ValueError: a value outside [0, 1].
    """

    def __init__(self, contrast: float = 0.1, brightness: float = 0.0) -> None:
        if not (0 <= contrast <= 1 and 0 <= brightness <= 1):
            raise ValueError(
                'XrayContrast: contrast and brightness must be in [0, 1], got '
                f'{contrast} and {brightness}'
            )
        self.contrast = contrast
        self.brightness = brightness

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw and apply; ``img`` (H, W) stays uint8."""
        u, v = generator(results, CONTRAST).random(2).tolist()
        image = results['img']
        table = contrast_table(
            cv2.mean(image)[0],
            contrast=1 + self.contrast * (2 * u - 1),
            brightness=1 + self.brightness * (2 * v - 1),
        )
        results['img'] = cv2.LUT(image, table)
        return results
