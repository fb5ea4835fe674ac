"""Sensitivity at a fixed specificity and the reverse: points of the ROC curve.

The threshold is that of the very images that are evaluated, and of each replicate again: such a
point describes the curve. What a threshold that was chosen beforehand gives is in
:mod:`.choose`.
"""

import numpy as np

from mlrfnet_mm.evaluation.areas.curve import Curve, Statistic

ROUNDING = 1e-9  # 0.95 × 20 is a little above 19


def _check(rate: float, name: str) -> None:
    if not 0 < rate <= 1:
        raise ValueError(f'{name} must be above 0 and at most 1, got {rate}')


def _specific_enough(curve: Curve, specificity: float) -> np.ndarray:
    """(B,) the lowest level with at least the specificity; G, above all, if there is none."""
    least = specificity * curve.negatives.sum(0) - ROUNDING
    return np.asarray((curve.below < least).sum(0))


def _sensitive_enough(curve: Curve, sensitivity: float) -> np.ndarray:
    """(B,) the highest level with at least the sensitivity."""
    least = sensitivity * curve.true[0] - ROUNDING
    return np.asarray(np.maximum((curve.true[:-1] >= least).sum(0) - 1, 0))


def sensitivity_at(specificity: float) -> Statistic:
    """The greatest sensitivity of a threshold whose specificity is at least this."""
    _check(specificity, 'specificity')

    def sensitivity(curve: Curve) -> np.ndarray:
        level = _specific_enough(curve, specificity)
        return np.asarray(np.take_along_axis(curve.true, level[None], 0)[0] / curve.true[0])

    return sensitivity


def specificity_at(sensitivity: float) -> Statistic:
    """The greatest specificity of a threshold whose sensitivity is at least this."""
    _check(sensitivity, 'sensitivity')

    def specificity(curve: Curve) -> np.ndarray:
        level = _sensitive_enough(curve, sensitivity)
        below = np.take_along_axis(curve.below, level[None], 0)[0]
        return np.asarray(below / curve.negatives.sum(0))

    return specificity


def threshold_for_specificity(specificity: float) -> Statistic:
    """The threshold of :func:`sensitivity_at`, to be compared with ``>=``; NaN: above all."""
    _check(specificity, 'specificity')

    def threshold(curve: Curve) -> np.ndarray:
        return np.append(curve.levels, np.nan)[_specific_enough(curve, specificity)]

    return threshold


def threshold_for_sensitivity(sensitivity: float) -> Statistic:
    """The threshold of :func:`specificity_at`, to be compared with ``>=``."""
    _check(sensitivity, 'sensitivity')

    def threshold(curve: Curve) -> np.ndarray:
        return np.asarray(curve.levels[_sensitive_enough(curve, sensitivity)])

    return threshold
