"""Losses over logits (N, K)."""

from .biased_focal_loss import BiasedFocalLoss, biased_focal_loss

__all__ = ['BiasedFocalLoss', 'biased_focal_loss']
