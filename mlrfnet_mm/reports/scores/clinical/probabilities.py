"""Scores of predictions as probabilities, by a calibration that was fitted before."""

from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation import Calibration, Predictions

UNCALIBRATED = 'UNCALIBRATED scores, which are no probabilities'


class Probabilities(NamedTuple):
    """What is read as probabilities, and where it is from, for titles."""

    values: np.ndarray  # (N, K); NaN columns: not calibrated
    origin: str


def probabilities(test: Predictions, calibration: Calibration | None) -> Probabilities:
    """Calibrated scores; without a calibration the scores, and ``origin`` says so.

    Args:
        test: predictions.
        calibration: what ``mlrfnet calibrate`` wrote, of the same checkpoint.

    Raises:
        ValueError: a calibration for other classes, another unit or another checkpoint.
    """
    if calibration is None:
        return Probabilities(test.scores.astype(float), UNCALIBRATED)
    names = test.classes.tolist()
    if list(calibration.classes) != names:
        raise ValueError(f'classes differ: {names} and in the calibration {calibration.classes}')
    if calibration.unit != test.unit:
        raise ValueError(
            f'units differ: the calibration is for each {calibration.unit}, the predictions are of '
            f'each {test.unit}; fit one with mlrfnet calibrate --unit {test.unit}'
        )
    if test.checkpoint and calibration.checkpoint not in ('', test.checkpoint):
        raise ValueError(
            f'checkpoints differ: the calibration is for {calibration.checkpoint}…, the '
            f'predictions are of {test.checkpoint}… (SHA-256): fit one with mlrfnet calibrate'
        )
    origin = f'{calibration.method} calibration fitted on {calibration.stamp}'
    if calibration.stamp == test.stamp:
        origin += ' (the same set: optimistic)'
    return Probabilities(calibration.apply(test.scores), origin)
