"""Necks: tuple of feature maps to tuple of feature maps, or of vectors."""

from mlrfnet_mm.models.necks.eca_neck import ECANeck
from mlrfnet_mm.models.necks.lse_pooling import LSEPooling
from mlrfnet_mm.models.necks.transition_neck import TransitionNeck

__all__ = ['ECANeck', 'LSEPooling', 'TransitionNeck']
