"""Losses over logits (N, K)."""

from .biased_focal_loss import BiasedFocalLoss, biased_focal_loss
from .masked_loss import MaskedLoss

__all__ = ['BiasedFocalLoss', 'MaskedLoss', 'biased_focal_loss']
