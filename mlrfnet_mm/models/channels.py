"""The channels of a backbone, found by looking: it is swapped by one assignment."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import Tensor, nn


def fill_in_channels(model: Mapping[str, Any], size: int = 224) -> dict[str, Any]:
    """Put numbers where the neck's or the head's config has ``in_channels=None``.

    The backbone, and the neck before the head, are built and see one image on the meta device,
    where shapes are computed and no pixels (mmpretrain's networks read numbers while they are
    built, so that happens on the CPU); no random number is taken from torch's generator. Given
    numbers are left as they are, to be checked when the network sees its first image.

    Args:
        model: config of a classifier.
        size: pixels of a side of the image, as some backbones take one size only.

    Returns:
        The config, or a copy of it with numbers.

    Raises:
        ValueError: ``in_channels=None``, and the part before gives no levels (N, C, H, W).
    """
    filled = dict(model)
    necks = model.get('neck') or []
    necks = list(necks) if isinstance(necks, list | tuple) else [necks]
    if 'backbone' not in model or not any(map(_wants, [*necks, model.get('head')])):
        return filled
    with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of missing weights: they are not wanted
        channels = model['backbone'].get('in_channels', 3)  # of the image
        feats = _build(model['backbone'])(torch.zeros(1, channels, size, size, device='meta'))
        for i, neck in enumerate(necks):
            necks[i] = _filled(neck, feats, 'neck')
            feats = _build(necks[i])(feats)
        if necks:
            filled['neck'] = necks if isinstance(model['neck'], list | tuple) else necks[0]
        if model.get('head'):
            filled['head'] = _filled(model['head'], feats, 'head')
    return filled


def build_model(model: Mapping[str, Any], size: int = 224, scope: str = 'mmpretrain') -> nn.Module:
    """Build a classifier's config, with :func:`fill_in_channels`.

    Args:
        model: config of a classifier.
        size: pixels of a side of the image.
        scope: the config's ``default_scope``, for types without a prefix.
    """
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(fill_in_channels(model, size))


def _build(part: Mapping[str, Any]) -> nn.Module:
    without = {'init_cfg': None} if 'init_cfg' in part else {}
    module = MODELS.build({**part, **without}).to('meta')
    module.eval()  # mmpretrain's ResNet returns nothing here
    return module


def _wants(part: Mapping[str, Any] | None) -> bool:
    if part is None:
        return False
    return part.get('in_channels', ()) is None or _wants(part.get('head'))  # of a head in a head


def _filled(part: Mapping[str, Any], feats: Any, key: str) -> Mapping[str, Any]:
    if not _wants(part):
        return part
    if _wants(part.get('head')):
        part = {**part, 'head': _filled(part['head'], feats, f'{key}.head')}
    return {**part, 'in_channels': _channels(feats, key)} if 'in_channels' in part else part


def _channels(feats: Any, key: str) -> tuple[int, ...]:
    levels = feats if isinstance(feats, tuple | list) else (feats,)
    if not all(isinstance(x, Tensor) and x.ndim == 4 for x in levels):
        found = [tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__ for x in levels]
        raise ValueError(
            f'{key}.in_channels=None needs levels (N, C, H, W) from the part before, which gives '
            f'{found}; set the numbers, or let the backbone give maps (out_indices, out_type)'
        )
    return tuple(x.shape[1] for x in levels)
