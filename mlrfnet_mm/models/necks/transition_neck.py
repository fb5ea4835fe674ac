"""A 1x1 convolution and ReLU on every level: the transition layer before a pooling.

Wang et al., CVPR 2017, https://arxiv.org/abs/1705.02315, put a transition layer
between the backbone and its pooling; that it is this one is our choice.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class TransitionNeck(BaseModule):
    """``ReLU(conv(U))`` on each level.

    Args:
        in_channels: channels of the backbone's levels. In a config, None is what the backbone
            gives, as in :class:`ECANeck`.
        out_channels: of all levels; None keeps each level's number.
        init_cfg: initialisation; the default is Kaiming's normal on the convolutions.

    Raises:
        ValueError: at run time, levels that are not those of ``in_channels``.
    """

    def __init__(
        self,
        in_channels: Sequence[int] | None = (2048,),
        out_channels: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg or dict(type='Kaiming', layer='Conv2d'))
        self.in_channels = known_channels(in_channels, 'neck')
        self.convs = nn.ModuleList(
            nn.Conv2d(c, out_channels or c, kernel_size=1) for c in self.in_channels
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map a tuple of (N, C_l, H_l, W_l) to (N, out_channels, H_l, W_l)."""
        check_levels(feats, self.in_channels, 'neck')
        return tuple(F.relu(conv(x)) for conv, x in zip(self.convs, feats, strict=True))
