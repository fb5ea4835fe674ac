"""What the backbone gives against what a neck or head was built for."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def check_levels(feats: Sequence[Tensor], in_channels: Sequence[int], part: str) -> None:
    """Compare the levels with ``in_channels``.

    Args:
        feats: the levels, each (N, C, H, W).
        in_channels: the C of each.
        part: ``'neck'`` or ``'head'``: the part of the config that has ``in_channels``.

    Raises:
        ValueError: with the level, the number expected and the one found.
    """
    for level, x in enumerate(feats):
        if x.ndim != 4:
            raise ValueError(
                f'model.{part} expects maps (N, C, H, W), level {level} of the backbone is '
                f'{tuple(x.shape)}: switch its final pooling off'
            )
    found = tuple(x.shape[1] for x in feats)
    if found == tuple(in_channels):
        return
    if len(found) != len(in_channels):
        what = f'expects {len(in_channels)} levels, the backbone gives {len(found)}'
    else:
        pairs = enumerate(zip(in_channels, found, strict=True))
        level, (expected, c) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        what = f'expects {expected} channels at level {level}, the backbone gives {c}'
    raise ValueError(
        f'model.{part} {what}: set model.{part}.in_channels={found} (it is {tuple(in_channels)}), '
        'or model.backbone.out_indices'
    )


def known_channels(in_channels: Sequence[int] | None, part: str) -> tuple[int, ...]:
    """The numbers as a tuple.

    Raises:
        ValueError: None, which is for configs that are built as a whole.
    """
    if in_channels is None:
        raise ValueError(
            f'model.{part}.in_channels=None is filled in by mlrfnet_mm.SafeRunner '
            "(runner_type='mlrfnet_mm.SafeRunner') or mlrfnet_mm.models.build_model; elsewhere set "
            "the channels of the backbone's levels, as (512, 1024, 2048)"
        )
    return tuple(in_channels)


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Compute in the tensors' own precision on the device of x; the meta device has no other."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def classify_each(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each finding's own linear classifier on its own features: logits (N, K).

    The bias is one more product in the sum: of ``(x * weight).sum(-1) + bias``, OpenVINO 2026.4
    adds the bias to the wrong places where there is more than one image.

    Args:
        x: (N, K, C).
        weight: (K, C).
        bias: (K,).
    """
    last = bias[:, None].expand(x.shape[0], -1, -1)  # (N, K, 1)
    return torch.cat([x * weight, last], -1).sum(-1)
