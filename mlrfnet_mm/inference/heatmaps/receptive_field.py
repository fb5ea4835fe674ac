"""Where in the input the cells of a feature map lie.

A cell j of a map looks at the input around the place ``S·j + O``: strides and offsets of the layers
before it, multiplied and summed. Where the strided convolutions have odd kernels and are padded on
both sides, as in ResNet and Res2Net, O is 0. To enlarge a map as if its cells were tiles, which is
the custom, is to assume O = (S - 1) / 2: then all that it shows lies half a stride too far right
and down, 15.5 pixels of 224 at S = 32. Networks that cut the image into patches do have tiles.
Layers that keep the size of a map are taken to keep its places: so do all with odd kernels.
"""

import warnings
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

Size = tuple[int, int]  # H, W
POOLS = (nn.MaxPool2d, nn.AvgPool2d)
ADAPTIVE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
STRIDED = (nn.Conv2d, *POOLS, *ADAPTIVE, nn.Unfold, nn.PixelUnshuffle)


class Step(NamedTuple):
    """One layer that makes the map smaller; output j has its center at ``stride · j + offset``."""

    source: Size
    target: Size
    kernel: float
    stride: tuple[float, float]
    offset: tuple[float, float]


def pair(value: int | tuple[int, ...]) -> Size:
    """A module's parameter for both directions."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def make_step(module: nn.Module, source: Size, target: Size | None) -> Step:
    """Describe a convolution, pooling or unfolding by its parameters and its sizes.

    Where the size does not fit the padding, the layer pads by itself as TensorFlow does, by what is
    needed and the odd pixel at the end.
    """
    if isinstance(module, (*ADAPTIVE, nn.PixelUnshuffle)):
        return _tiles(module, source, target)
    kernel, stride = pair(module.kernel_size), pair(module.stride)  # type: ignore[arg-type]
    dilation = pair(getattr(module, 'dilation', 1))
    padding = _padding(module, kernel, dilation)
    sizes, offsets = [], []
    for i in range(2):
        reach = dilation[i] * (kernel[i] - 1)
        size = (source[i] + 2 * padding[i] - reach - 1) // stride[i] + 1
        before = padding[i]
        if getattr(module, 'padding', 0) == 'same':
            size = source[i]
        elif target and target[i] != size and not getattr(module, 'ceil_mode', False):
            before = max((target[i] - 1) * stride[i] + reach + 1 - source[i], 0) // 2
        sizes.append(target[i] if target else size)
        offsets.append(reach / 2 - before)
    return Step(source, (sizes[0], sizes[1]), max(kernel), stride, (offsets[0], offsets[1]))


def _padding(module: nn.Module, kernel: Size, dilation: Size) -> Size:
    """Rows and columns before the first; torch's ``'same'`` puts the odd one at the end."""
    padding = module.padding
    if padding == 'valid':
        return 0, 0
    if padding == 'same':
        return dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2
    return pair(padding)  # type: ignore[arg-type]


def _tiles(module: nn.Module, source: Size, target: Size | None) -> Step:
    """Layers that cut their input into tiles: adaptive pooling and PixelUnshuffle."""
    if isinstance(module, nn.PixelUnshuffle):
        factor = module.downscale_factor
        target = (source[0] // factor, source[1] // factor)
    if target is None:
        raise ValueError(f'{type(module).__name__} gave no map (N, C, H, W)')
    stride = (source[0] / target[0], source[1] / target[1])
    return Step(source, target, max(stride), stride, ((stride[0] - 1) / 2, (stride[1] - 1) / 2))


def shrinking_steps(backbone: nn.Module, inputs: Tensor) -> list[Step]:
    """Steps of a backbone in the order of their calls, for one image."""
    steps: list[Step] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        source = (args[0].shape[-2], args[0].shape[-1])
        target = (output.shape[-2], output.shape[-1]) if output.ndim == 4 else None
        step = make_step(module, source, target)
        if step.target != source and max(step.stride) > 1:
            steps.append(step)

    handles = [m.register_forward_hook(note) for m in backbone.modules() if isinstance(m, STRIDED)]
    try:
        with torch.no_grad():
            backbone(inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    return steps


def cell_shift(steps: Iterable[Step], size: Size, level: Size) -> tuple[float, float]:
    """How far down and right of their places a map's cells are when they are taken as tiles.

    Of parallel layers between two sizes the one with the larger kernel counts: a shortcut takes a
    corner of what its block looks at.

    Args:
        steps: of the backbone.
        size: (H, W) of the input.
        level: (H, W) of the map.

    Returns:
        Pixels of the input, y and x. Where no chain of steps leads from input to map, zeros, and a
        warning says that the cells are taken as tiles.
    """
    steps = list(steps)
    scale, offset, place = [1.0, 1.0], [0.0, 0.0], level
    while place != size:
        before = [step for step in steps if step.target == place]
        if not before:
            warnings.warn(
                f'heat maps: no chain of layers from the input of {size[0]} × {size[1]} to the map '
                f'of {level[0]} × {level[1]}; its cells are taken as tiles of the input: right '
                'for networks that merge patches, else up to half a cell off',
                stacklevel=2,
            )
            return 0.0, 0.0
        step = max(before, key=lambda step: step.kernel)
        for i in range(2):
            offset[i] = step.offset[i] + step.stride[i] * offset[i]
            scale[i] *= step.stride[i]
        place = step.source
    return (scale[0] - 1) / 2 - offset[0], (scale[1] - 1) / 2 - offset[1]
