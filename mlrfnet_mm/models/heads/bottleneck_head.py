"""A linear classifier that adds the divergence of an information bottleneck to its loss.

Alemi et al., "Deep Variational Information Bottleneck", ICLR 2017,
https://arxiv.org/abs/1612.00410
"""

from typing import Any

from mmpretrain.models import MultiLabelLinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class BottleneckHead(MultiLabelLinearClsHead):
    """mmpretrain's linear head over a neck that gives (divergence, vector) in training.

    Args:
        beta: weight of the batch's mean divergence.
        options: those of mmpretrain's head; ``loss`` is :class:`mlrfnet_mm.BiasedFocalLoss` if it
            is not given.

    Raises:
        ValueError: in training, features without a divergence.
    """

    def __init__(self, beta: float = 1e-3, **options: Any) -> None:
        super().__init__(**{'loss': dict(type='mlrfnet_mm.BiasedFocalLoss'), **options})
        self.beta = beta

    def loss(self, feats: tuple[Tensor, ...], data_samples: list[DataSample]) -> dict[str, Tensor]:
        """``loss_classes``, and ``loss_bottleneck`` in training."""
        losses = dict(loss_classes=self._get_loss(self(feats), data_samples)['loss'])
        if not self.training:
            return losses
        if len(feats) != 2 or feats[0].ndim != 1:
            raise ValueError(
                'BottleneckHead trains on (divergence (N,), vector (N, C)), got '
                f'{[tuple(x.shape) for x in feats]}: take mlrfnet_mm.SelectIntegrateNeck'
            )
        return losses | dict(loss_bottleneck=self.beta * feats[0].mean())
