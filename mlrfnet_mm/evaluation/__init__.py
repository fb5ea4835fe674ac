"""Functions on arrays first, thin mmengine metrics over them."""

from .auc import auc_table, mean_defined, roc_auc
from .metrics import MeanLoss, MultiLabelAUC
from .predictions import Predictions

__all__ = [
    'MeanLoss',
    'MultiLabelAUC',
    'Predictions',
    'auc_table',
    'mean_defined',
    'roc_auc',
]
