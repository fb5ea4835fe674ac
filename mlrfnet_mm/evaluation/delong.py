"""DeLong's interval of an AUC and his test for two models on the same images.

The variance is that of DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845,
https://doi.org/10.2307/2531595, computed from midranks as in Sun & Xu, IEEE Signal Processing
Letters 21 (2014) 1389-1393, https://doi.org/10.1109/LSP.2014.2337313.

DeLong takes images as independent. Where patients have several images, as in ChestX-ray14, his
intervals are too narrow and his p-values too small: see :mod:`mlrfnet_mm.evaluation.bootstrap`.
"""

from typing import Literal

import numpy as np
from scipy.stats import norm, rankdata

from .auc import roc_auc

NO_VARIANCE = 1e-24  # rounding leaves 1e-32; one half rank among 50,000 images is 1e-19


def delong_covariance(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs of several models on the same images of one class, and their covariance.

    With m positives and n negatives, an image's structural component is the share of the other kind
    that it is ordered rightly against (ties count half). By midranks (rank; equal scores share
    their mean rank), for a positive i and a negative j::

        V10_i = (rank among all - rank among positives)_i / n
        V01_j = 1 - (rank among all - rank among negatives)_j / m
        covariance = cov(V10) / m + cov(V01) / n

    Args:
        scores: (M, N), one row a model.
        labels: (N,) of 0 and 1.

    Returns:
        (M,) and (M, M); the covariance is NaN where there is only one positive or one negative.
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores, axis=1)
    v10 = (ranks[:, positive] - rankdata(scores[:, positive], axis=1)) / n  # (M, m)
    v01 = 1 - (ranks[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / m  # (M, n)
    if min(m, n) < 2:
        return v10.mean(1), np.full((len(scores), len(scores)), np.nan)
    return v10.mean(1), np.atleast_2d(np.cov(v10) / m + np.cov(v01) / n)


def delong_interval(
    scores: np.ndarray,
    labels: np.ndarray,
    level: float = 0.95,
    scale: Literal['normal', 'logit'] = 'normal',
) -> np.ndarray:
    """Interval of every class's AUC.

    Args:
        scores: (N, K).
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        level: probability that the interval is to cover.
        scale: ``'normal'`` is AUC ± z·σ cut to [0, 1], what R's pROC prints and papers report;
            ``'logit'`` is symmetric on the logit scale, better near 1, and undefined at 0 and 1.

    Returns:
        (2, K) lower and upper ends; NaN for a class without AUC or with a single positive or
        negative. An AUC of exactly 1 has no variance, so that ``'normal'`` gives [1, 1].
    """
    if scale not in ('normal', 'logit'):
        raise ValueError(f"scale must be 'normal' or 'logit', got {scale!r}")
    z = norm.ppf((1 + level) / 2)
    interval = np.full((2, labels.shape[1]), np.nan)
    for k in np.flatnonzero(~np.isnan(roc_auc(scores, labels))):
        known = ~np.isnan(labels[:, k])
        (auc,), ((variance,),) = delong_covariance(scores[known, k][None], labels[known, k])
        ends = np.array([-z, z]) * np.sqrt(variance)
        if scale == 'normal':
            interval[:, k] = np.clip(auc + ends, 0, 1)
        elif 0 < auc < 1:
            logits = np.log(auc / (1 - auc)) + ends / (auc * (1 - auc))
            interval[:, k] = 1 / (1 + np.exp(-logits))
    return interval


def delong_test(scores_a: np.ndarray, scores_b: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Two-sided p-value of every class: do two models have the same AUC on these images?

    Args:
        scores_a: (N, K).
        scores_b: (N, K), of the same images in the same order.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).

    Returns:
        (K,); NaN for a class without AUC or with a single positive or negative. Where the
        difference has no variance, p is 1 for equal AUCs (a model against itself) and otherwise NaN
        (as of a perfect model against a constant one: the test says nothing there).
    """
    p = np.full(labels.shape[1], np.nan)
    defined = ~np.isnan(roc_auc(scores_a, labels)) & ~np.isnan(roc_auc(scores_b, labels))
    for k in np.flatnonzero(defined):
        known = ~np.isnan(labels[:, k])
        pair = np.stack([scores_a[known, k], scores_b[known, k]])
        aucs, covariance = delong_covariance(pair, labels[known, k])
        difference = aucs[0] - aucs[1]
        variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
        if variance > NO_VARIANCE:
            p[k] = 2 * norm.sf(abs(difference) / np.sqrt(variance))
        elif variance <= NO_VARIANCE and abs(difference) < 1e-12:
            p[k] = 1
    return p
