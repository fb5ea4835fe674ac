"""Functions on arrays first, thin mmengine metrics over them."""

from .auc import auc_table, mean_defined, roc_auc
from .average_precision import average_precision
from .bootstrap import (
    bootstrap_areas,
    bootstrap_auc,
    bootstrap_p,
    mean_over_classes,
    patient_weights,
    percentile_interval,
)
from .delong import delong_interval, delong_test
from .holm import holm
from .metrics import MeanLoss, MultiLabelAUC
from .predictions import Predictions
from .thresholds import OperatingPoints, choose_thresholds, confusion_metrics, operating_points

__all__ = [
    'MeanLoss',
    'MultiLabelAUC',
    'OperatingPoints',
    'Predictions',
    'auc_table',
    'average_precision',
    'bootstrap_areas',
    'bootstrap_auc',
    'bootstrap_p',
    'choose_thresholds',
    'confusion_metrics',
    'delong_interval',
    'delong_test',
    'holm',
    'mean_defined',
    'mean_over_classes',
    'operating_points',
    'patient_weights',
    'percentile_interval',
    'roc_auc',
]
