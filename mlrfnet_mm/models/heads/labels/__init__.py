"""Heads that let the labels know of each other."""

from mlrfnet_mm.models.heads.labels.finding_graph_head import FindingGraphHead
from mlrfnet_mm.models.heads.labels.label_coupling import LabelCoupling
from mlrfnet_mm.models.heads.labels.label_graph_head import LabelGraphHead
from mlrfnet_mm.models.heads.labels.label_query_head import LabelQueryHead
from mlrfnet_mm.models.heads.labels.label_sequence_head import LabelSequenceHead

__all__ = [
    'FindingGraphHead',
    'LabelCoupling',
    'LabelGraphHead',
    'LabelQueryHead',
    'LabelSequenceHead',
]
