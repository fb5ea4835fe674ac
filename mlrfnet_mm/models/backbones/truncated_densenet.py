"""DenseNet up to its third transition: 512 channels at a stride of 16, for PCAN.

Zhu et al., Comput. Med. Imaging Graph. 102:102137, 2022; DenseNet: Huang et al., CVPR 2017,
https://arxiv.org/abs/1608.06993. The last dense block and its norm are cut off, the transition's
pooling too; a norm of its own follows, which no ImageNet weights have.
"""

import timm
import torch.nn.functional as F
from mmengine.model import BaseModule
from timm.models.densenet import DenseNet
from torch import Tensor, nn

from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class TruncatedDenseNet(BaseModule):
    """A DenseNet of timm's, by timm's names, without what follows its third transition.

    Its ImageNet weights::

        init_cfg=dict(
            type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k',
            drop=('features.denseblock4', 'features.norm5'), new=('norm',))

    Args:
        model_name: a DenseNet of timm's.
        in_channels: of the image.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: ``model_name`` is not a DenseNet of timm's.
    """

    def __init__(
        self,
        model_name: str = 'densenet121',
        in_channels: int = 3,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not model_name.startswith('densenet') or not timm.is_model(model_name):
            raise ValueError(
                f"TruncatedDenseNet: model_name must be one of timm's DenseNets, as 'densenet121', "
                f'got {model_name!r}'
            )
        net = timm.create_model(model_name, in_chans=in_channels)
        assert isinstance(net, DenseNet)
        self.features = net.features
        last = self.features.get_submodule('transition3')
        last.pool = nn.Identity()
        del self.features.denseblock4, self.features.norm5
        self.norm = nn.BatchNorm2d(last.get_parameter('conv.weight').shape[0])

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map images (N, 3, H, W) to one level, (N, 512, H/16, W/16) for DenseNet-121."""
        return (F.relu(self.norm(self.features(x)), inplace=True),)
