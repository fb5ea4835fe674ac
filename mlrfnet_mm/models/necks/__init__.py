"""Necks: tuple of feature maps to tuple of feature maps."""

from mlrfnet_mm.models.necks.eca_neck import ECANeck

__all__ = ['ECANeck']
