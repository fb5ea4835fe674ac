"""A network that looks at the image, and one that looks at its most active part again.

Our choice after LLAGNet (Chen et al., IEEE JBHI 24(7):2016-2027, 2020), whose text was not
available, with the box of AG-CNN (Guan et al., 2018, https://arxiv.org/abs/1801.09927).
"""

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from scipy.ndimage import find_objects, label
from torch import Tensor

from mlrfnet_mm.registry import MODELS

Box = tuple[int, int, int, int]


def active_box(heat: np.ndarray, threshold: float) -> Box:
    """Box of the largest connected part of a map that is near its maximum.

    Args:
        heat: (h, w).
        threshold: on the map scaled to 0 to 1; a part holds cells at or above it that touch by a
            side. Of parts of equal size the first counts.

    Returns:
        Top, bottom, left and right in cells, bottom and right exclusive; the whole map where it is
        constant or not finite.
    """
    low, high = heat.min(), heat.max()
    if not np.isfinite(heat).all() or low == high:
        return 0, heat.shape[0], 0, heat.shape[1]
    parts, _ = label((heat - low) / (high - low) >= threshold)
    rows, columns = find_objects(parts)[np.bincount(parts.ravel())[1:].argmax()]
    return rows.start, rows.stop, columns.start, columns.stop


def cut(image: Tensor, box: Box, cells: tuple[int, int]) -> Tensor:
    """Cut the pixels of a box out of an image and enlarge them to the image's size.

    Args:
        image: (C, H, W).
        box: in cells; a cell is H / h by W / w pixels, rounded outward.
        cells: h and w of the map.

    Returns:
        (C, H, W), bilinear.
    """
    (top, bottom, left, right), (h, w) = box, cells
    height, width = image.shape[1:]
    rows = slice(top * height // h, -(-bottom * height // h))
    columns = slice(left * width // w, -(-right * width // w))
    return F.interpolate(
        image[None, :, rows, columns], (height, width), mode='bilinear', align_corners=False
    )[0]


@MODELS.register_module()
class GlobalLocalBackbone(BaseModule):
    """Two networks of one kind: the second sees the part in which the first is most active.

    The activity at a place is the largest absolute value over the channels of the first one's last
    map. The second's image is :func:`cut` from the first's; no gradient flows through the box.

    Args:
        backbone: config of both.
        threshold: see :func:`active_box`; AG-CNN has 0.7.
        init_cfg: of both; None for random weights.

    Raises:
        ValueError: a threshold that is not above 0 and at most 1.
    """

    def __init__(
        self, backbone: dict, threshold: float = 0.7, init_cfg: dict | None = None
    ) -> None:
        super().__init__()
        if not 0 < threshold <= 1:
            raise ValueError(f'threshold must be above 0 and at most 1, got {threshold}')
        self.threshold = threshold
        self.whole = MODELS.build({**backbone, 'init_cfg': init_cfg})
        self.part = MODELS.build({**backbone, 'init_cfg': init_cfg})

    def boxes(self, whole: Tensor) -> list[Box]:
        """Boxes in cells of the first network's map (N, C, h, w)."""
        if whole.is_meta:  # where only shapes are asked for: any box does
            return [active_box(np.ones(tuple(whole.shape[2:])), self.threshold)] * len(whole)
        with torch.no_grad():
            heat = whole.abs().amax(1).float().cpu().numpy()  # (N, h, w)
        return [active_box(one, self.threshold) for one in heat]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, H, W) to two maps (N, C, h, w): of the image and of its part."""
        whole = self.whole(x)[-1]
        cells = (whole.shape[2], whole.shape[3])
        parts = [cut(image, box, cells) for image, box in zip(x, self.boxes(whole), strict=True)]
        return whole, self.part(torch.stack(parts))[-1]
