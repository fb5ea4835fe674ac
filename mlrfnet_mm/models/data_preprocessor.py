"""Gray batches become normalized three-channel ones on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import ClsDataPreprocessor
from torch import Tensor

from mlrfnet_mm.models.backbones.weights.xray_sources import IMAGENET, source_of
from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class XrayDataPreprocessor(ClsDataPreprocessor):
    """Move a batch of gray images to the device as uint8, then normalize it there.

    ``(x - mean) / std`` for each entry of ``mean`` makes (N, 1, H, W) uint8 into (N, C, H, W)
    float32, C the number of entries. The numbers are those of mmpretrain's ``ClsDataPreprocessor``
    on the same image with three equal channels; a third as many bytes are loaded and moved. V
    crops, (N, V, 1, H, W), give (N, V, C, H, W).

    Takes what mmengine's ``default_collate`` (one tensor: the cheaper way out of a worker) or
    ``pseudo_collate`` (a list) makes.

    Args:
        mean: of the channels, in gray levels; three for a network of color images (ImageNet's by
            default), one for a network of one channel.
        std: standard deviations, as many.
        source: published chest X-ray weights (:class:`XrayPretrained`) whose numbers are taken, for
            three channels.
        batch_augments: see mmpretrain's ClsDataPreprocessor; a model's ``train_cfg`` comes here.
            Mixup and CutMix mix ``gt_score``, so the loss must take targets between 0 and 1. What
            is unknown (NaN) in one of two images is unknown in their mixture, and the loss must
            mask it. Their draws come from the process's own generators.

    Raises:
        ValueError: no or unequally many means and deviations, or numbers next to a source, when
            built; images of several sizes or of several channels, when called.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        batch_augments: dict | None = None,
        source: str | None = None,
    ) -> None:
        if source is not None and not (mean is None and std is None):
            raise ValueError(
                f'source={source!r} has its own mean and std, got {mean} and {std} next to it'
            )
        takes = IMAGENET if source is None else source_of(source).takes.of_three()
        mean = takes.mean if mean is None else mean
        std = takes.std if std is None else std
        if not mean or len(mean) != len(std):
            raise ValueError(
                f'mean and std must have the same number of entries (1 or 3), got {mean} and {std}'
            )
        super().__init__(mean=mean, std=std, batch_augments=batch_augments)
        self._non_blocking = True  # pinned batches are copied while the device computes

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return ``inputs``, normalized, and ``data_samples``."""
        inputs = data['inputs']
        if not isinstance(inputs, Tensor):
            shapes = {tuple(x.shape) for x in inputs}
            if len(shapes) != 1:
                raise ValueError(
                    f'the images of a batch must have one size, got {sorted(shapes)}; give '
                    'XrayGeometry a crop_size'
                )
            inputs = torch.stack(list(inputs))
        if inputs.ndim not in (4, 5) or inputs.shape[-3] != 1:
            raise ValueError(
                'XrayDataPreprocessor takes gray batches, (N, 1, H, W) or (N, V, 1, H, W), got '
                f'{tuple(inputs.shape)}; load images with mlrfnet_mm.LoadXray, or use '
                'mmpretrain.ClsDataPreprocessor for color'
            )
        return super().forward({**data, 'inputs': inputs}, training)
