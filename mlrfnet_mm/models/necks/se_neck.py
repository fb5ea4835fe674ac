"""Squeeze and excitation on every level of a backbone.

Hu, Shen and Sun, CVPR 2018, https://arxiv.org/abs/1709.01507; the module is timm's.
"""

from collections.abc import Sequence

from mmengine.model import BaseModule
from timm.layers import SEModule
from torch import Tensor, nn

from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class SENeck(BaseModule):
    """``U * sigmoid(W2 relu(W1 mean(U)))`` of each level; shapes stay as they are.

    Args:
        in_channels: channels of the levels; None in a config as in :class:`ECANeck`.
        ratio: channels per hidden unit.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: channels that do not divide by the ratio; at run time, levels that are not those
            of ``in_channels``.
    """

    def __init__(
        self,
        in_channels: Sequence[int] | None,
        ratio: int = 16,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = known_channels(in_channels, 'neck')
        self.levels = nn.ModuleList(squeeze_excitation(c, ratio) for c in self.in_channels)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map a tuple of (N, C_l, H_l, W_l) to the same shapes."""
        check_levels(feats, self.in_channels, 'neck')
        return tuple(level(x) for level, x in zip(self.levels, feats, strict=True))


def squeeze_excitation(channels: int, ratio: int) -> SEModule:
    """SE of timm with ``channels / ratio`` hidden units.

    Raises:
        ValueError: channels that do not divide by the ratio.
    """
    if ratio < 1 or channels % ratio:
        raise ValueError(f'{channels} channels do not divide by the ratio {ratio}')
    return SEModule(channels, rd_channels=channels // ratio)
