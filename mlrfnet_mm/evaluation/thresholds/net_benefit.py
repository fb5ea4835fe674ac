"""Decision curves: what calling by a probability is worth, against calling all or none.

Who would call a finding from a probability t on takes (1 - t) / t false alarms for one that is
found. So weighed, of n images::

    net benefit(t) = TP / n - FP / n · t / (1 - t)

Calling all has TP = all positives and FP = all negatives, calling none has 0. It says something
where the scores are probabilities: calibrate them first.

Vickers & Elkin, "Decision curve analysis: a novel method for evaluating prediction models", Medical
Decision Making 26 (2006) 565-574, https://doi.org/10.1177/0272989X06295361.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from mlrfnet_mm.evaluation.areas.bootstrap import (
    patient_weights,
    percentile_interval,
    too_few_patients,
)
from mlrfnet_mm.evaluation.calibration.reliability import defined

RANGE = tuple(i / 100 for i in range(1, 51))  # threshold probabilities


class DecisionCurves(NamedTuple):
    """Net benefits at T threshold probabilities of K findings; NaN for one that is undefined.

    Attributes:
        thresholds: (T,).
        model: (T, K), calling where the probability is at or above the threshold.
        everyone: (T, K), calling all; calling none is 0.
        gain: (T, K), the model's less the greater of the two others.
        model_ends: (2, T, K) interval by patient; NaN where few patients are positive or negative.
        gain_ends: (2, T, K), of the paired difference.
    """

    thresholds: np.ndarray
    model: np.ndarray
    everyone: np.ndarray
    gain: np.ndarray
    model_ends: np.ndarray
    gain_ends: np.ndarray


def net_benefit(
    true: np.ndarray, false: np.ndarray, images: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Net benefit from counts.

    Args:
        true: (T, …) true positives at each threshold.
        false: (T, …) false positives.
        images: (…) all of them.
        thresholds: (T,) probabilities above 0 and below 1.
    """
    t = np.reshape(thresholds, (-1,) + (1,) * (np.ndim(true) - 1))
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.asarray((true - false * t / (1 - t)) / images)


def decision_curves(
    probabilities: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    thresholds: np.ndarray | tuple[float, ...] = RANGE,
    replicates: int = 1000,
    seed: int = 0,
) -> DecisionCurves:
    """Decision curves of every class with intervals by patient.

    Args:
        probabilities: (N, K); NaN columns are not calibrated.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        patients: (N,).
        thresholds: (T,) probabilities, rising.
        replicates: of the bootstrap by patient.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.

    Raises:
        ValueError: thresholds that do not rise or are not between 0 and 1.
    """
    t = np.asarray(thresholds, float)
    if not (len(t) and t[0] > 0 and t[-1] < 1 and (np.diff(t) > 0).all()):
        raise ValueError(f'threshold probabilities rise between 0 and 1, got {t.tolist()}')
    index, weights = patient_weights(patients, replicates, seed)
    drawn = weights.T.astype(float)  # (P, R)
    shape = len(t), labels.shape[1]
    model, everyone = np.full((2, *shape), np.nan)
    model_ends, gain_ends = np.full((2, 2, *shape), np.nan)
    for k in defined(probabilities, labels):
        known = ~np.isnan(labels[:, k])
        counts = _called(
            probabilities[known, k], labels[known, k] == 1, index[known], t, len(drawn)
        )
        (model[:, [k]], everyone[:, [k]]) = _benefits(counts, np.ones((len(drawn), 1)), t)
        own, all_ = _benefits(counts, drawn, t)  # (T, R)
        model_ends[..., k] = percentile_interval(own.T)
        gain_ends[..., k] = percentile_interval((own - np.maximum(all_, 0)).T)
    few = too_few_patients(labels, patients)
    model_ends[..., few] = gain_ends[..., few] = np.nan
    gain = model - np.maximum(everyone, 0)
    return DecisionCurves(t, model, everyone, gain, model_ends, gain_ends)


def _called(
    p: np.ndarray, positive: np.ndarray, patient: np.ndarray, thresholds: np.ndarray, patients: int
) -> tuple[csr_array, csr_array]:
    """Count positives and negatives by how many thresholds they reach: (T + 1, P) each."""
    reached = np.searchsorted(thresholds, p, 'right')

    def count(which: np.ndarray) -> csr_array:
        where = reached[which], patient[which]
        return csr_array((np.ones(which.sum()), where), shape=(len(thresholds) + 1, patients))

    return count(positive), count(~positive)


def _benefits(
    counts: tuple[csr_array, csr_array], weights: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(T, B) net benefits of the model and of calling all, under weights (P, B)."""
    # Who reaches i thresholds or more; all reach 0.
    positive, negative = (np.cumsum((c @ weights)[::-1], 0)[::-1] for c in counts)
    images = positive[0] + negative[0]
    model = net_benefit(positive[1:], negative[1:], images, thresholds)
    everyone = net_benefit(
        np.broadcast_to(positive[0], model.shape),
        np.broadcast_to(negative[0], model.shape),
        images,
        thresholds,
    )
    return model, everyone
