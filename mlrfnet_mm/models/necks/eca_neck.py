"""Efficient channel attention on every level of a backbone.

MLRFNet, section III-B, eq. 1; ECA-Net, Wang et al., CVPR 2020, https://arxiv.org/abs/1910.03151
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.registry import MODELS


def adaptive_kernel_size(channels: int, gamma: int = 2, b: int = 1) -> int:
    """Return ECA-Net's eq. 12, ``log2(C) / gamma + b / gamma`` made odd as its code does.

    >>> [adaptive_kernel_size(c) for c in (64, 256, 512, 1024, 2048)]
    [3, 5, 5, 5, 7]
    """
    t = int(abs((math.log2(channels) + b) / gamma))
    return t if t % 2 else t + 1


class ECA(BaseModule):
    """``U * sigmoid(conv1d(mean(U)))`` (eq. 1) with one kernel shared by all channels.

    Args:
        kernel_size: channels that one weight looks at; odd, so that the output keeps its length.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f'kernel_size of ECA must be odd and positive, got {kernel_size}')
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        mean = F.adaptive_avg_pool2d(x, 1)  # (N, C, 1, 1)
        weight = self.conv(mean.flatten(2).transpose(1, 2))  # (N, 1, C)
        return x * torch.sigmoid(weight).transpose(1, 2).unsqueeze(-1)  # (N, C, 1, 1) broadcasts


@MODELS.register_module()
class ECANeck(BaseModule):
    """Apply :class:`ECA` to each level; shapes stay as they are.

    Args:
        in_channels: channels of the backbone's levels, in the backbone's order. In a config, None
            is what the backbone gives: see :func:`~mlrfnet_mm.models.channels.fill_in_channels`.
        kernel_size: 3 in the paper; ``None`` takes ECA-Net's :func:`adaptive_kernel_size`.
        init_cfg: mmengine's initialization config.

    Raises:
        ValueError: an even kernel size at construction; at run time, levels that are not those of
            ``in_channels``.
    """

    def __init__(
        self,
        in_channels: Sequence[int] | None = (512, 1024, 2048),
        kernel_size: int | None = 3,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = known_channels(in_channels, 'neck')
        self.levels = nn.ModuleList(
            ECA(adaptive_kernel_size(c) if kernel_size is None else kernel_size)
            for c in self.in_channels
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map a tuple of (N, C_l, H_l, W_l) to the same shapes."""
        check_levels(feats, self.in_channels, 'neck')
        return tuple(level(x) for level, x in zip(self.levels, feats, strict=True))
