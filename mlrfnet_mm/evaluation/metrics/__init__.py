"""mmengine's metrics over the functions on arrays."""

from mlrfnet_mm.evaluation.metrics.metrics import MeanLoss, MultiLabelAUC, StudyAUC
from mlrfnet_mm.evaluation.metrics.shared_findings import (
    SharedAUC,
    SharedStudyAUC,
    shared_findings,
)

__all__ = [
    'MeanLoss',
    'MultiLabelAUC',
    'SharedAUC',
    'SharedStudyAUC',
    'StudyAUC',
    'shared_findings',
]
