"""Losses over logits (N, K)."""

from mlrfnet_mm.models.losses.biased_focal_loss import BiasedFocalLoss, biased_focal_loss
from mlrfnet_mm.models.losses.masked_loss import MaskedLoss
from mlrfnet_mm.models.losses.multi_label_distillation import (
    MultiLabelDistillationLoss,
    multi_label_distillation,
)

__all__ = [
    'BiasedFocalLoss',
    'MaskedLoss',
    'MultiLabelDistillationLoss',
    'biased_focal_loss',
    'multi_label_distillation',
]
