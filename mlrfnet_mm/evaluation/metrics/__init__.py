"""mmengine's metrics over the functions on arrays."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
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
