"""DeLong's interval of an AUC and his test for two models on the same images, by patient.

The variance is that of DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845,
https://doi.org/10.2307/2531595, computed from midranks as in Sun & Xu, IEEE Signal Processing
Letters 21 (2014) 1389-1393, https://doi.org/10.1109/LSP.2014.2337313.

Where patients have several images, as in ChestX-ray14, the images are not independent: then the
variance is Obuchowski's for clustered data, Biometrics 53 (1997) 567-578,
https://doi.org/10.2307/2533958, which is DeLong's where every patient has one image.
"""

import numpy as np
from scipy.stats import norm, rankdata

from mlrfnet_mm.evaluation.areas.auc import roc_auc

NO_VARIANCE = 1e-24  # rounding leaves 1e-32; one half rank among 50,000 images is 1e-19


def delong_covariance(
    scores: np.ndarray, labels: np.ndarray, patients: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUCs of several models on the same images of one class, and their covariance.

    With m positives and n negatives, an image's structural component is the share of the other kind
    that it is ordered rightly against (ties count half). By midranks (rank; equal scores share
    their mean rank), for a positive i and a negative j::

        V10_i = (rank among all - rank among positives)_i / n
        V01_j = 1 - (rank among all - rank among negatives)_j / m

    With A_c and B_c the sums of V10 - AUC and of V01 - AUC over the images of patient c, and I10,
    I01 and I the numbers of patients with a positive, with a negative and in all (Obuchowski)::

        covariance = I10 / (I10 - 1) · ΣAA' / m² + I01 / (I01 - 1) · ΣBB' / n²
                     + I / (I - 1) · Σ(AB' + BA') / (m n)

    Args:
        scores: (M, N), one row per model.
        labels: (N,) of 0 and 1.
        patients: (N,); ``None`` takes every image as a patient of its own.

    Returns:
        (M,) and (M, M); the covariance is NaN where positives or negatives are of one patient.
    """
    rows = np.arange(len(labels)) if patients is None else patients
    index = np.unique(rows, return_inverse=True)[1]
    aucs, a, b, (i10, i01) = patient_sums(scores, labels, index)
    if min(i10, i01) < 2:
        return aucs, np.full((len(scores), len(scores)), np.nan)
    both = a.shape[1] / (a.shape[1] - 1) * (a @ b.T)
    covariance = i10 / (i10 - 1) * (a @ a.T) + i01 / (i01 - 1) * (b @ b.T)
    return aucs, covariance + both + both.T


def patient_sums(
    scores: np.ndarray, labels: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """What each patient adds to the AUCs: A_c / m and B_c / n of :func:`delong_covariance`.

    Args:
        scores: (M, N), one row per model.
        labels: (N,) of 0 and 1.
        index: (N,) number of each image's patient, from 0, none left out.

    Returns:
        (M,) AUCs, (M, P) of positives, (M, P) of negatives, and I10 and I01.
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores, axis=1)
    v10 = (ranks[:, positive] - rankdata(scores[:, positive], axis=1)) / n  # (M, m)
    v01 = 1 - (ranks[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / m  # (M, n)
    aucs = v10.mean(1)
    a, i10 = _sums(v10 - aucs[:, None], index[positive], index.max() + 1)
    b, i01 = _sums(v01 - aucs[:, None], index[~positive], index.max() + 1)
    return aucs, a / m, b / n, (i10, i01)


def _sums(values: np.ndarray, patient: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Sums (M, P) of (M, n) values over each patient's images, and how many patients have any."""
    sums = np.stack([np.bincount(patient, row, count) for row in values])
    return sums, len(np.unique(patient))


def delong_interval(
    scores: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray | None = None,
    level: float = 0.95,
) -> np.ndarray:
    """Interval of every class's AUC: AUC ± z·σ cut to [0, 1], as R's pROC prints it.

    Args:
        scores: (N, K).
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        patients: (N,); ``None`` takes images as independent.
        level: nominal coverage.

    Returns:
        (2, K) lower and upper ends; NaN for a class without AUC, with positives or negatives of a
        single patient, or without variance (an AUC of exactly 1).
    """
    z = norm.ppf((1 + level) / 2)
    interval = np.full((2, labels.shape[1]), np.nan)
    for k in np.flatnonzero(~np.isnan(roc_auc(scores, labels))):
        known = ~np.isnan(labels[:, k])
        (auc,), ((variance,),) = delong_covariance(
            scores[known, k][None], labels[known, k], None if patients is None else patients[known]
        )
        if variance > NO_VARIANCE:
            interval[:, k] = np.clip(auc + np.array([-z, z]) * np.sqrt(variance), 0, 1)
    return interval


def delong_test(
    scores_a: np.ndarray,
    scores_b: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray | None = None,
) -> np.ndarray:
    """Two-sided p-value of every class: do two models have the same AUC on these images?

    Args:
        scores_a: (N, K).
        scores_b: (N, K), of the same images in the same order.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        patients: (N,); ``None`` takes images as independent.

    Returns:
        (K,); NaN for a class without AUC or with positives or negatives of one patient. Where the
        difference has no variance, p is 1 for equal AUCs (a model against itself) and otherwise NaN
        (as of a perfect model against a constant one: the test says nothing there).
    """
    p = np.full(labels.shape[1], np.nan)
    defined = ~np.isnan(roc_auc(scores_a, labels)) & ~np.isnan(roc_auc(scores_b, labels))
    for k in np.flatnonzero(defined):
        known = ~np.isnan(labels[:, k])
        pair = np.stack([scores_a[known, k], scores_b[known, k]])
        own = None if patients is None else patients[known]
        aucs, covariance = delong_covariance(pair, labels[known, k], own)
        difference = aucs[0] - aucs[1]
        variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
        if variance > NO_VARIANCE:
            p[k] = 2 * norm.sf(abs(difference) / np.sqrt(variance))
        elif variance <= NO_VARIANCE and abs(difference) < 1e-12:
            p[k] = 1
    return p
