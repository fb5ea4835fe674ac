"""Losses over logits (N, K)."""

from mlrfnet_mm.models.losses.biased_focal_loss import BiasedFocalLoss, biased_focal_loss
from mlrfnet_mm.models.losses.masked_loss import MaskedLoss

__all__ = ['BiasedFocalLoss', 'MaskedLoss', 'biased_focal_loss']
