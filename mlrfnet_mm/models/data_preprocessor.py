"""From grey uint8 batches to normalised three-channel ones, on the device."""

from typing import Any

import torch
from mmpretrain.models import ClsDataPreprocessor

from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class XrayDataPreprocessor(ClsDataPreprocessor):
    """mmpretrain's ClsDataPreprocessor for one-channel images.

    A third of the bytes goes to the device; there, ``(image - mean) / std`` with a value for each
    channel makes three channels of one. The numbers are those of the grey image stored as colour.

    Args:
        mean: of each channel of the result; one value keeps one channel.
        std: as many values.
        **kwargs: see mmpretrain's ClsDataPreprocessor; ``to_rgb`` means nothing here.

    Raises:
        ValueError: at run time, images of another channel number or of different sizes.
    """

    def __init__(
        self,
        mean: list[float] = [123.675, 116.28, 103.53],  # noqa: B006  ImageNet; never changed
        std: list[float] = [58.395, 57.12, 57.375],  # noqa: B006
        **kwargs: Any,
    ) -> None:
        super().__init__(mean=mean, std=std, **kwargs)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack, move and normalise: inputs (N, 1, H, W) or (N, crops, 1, H, W) of any dtype."""
        inputs = data['inputs']
        if not isinstance(inputs, torch.Tensor):
            shapes = {tuple(image.shape) for image in inputs}
            if len(shapes) > 1:
                raise ValueError(
                    f'images of different sizes in a batch: {sorted(shapes)}; end the geometry of '
                    'the pipeline with one crop_size'
                )
            inputs = torch.stack(list(inputs))
        if inputs.shape[-3] != 1:
            raise ValueError(
                f'XrayDataPreprocessor takes one-channel images, got {tuple(inputs.shape)}; load '
                'them with mlrfnet_mm.LoadXray, or use mmpretrain.ClsDataPreprocessor'
            )
        return super().forward({**data, 'inputs': inputs}, training)
