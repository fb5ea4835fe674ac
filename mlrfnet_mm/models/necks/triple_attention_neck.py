"""Attention to channels, to places and to scales; the levels become one map.

Our choice after A3Net (Wang et al., Med. Image Anal. 67:101846, 2021), whose text was not
available.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.models.necks.se_neck import squeeze_excitation
from mlrfnet_mm.registry import MODELS


def weigh_levels(levels: Tensor, query: Tensor) -> Tensor:
    r"""Mix maps by attention, :math:`\sum_l \alpha_l V_l` with softmax over the levels.

    .. math:: \alpha = \mathrm{softmax}_l(v \cdot \bar V_l)

    Args:
        levels: (L, N, C, H, W).
        query: v, (C,).

    Returns:
        (N, C, H, W).
    """
    alpha = (levels.mean((3, 4)) * query).sum(2).softmax(0)  # (L, N)
    return (alpha[..., None, None, None] * levels).sum(0)


@MODELS.register_module()
class TripleAttentionNeck(BaseModule):
    r"""Channel, element and scale attention in turn.

    Each level: squeeze and excitation, then :math:`x (1 + \sigma(w \cdot x + b))` at every place,
    then a 1x1 convolution to ``out_channels`` and the size of the middle level (average or
    bilinear); the levels then are mixed by :func:`weigh_levels`.

    Args:
        in_channels: channels of the levels; None in a config as in :class:`ECANeck`.
        out_channels: of the one map that comes out.
        ratio: of squeeze and excitation.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: see :class:`mlrfnet_mm.SENeck`.
    """

    def __init__(
        self,
        in_channels: Sequence[int] | None = (512, 1024, 1024),
        out_channels: int = 256,
        ratio: int = 16,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = known_channels(in_channels, 'neck')
        self.channel = nn.ModuleList(squeeze_excitation(c, ratio) for c in self.in_channels)
        self.element = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in self.in_channels)
        self.reduce = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in self.in_channels)
        self.query = nn.Parameter(torch.zeros(out_channels))  # all levels alike at the start

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor]:
        """Map a tuple of (N, C_l, H_l, W_l) to one (N, out_channels, H, W)."""
        check_levels(feats, self.in_channels, 'neck')
        height, width = feats[len(feats) // 2].shape[2:]
        levels = []
        for x, channel, element, reduce in zip(
            feats, self.channel, self.element, self.reduce, strict=True
        ):
            x = channel(x)
            x = x * (1 + torch.sigmoid(element(x)))  # (N, 1, H_l, W_l) broadcasts
            levels.append(_resize(reduce(x), height, width))
        return (weigh_levels(torch.stack(levels), self.query),)


def _resize(x: Tensor, height: int, width: int) -> Tensor:
    """Average where the map gets smaller, bilinear where it gets larger."""
    if x.shape[2] > height or x.shape[3] > width:
        return F.adaptive_avg_pool2d(x, (height, width))
    if x.shape[2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode='bilinear', align_corners=False)
