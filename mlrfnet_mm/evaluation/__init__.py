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
from mlrfnet_mm.evaluation.areas.curve import curve_statistics
from mlrfnet_mm.evaluation.areas.delong import delong_interval, delong_test
from mlrfnet_mm.evaluation.areas.holm import holm
from mlrfnet_mm.evaluation.areas.partial_auc import partial_auc
from mlrfnet_mm.evaluation.calibration.fit import Calibration, fit_calibration
from mlrfnet_mm.evaluation.calibration.reliability import (
    Reliability,
    brier_score,
    calibration_error,
    reliability_curve,
)
from mlrfnet_mm.evaluation.calibration.slope import CalibrationSlope, calibration_slope
from mlrfnet_mm.evaluation.files.predictions import Predictions
from mlrfnet_mm.evaluation.groups.agreement import Agreement, label_agreement
from mlrfnet_mm.evaluation.thresholds.choose import (
    OperatingPoints,
    choose_thresholds,
    confusion_metrics,
    operating_points,
)
from mlrfnet_mm.evaluation.thresholds.file import Thresholds
from mlrfnet_mm.evaluation.thresholds.fixed_rates import sensitivity_at, specificity_at
from mlrfnet_mm.evaluation.thresholds.net_benefit import DecisionCurves, decision_curves
from mlrfnet_mm.evaluation.thresholds.predictive_values import (
    PredictiveValues,
    predictive_points,
    predictive_values,
)

__all__ = [
    'Agreement',
    'Calibration',
    'CalibrationSlope',
    'DecisionCurves',
    'OperatingPoints',
    'Predictions',
    'PredictiveValues',
    'Reliability',
    'Thresholds',
    'auc_table',
    'average_precision',
    'bootstrap_areas',
    'bootstrap_auc',
    'bootstrap_p',
    'brier_score',
    'calibration_error',
    'calibration_slope',
    'choose_thresholds',
    'confusion_metrics',
    'curve_statistics',
    'decision_curves',
    'delong_interval',
    'delong_test',
    'fit_calibration',
    'holm',
    'label_agreement',
    'mean_defined',
    'mean_over_classes',
    'operating_points',
    'partial_auc',
    'patient_counts',
    'patient_weights',
    'percentile_interval',
    'predictive_points',
    'predictive_values',
    'reliability_curve',
    'roc_auc',
    'sensitivity_at',
    'specificity_at',
    'too_few_patients',
]
