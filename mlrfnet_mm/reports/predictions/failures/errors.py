"""The worst misses and false alarms of a finding at its threshold."""

from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.inference.decisions import Decisions


class Errors(NamedTuple):
    """Of one finding; rows are places of images, the worst first.

    Attributes:
        missed: false negatives, at most one per patient.
        alarms: false positives, at most one per patient.
        true_positives: how many.
        false_negatives: how many, of all patients' images.
        false_positives: how many.
        true_negatives: how many.
    """

    missed: np.ndarray
    alarms: np.ndarray
    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int


def worst_errors(
    values: np.ndarray, labels: np.ndarray, threshold: float, patients: np.ndarray, top: int = 6
) -> Errors:
    """Find the positives of least value and the negatives of greatest.

    >>> found = worst_errors(np.array([.1, .3, .9, .6]), np.array([1, 1, 0, 0]), .5, np.arange(4))
    >>> found.missed.tolist(), found.alarms.tolist()
    ([0, 1], [2, 3])

    Args:
        values: (N,) on the threshold's scale.
        labels: (N,) of 0, 1 and NaN (unknown, counts nowhere).
        threshold: at and above it a finding is called.
        patients: (N,) patient of each image: a patient's images are alike, so one stands for all.
        top: greatest number of each.
    """
    called = values >= threshold
    missed = np.flatnonzero((labels == 1) & ~called)
    alarms = np.flatnonzero((labels == 0) & called)
    missed = missed[np.argsort(values[missed], kind='stable')]
    alarms = alarms[np.argsort(-values[alarms], kind='stable')]
    return Errors(
        _one_per_patient(missed, patients)[:top],
        _one_per_patient(alarms, patients)[:top],
        int(((labels == 1) & called).sum()),
        len(missed),
        len(alarms),
        int(((labels == 0) & ~called).sum()),
    )


def _one_per_patient(rows: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """The first row of each patient, in the order of the rows."""
    first = np.unique(patients[rows], return_index=True)[1]
    return rows[np.sort(first)]


def compared_values(predictions: Predictions, decisions: Decisions) -> np.ndarray:
    """(N, K) what the thresholds are compared with: calibrated probabilities, or the scores.

    Raises:
        ValueError: no thresholds, or thresholds that are for studies.
    """
    thresholds = decisions.thresholds
    if thresholds is None:
        raise ValueError(
            'no thresholds.json next to the checkpoint, and without a threshold nothing is missed: '
            'make it with mlrfnet calibrate'
        )
    if thresholds.unit != predictions.unit:
        raise ValueError(
            f'thresholds.json is per {thresholds.unit}, the predictions are per '
            f'{predictions.unit}: make it again with mlrfnet calibrate --unit {predictions.unit}'
        )
    if thresholds.on == 'calibrated':
        return decisions.probabilities(predictions.scores, (predictions.unit,))
    return predictions.scores.astype(float)
