"""Losses over logits (N, K)."""

from mlrfnet_mm.models.losses.balanced_bce_loss import BalancedBCELoss, balanced_bce_loss
from mlrfnet_mm.models.losses.biased_focal_loss import BiasedFocalLoss, biased_focal_loss
from mlrfnet_mm.models.losses.distribution_balanced_loss import (
    DistributionBalancedLoss,
    negative_tolerant_loss,
    rebalanced_weights,
)
from mlrfnet_mm.models.losses.ldam_loss import LDAMLoss, ldam_loss
from mlrfnet_mm.models.losses.masked_loss import MaskedLoss
from mlrfnet_mm.models.losses.multi_label_distillation import (
    MultiLabelDistillationLoss,
    multi_label_distillation,
)

__all__ = [
    'BalancedBCELoss',
    'BiasedFocalLoss',
    'DistributionBalancedLoss',
    'LDAMLoss',
    'MaskedLoss',
    'MultiLabelDistillationLoss',
    'balanced_bce_loss',
    'biased_focal_loss',
    'ldam_loss',
    'multi_label_distillation',
    'negative_tolerant_loss',
    'rebalanced_weights',
]
