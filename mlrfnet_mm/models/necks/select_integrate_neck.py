"""A selector through an information bottleneck next to an integrator of channels and places.

Our choice after ConsultNet (Guan et al., IEEE TIP 30:2476-2487, 2021), whose text was not
available; the bottleneck is that of Alemi et al., ICLR 2017, https://arxiv.org/abs/1612.00410
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.models.necks.se_neck import squeeze_excitation
from mlrfnet_mm.registry import MODELS

LEAST_STD = 1e-6


def divergence_from_normal(mean: Tensor, std: Tensor) -> Tensor:
    r"""Divergence of Gaussians from the standard one, entry by entry.

    .. math:: \mathrm{KL} = \tfrac12 (\mu^2 + \sigma^2 - 1) - \log \sigma
    """
    return 0.5 * (mean.square() + std.square() - 1) - std.log()


@MODELS.register_module()
class SelectIntegrateNeck(BaseModule):
    r"""Two vectors of one map, for :class:`mlrfnet_mm.BottleneckHead`.

    Selector: :math:`\mu, \rho` by 1x1 convolutions, :math:`x = \mu + \mathrm{softplus}(\rho - 5)
    \epsilon` (:math:`\mu` when testing), :math:`f_s = \sum_j a_j x_j` with
    :math:`a = \mathrm{softmax}_j(w \cdot x_j + b)`. Integrator: squeeze and excitation, then
    :math:`\sigma(\mathrm{conv}_{7 \times 7}[\mathrm{mean}_c; \max_c])` at every place, then the
    mean over places :math:`f_i`.

    Args:
        in_channels: channels of the one level; None in a config as in :class:`ECANeck`.
        selected: channels of the selector.
        ratio: of squeeze and excitation.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: more than one level; see also :class:`mlrfnet_mm.SENeck`.
    """

    def __init__(
        self,
        in_channels: Sequence[int] | None = (1024,),
        selected: int = 256,
        ratio: int = 16,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = known_channels(in_channels, 'neck')
        if len(self.in_channels) != 1:
            raise ValueError(
                f'SelectIntegrateNeck takes one level, got in_channels={self.in_channels}'
            )
        (channels,) = self.in_channels
        self.mean = nn.Conv2d(channels, selected, 1)
        self.spread = nn.Conv2d(channels, selected, 1)
        self.attention = nn.Conv2d(selected, 1, 1)  # the softmax does not see its bias
        self.channel = squeeze_excitation(channels, ratio)
        self.place = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map (N, C, H, W) to [f_i; f_s], (N, C + selected); before it in training the KL, (N,)."""
        check_levels(feats, self.in_channels, 'neck')
        (x,) = feats
        selected, divergence = self.select(x)
        vector = torch.cat([self.integrate(x), selected], 1)
        return (vector,) if divergence is None else (divergence, vector)

    def select(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """f_s, (N, selected), and in training the mean divergence of each image, (N,)."""
        code: Tensor = self.mean(x)
        divergence = None
        if self.training:
            half = code.dtype in (torch.half, torch.bfloat16)
            mean, spread = (
                y.float() if half else y for y in (code, self.spread(x))
            )  # squares of half precision end at 65,504
            std = F.softplus(spread - 5).clamp(min=LEAST_STD)
            divergence = divergence_from_normal(mean, std).mean((1, 2, 3))
            code = mean + std * torch.randn_like(std)
        weight = self.attention(code).flatten(2).softmax(-1)  # (N, 1, HW)
        return (code.flatten(2) * weight).sum(-1), divergence

    def integrate(self, x: Tensor) -> Tensor:
        """f_i, (N, C)."""
        x = self.channel(x)
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return (x * torch.sigmoid(self.place(summary))).mean((2, 3))
