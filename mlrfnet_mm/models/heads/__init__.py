"""Classification heads, in mmpretrain's sense."""

from mlrfnet_mm.models.heads.batch_graph_head import BatchGraphHead
from mlrfnet_mm.models.heads.bottleneck_head import BottleneckHead
from mlrfnet_mm.models.heads.fusion_head import FusionHead
from mlrfnet_mm.models.heads.mrfc_head import MRFCHead
from mlrfnet_mm.models.heads.tree_logits import TreeLogits

__all__ = ['BatchGraphHead', 'BottleneckHead', 'FusionHead', 'MRFCHead', 'TreeLogits']
