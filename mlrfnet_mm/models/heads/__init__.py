"""Classification heads, in mmpretrain's sense."""

from mlrfnet_mm.models.heads.mrfc_head import MRFCHead

__all__ = ['MRFCHead']
