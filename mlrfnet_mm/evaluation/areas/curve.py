"""Statistics of the ROC curve in every replicate of the bootstrap by patient.

The curve is made again from each replicate's images, so that a threshold that belongs to a point of
it is determined again in each: the interval of the sensitivity at a specificity holds the doubt
about the threshold, too. Points and thresholds are those that the images give, not interpolated.
The counts are those of :mod:`.bootstrap`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from mlrfnet_mm.evaluation.areas.auc import roc_auc
from mlrfnet_mm.evaluation.areas.bootstrap import BLOCK, bin_counts, patient_weights


class Curve(NamedTuple):
    """ROC curves of B replicates of one class, by the distinct scores of its positives.

    Attributes:
        levels: (G,) the scores u_1 < … < u_G.
        true: (G + 1, B) positives at or above each level; the last row, above all, is 0.
        negatives: (2G + 1, B) between two levels (even rows) or tied with one (odd rows), from low
            to high.
        below: (G, B) negatives below each level, those that are not called there.
    """

    levels: np.ndarray
    true: np.ndarray
    negatives: np.ndarray
    below: np.ndarray


Statistic = Callable[[Curve], np.ndarray]  # (B,) of B replicates


def curve_statistics(
    scores: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    statistics: Sequence[Statistic],
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Values of some statistics of the ROC curve of every class, and their replicates.

    Args:
        scores: (N, K).
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        patients: (N,) patient of each image.
        statistics: S functions, as of :mod:`~mlrfnet_mm.evaluation.thresholds.fixed_rates` and
            :func:`~mlrfnet_mm.evaluation.areas.partial_auc.partial_auc`.
        replicates: number of replicates R.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.

    Returns:
        (S, K) and (S, R, K); NaN for a class, and a replicate, with one label value only.
    """
    index, weights = patient_weights(patients, replicates, seed)
    once = np.ones((weights.shape[1], 1))
    values = np.full((len(statistics), labels.shape[1]), np.nan)
    draws = np.full((len(statistics), replicates, labels.shape[1]), np.nan)
    for k in np.flatnonzero(~np.isnan(roc_auc(scores, labels))):
        known = ~np.isnan(labels[:, k])
        y, s = labels[known, k] == 1, scores[known, k]
        counts = bin_counts(s, y, index[known], once)
        levels = np.unique(s[y])
        values[:, k] = _on_curve(levels, counts, once, statistics)[:, 0]
        for i in range(0, replicates, BLOCK):
            block = weights[i : i + BLOCK].T.astype(float)  # (P, B)
            draws[:, i : i + BLOCK, k] = _on_curve(levels, counts, block, statistics)
    return values, draws


def _on_curve(
    levels: np.ndarray,
    counts: tuple[csr_array, csr_array],
    weights: np.ndarray,
    statistics: Sequence[Statistic],
) -> np.ndarray:
    """(S, B) statistics under the weights (P, B); NaN where one kind is missing."""
    positives, negatives = (count @ weights for count in counts)  # (G, B), (2G + 1, B)
    true = np.zeros((len(levels) + 1, positives.shape[1]))
    true[:-1] = np.cumsum(positives[::-1], 0)[::-1]
    curve = Curve(levels, true, negatives, np.cumsum(negatives, 0)[:-1:2])
    defined = (true[0] > 0) & (negatives.sum(0) > 0)
    with np.errstate(invalid='ignore', divide='ignore'):  # 0 / 0 in a one-sided replicate
        values = np.stack([statistic(curve) for statistic in statistics])
    return np.where(defined, values, np.nan)
