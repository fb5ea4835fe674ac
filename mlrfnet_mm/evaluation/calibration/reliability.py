"""How far probabilities are from how often the finding is present.

Reliability curve and expected calibration error as in Guo et al., ICML 2017
(https://arxiv.org/abs/1706.04599); equal-count bins as in Nguyen & O'Connor, EMNLP 2015
(https://arxiv.org/abs/1508.05154): with rare findings nearly all images share one equal-width bin.
"""

from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation.areas.auc import roc_auc

BINS = 15  # Guo et al.
STRATEGIES = ('uniform', 'quantile')


class Reliability(NamedTuple):
    """Bins of one class that hold images, from low to high; each (B,)."""

    predicted: np.ndarray  # mean probability
    observed: np.ndarray  # share of the images with the finding
    images: np.ndarray  # how many


def reliability_curve(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS, strategy: str = 'uniform'
) -> Reliability:
    """Mean probability and observed share in each bin, of one class.

    Args:
        probabilities: (N,) in [0, 1].
        labels: (N,) of 0, 1 and NaN (unknown, counts nowhere).
        bins: their number; those without images are left out.
        strategy: ``'uniform'``: equal widths over [0, 1]; ``'quantile'``: equal counts.

    Raises:
        ValueError: an unknown strategy, less than one bin, a probability outside [0, 1].
    """
    if strategy not in STRATEGIES or bins < 1:
        raise ValueError(
            f'strategy must be one of {", ".join(STRATEGIES)} and bins at least 1, got '
            f'{strategy!r} and {bins}'
        )
    known = ~np.isnan(labels)
    p, y = np.asarray(probabilities, float)[known], np.asarray(labels, float)[known]
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f'probabilities lie in [0, 1], found {p[~((p >= 0) & (p <= 1))][0]}')
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.quantile(p, inner) if strategy == 'quantile' and len(p) else inner
    at = np.searchsorted(edges, p)
    count = np.bincount(at, minlength=bins)
    held = count > 0
    sums = [np.bincount(at, values, minlength=bins)[held] for values in (p, y)]
    return Reliability(sums[0] / count[held], sums[1] / count[held], count[held])


def calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS, strategy: str = 'uniform'
) -> np.ndarray:
    """Expected calibration error of every class: Σ_b n_b / N · |observed_b - predicted_b|.

    Args:
        probabilities: (N, K) in [0, 1]; NaN columns are not calibrated.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        bins: as in :func:`reliability_curve`.
        strategy: as in :func:`reliability_curve`.

    Returns:
        (K,); NaN for a class without probabilities or whose known labels are all alike.
    """
    errors = np.full(labels.shape[1], np.nan)
    for k in defined(probabilities, labels):
        predicted, observed, n = reliability_curve(
            probabilities[:, k], labels[:, k], bins, strategy
        )
        errors[k] = (n * abs(observed - predicted)).sum() / n.sum()
    return errors


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean squared distance of probability and label of every class; NaN as above."""
    scores = np.full(labels.shape[1], np.nan)
    for k in defined(probabilities, labels):
        scores[k] = np.nanmean((probabilities[:, k] - labels[:, k]) ** 2)
    return scores


def defined(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the classes that have probabilities and both label values."""
    there = ~np.isnan(probabilities).any(0)
    return np.flatnonzero(there & ~np.isnan(roc_auc(np.nan_to_num(probabilities), labels)))
