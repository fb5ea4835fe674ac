"""Classification heads, in mmpretrain's sense."""

from .mrfc_head import MRFCHead

__all__ = ['MRFCHead']
