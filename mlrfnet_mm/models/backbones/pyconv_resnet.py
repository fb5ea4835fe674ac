"""PyConvResNet: a ResNet with convolutions of several kernel sizes, and shuffle attention.

Pyramidal convolution: Duta et al., 2020, https://arxiv.org/abs/2006.11538; shuffle attention:
Zhang and Yang, ICASSP 2021, https://arxiv.org/abs/2102.00240; both together: PCSANet, Chen, Wang
and Zhang, IEEE Access 10:85571-85581, 2022.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.models import ResNet
from mmpretrain.models.backbones.resnet import Bottleneck
from torch import Tensor, nn

from mlrfnet_mm.registry import MODELS

# By stage: kernel size, groups and share of the output channels, in eighths, of each convolution.
PYRAMIDS = (
    ((3, 1, 2), (5, 4, 2), (7, 8, 2), (9, 16, 2)),
    ((3, 1, 2), (5, 4, 2), (7, 8, 4)),
    ((3, 1, 4), (5, 4, 4)),
    ((3, 1, 8),),
)
SA_GROUPS = 64
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class PyConv(nn.Module):
    """Convolutions of one map by several kernels, the outputs concatenated.

    Args:
        channels: of the input and of the output.
        pyramid: (kernel size, groups, eighths of the output) of each convolution.
        stride: of all.
    """

    def __init__(
        self, channels: int, pyramid: Sequence[tuple[int, int, int]], stride: int = 1
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Conv2d(
                channels, channels * share // 8, kernel, stride, kernel // 2, groups=groups,
                bias=False,
            )
            for kernel, groups, share in pyramid
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H / stride, W / stride)."""
        return torch.cat([level(x) for level in self.levels], 1)


class ShuffleAttention(nn.Module):
    """Attention to channels in one half of each group and to places in the other, then a shuffle.

    With halves x0, x1 of each group: x0 · σ(w_c · mean(x0) + b_c), x1 · σ(w_s · GN(x1) + b_s).
    Weights are shared by the groups; they start at 0 and the biases at 1, as the authors' do.

    Args:
        channels: of the map.
        groups: the map is cut into so many parts.

    Raises:
        ValueError: channels that do not divide by twice the groups.
    """

    def __init__(self, channels: int, groups: int = SA_GROUPS) -> None:
        super().__init__()
        if channels % (2 * groups):
            raise ValueError(
                f'{channels} channels do not divide into {groups} groups of two halves: shuffle '
                f'attention needs a multiple of {2 * groups}'
            )
        half = channels // (2 * groups)
        self.groups = groups
        self.channel_weight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.channel_bias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.place_weight = nn.Parameter(torch.zeros(1, half, 1, 1))
        self.place_bias = nn.Parameter(torch.ones(1, half, 1, 1))
        self.norm = nn.GroupNorm(half, half)  # each channel over its places

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        n, _, h, w = x.shape
        x0, x1 = x.reshape(n * self.groups, -1, h, w).chunk(2, 1)  # (N*G, C / 2G, H, W) each
        mean = F.adaptive_avg_pool2d(x0, 1)
        x0 = x0 * torch.sigmoid(self.channel_weight * mean + self.channel_bias)
        x1 = x1 * torch.sigmoid(self.place_weight * self.norm(x1) + self.place_bias)
        x = torch.cat([x0, x1], 1).reshape(n, -1, h, w)
        return F.channel_shuffle(x, 2)


class PooledShortcut(nn.Sequential):
    """Maximum over 3x3, stride 2, before the 1x1 convolution and its norm."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 4p, H / 2, W / 2)."""
        return super().forward(F.max_pool2d(x, 3, 2, 1))


class PyConvBottleneck(Bottleneck):
    """mmpretrain's bottleneck with a pyramid for its 3x3 convolution, and shuffle attention.

    Its tensors have ResNet's names and shapes, but for those of ``conv2.levels`` and ``attention``.

    Args:
        pyramid: see :class:`PyConv`.
        shuffle_attention: attend before the sum.
        downsample: convolution and norm of the shortcut, where it has them.
        options: those of mmpretrain's block.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pyramid: Sequence[tuple[int, int, int]],
        shuffle_attention: bool,
        downsample: nn.Sequential | None = None,
        **options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, downsample=downsample, **options)
        if len(pyramid) > 1:  # the last stage's is ResNet's own convolution
            self.conv2 = PyConv(self.mid_channels, pyramid, self.conv2_stride)
        if downsample is not None and self.stride == 2:
            conv, norm = downsample
            assert isinstance(conv, nn.Conv2d)
            conv.stride = (1, 1)  # the pool before it takes every other place
            self.downsample = PooledShortcut(conv, norm)
        self.attention = ShuffleAttention(out_channels) if shuffle_attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 4p, H / stride, W / stride)."""
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        out = self.attention(self.norm3(self.conv3(out)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


@MODELS.register_module()
class PyConvResNet(ResNet):
    """PyConvResNet; at 224 its stages give 256@56, 512@28, 1024@14 and 2048@7.

    The 7x7 stem is not followed by a pool: each of the four stages halves the map in its first
    block. With ``depth=50``, shuffle attention and a linear layer of 14 outputs it has PCSANet's
    22,828,114 parameters.

    Args:
        depth: 50, 101 or 152; PCSANet's is 50.
        shuffle_attention: :class:`ShuffleAttention` in every block.
        out_indices: stages that are given, from 0.
        frozen_stages: see mmpretrain's ResNet.
        norm_eval: see mmpretrain's ResNet.
        zero_init_residual: start each block as its shortcut; the authors do not.
        init_cfg: initialisation; the default is He's on convolutions (fan out), as the authors'.

    Raises:
        ValueError: another depth.
    """

    arch_settings = {depth: (PyConvBottleneck, blocks) for depth, blocks in DEPTHS.items()}

    def __init__(
        self,
        depth: int = 50,
        shuffle_attention: bool = True,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        zero_init_residual: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if depth not in DEPTHS:
            raise ValueError(f'depth of PyConvResNet must be one of {tuple(DEPTHS)}, got {depth}')
        self.shuffle_attention = shuffle_attention
        super().__init__(
            depth,
            strides=(2, 2, 2, 2),
            out_indices=tuple(out_indices),
            frozen_stages=frozen_stages,
            norm_eval=norm_eval,
            zero_init_residual=zero_init_residual,
            init_cfg=init_cfg or dict(type='Kaiming', layer='Conv2d'),
        )

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        super()._make_stem_layer(in_channels, stem_channels)
        self.maxpool = nn.Identity()

    def make_res_layer(self, **options: Any) -> nn.Sequential:
        """The next stage, with its pyramid."""
        pyramid = PYRAMIDS[len(self.res_layers)]
        return super().make_res_layer(
            pyramid=pyramid, shuffle_attention=self.shuffle_attention, **options
        )
