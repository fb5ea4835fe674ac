"""Functions on numpy arrays; mmengine's metrics over them are in ``metrics/``, imported apart."""

from mlrfnet_mm.evaluation.areas.auc import auc_table, mean_defined, roc_auc
from mlrfnet_mm.evaluation.areas.average_precision import average_precision
from mlrfnet_mm.evaluation.areas.bootstrap import (
    bootstrap_areas,
    bootstrap_auc,
    bootstrap_p,
    mean_over_classes,
    patient_counts,
    patient_weights,
    percentile_interval,
    too_few_patients,
)
from mlrfnet_mm.evaluation.areas.delong import delong_interval, delong_test
from mlrfnet_mm.evaluation.areas.holm import holm
from mlrfnet_mm.evaluation.calibration.fit import Calibration, fit_calibration
from mlrfnet_mm.evaluation.calibration.reliability import (
    Reliability,
    brier_score,
    calibration_error,
    reliability_curve,
)
from mlrfnet_mm.evaluation.files.predictions import Predictions
from mlrfnet_mm.evaluation.thresholds.choose import (
    OperatingPoints,
    choose_thresholds,
    confusion_metrics,
    operating_points,
)
from mlrfnet_mm.evaluation.thresholds.file import Thresholds

__all__ = [
    'Calibration',
    'OperatingPoints',
    'Predictions',
    'Reliability',
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
    'too_few_patients',
]
