from .areas.auc import auc_table, mean_defined, roc_auc
from .areas.average_precision import average_precision
from .areas.bootstrap import (
    bootstrap_areas,
    bootstrap_auc,
    bootstrap_p,
    mean_over_classes,
    patient_counts,
    patient_weights,
    percentile_interval,
    too_few_patients,
)
from .areas.curve import curve_statistics
from .areas.delong import delong_interval, delong_test
from .areas.holm import holm
from .areas.partial_auc import partial_auc
from .calibration.file import Calibration
from .calibration.fit import fit_calibration
from .calibration.reliability import (
    Reliability,
    brier_score,
    calibration_error,
    reliability_curve,
)
from .calibration.slope import CalibrationSlope, calibration_slope
from .files.predictions import Predictions
from .groups.agreement import Agreement, label_agreement
from .thresholds.choose import (
    OperatingPoints,
    choose_thresholds,
    confusion_metrics,
    operating_points,
)
from .thresholds.file import Thresholds
from .thresholds.fixed_rates import sensitivity_at, specificity_at
from .thresholds.net_benefit import DecisionCurves, decision_curves
from .thresholds.predictive_values import (
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
