"""Classification heads, in mmpretrain's sense."""

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

__all__ = [
    'FindingGraphHead',
    'LabelCoupling',
    'LabelGraphHead',
    'LabelQueryHead',
    'LabelSequenceHead',
    'MRFCHead',
    'PixelAttentionHead',
    'ScoreMapHead',
]
