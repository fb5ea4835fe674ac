"""Classification heads, in mmpretrain's sense."""

from mlrfnet_mm.models.heads.mrfc_head import MRFCHead
from mlrfnet_mm.models.heads.tree_logits import TreeLogits

__all__ = ['MRFCHead', 'TreeLogits']
