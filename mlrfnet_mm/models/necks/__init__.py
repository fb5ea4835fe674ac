"""Necks: tuple of feature maps to tuple of feature maps, or of vectors."""

from mlrfnet_mm.models.necks.eca_neck import ECANeck
from mlrfnet_mm.models.necks.lse_pooling import LSEPooling
from mlrfnet_mm.models.necks.se_neck import SENeck
from mlrfnet_mm.models.necks.select_integrate_neck import SelectIntegrateNeck
from mlrfnet_mm.models.necks.transition_neck import TransitionNeck
from mlrfnet_mm.models.necks.triple_attention_neck import TripleAttentionNeck

__all__ = [
    'ECANeck',
    'LSEPooling',
    'SENeck',
    'SelectIntegrateNeck',
    'TransitionNeck',
    'TripleAttentionNeck',
]
