"""Necks: tuple of feature maps to tuple of feature maps."""

from .eca_neck import ECANeck

__all__ = ['ECANeck']
