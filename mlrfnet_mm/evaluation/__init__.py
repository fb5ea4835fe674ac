"""Functions on arrays first, thin mmengine metrics over them."""

from .auc import auc_table, mean_defined, roc_auc
from .average_precision import average_precision
from .bootstrap import (
    bootstrap_areas,
    bootstrap_auc,
    bootstrap_p,
    mean_over_classes,
    patient_counts,
    patient_weights,
    percentile_interval,
    too_few_patients,
)
from .calibration import Calibration, fit_calibration
from .delong import delong_interval, delong_test
from .holm import holm
from .metrics import MeanLoss, MultiLabelAUC, StudyAUC
from .predictions import Predictions
from .reliability import Reliability, brier_score, calibration_error, reliability_curve
from .shared_findings import SharedAUC, SharedStudyAUC, shared_findings
from .threshold_file import Thresholds
from .thresholds import OperatingPoints, choose_thresholds, confusion_metrics, operating_points

__all__ = [
    'Calibration',
    'MeanLoss',
    'MultiLabelAUC',
    'OperatingPoints',
    'Predictions',
    'Reliability',
    'SharedAUC',
    'SharedStudyAUC',
    'StudyAUC',
    'Thresholds',
    'auc_table',
    'average_precision',
    'bootstrap_areas',
    'bootstrap_auc',
    'bootstrap_p',
    'brier_score',
    'calibration_error',
    'choose_thresholds',
    'confusion_metrics',
    'delong_interval',
    'delong_test',
    'fit_calibration',
    'holm',
    'mean_defined',
    'mean_over_classes',
    'operating_points',
    'patient_counts',
    'patient_weights',
    'percentile_interval',
    'reliability_curve',
    'roc_auc',
    'shared_findings',
    'too_few_patients',
]
