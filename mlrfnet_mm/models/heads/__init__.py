"""Classification heads, in mmpretrain's sense."""

from mlrfnet_mm.models.heads.batch_graph_head import BatchGraphHead
from mlrfnet_mm.models.heads.bottleneck_head import BottleneckHead
from mlrfnet_mm.models.heads.fusion_head import FusionHead
from mlrfnet_mm.models.heads.labels import (
    FindingGraphHead,
    LabelCoupling,
    LabelGraphHead,
    LabelQueryHead,
    LabelSequenceHead,
)
from mlrfnet_mm.models.heads.mrfc_head import MRFCHead
from mlrfnet_mm.models.heads.pixel_attention_head import PixelAttentionHead
from mlrfnet_mm.models.heads.score_map_head import ScoreMapHead
from mlrfnet_mm.models.heads.tree_logits import TreeLogits

__all__ = [
    'BatchGraphHead',
    'BottleneckHead',
    'FindingGraphHead',
    'FusionHead',
    'LabelCoupling',
    'LabelGraphHead',
    'LabelQueryHead',
    'LabelSequenceHead',
    'MRFCHead',
    'PixelAttentionHead',
    'ScoreMapHead',
    'TreeLogits',
]
