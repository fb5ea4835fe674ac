"""Necks: tuple of feature maps to tuple of feature maps."""

from mlrfnet_mm.models.necks.eca_neck import ECANeck
from mlrfnet_mm.models.necks.se_neck import SENeck
from mlrfnet_mm.models.necks.select_integrate_neck import SelectIntegrateNeck
from mlrfnet_mm.models.necks.triple_attention_neck import TripleAttentionNeck

__all__ = ['ECANeck', 'SENeck', 'SelectIntegrateNeck', 'TripleAttentionNeck']
