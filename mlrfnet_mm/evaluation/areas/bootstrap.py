"""Bootstrap by patient of AUC and average precision: images of one patient are drawn together.

A replicate draws as many patients as there are, with replacement. An image then counts as often as
its patient was drawn, so that each replicate is the same sorted list under other weights. With the
distinct scores u_1 < … < u_G of a class's positives, every negative lies in one of 2G + 1 bins:
between two u's, or tied with one. The weight in the bins is a sparse matrix of image counts (bins,
patients) times the patients' weights (patients, replicates), and with its running sum ::

    AUC = Σ_g P_g (N_below_g + N_tied_g / 2) / (P N)

Nothing is sorted again, ties are exact, and the counts are whole numbers, which float32 holds
exactly up to 2^24. ``benchmarks/bootstrap.py`` times it against a loop over scikit-learn.
"""

import warnings
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from mlrfnet_mm.evaluation.areas.auc import roc_auc

BLOCK = 64  # replicates at a time: bins × 64 × 4 bytes stay in the cache


def patient_weights(
    patients: np.ndarray, replicates: int = 1000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw patients with replacement.

    The draw depends on the patients and the seed only, so that two models, or AUC and threshold
    metrics, use the same replicates: their differences are paired.

    Args:
        patients: (N,) patient of each image.
        replicates: number of draws R.
        seed: of the random numbers.

    Returns:
        (N,) index of each image's patient, and (R, P) times that each patient was drawn.
    """
    if replicates < 1:
        raise ValueError(f'replicates must be at least 1, got {replicates}')
    names, index = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng(seed)
    weights = np.empty((replicates, len(names)), np.int32)
    for row in weights:
        row[:] = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
    return index, weights


def bootstrap_areas(
    scores: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision of every class in every replicate.

    Args:
        scores: (N, K).
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        patients: (N,) patient of each image.
        replicates: number of replicates R.
        seed: see :func:`patient_weights`.
        progress: called when a class is done.

    Returns:
        (R, K) AUCs and (R, K) average precisions; NaN where the replicate holds only one label
        value of the class. AUC is exact, average precision to 1e-6. Replicates of average precision
        lie high where positives are few, as one drawn twice is next to itself in the list.
    """
    undefined = np.isnan(roc_auc(scores, labels))
    index, weights = patient_weights(patients, replicates, seed)
    heaviest = (weights @ np.bincount(index)).max()  # images in the largest replicate
    dtype = np.float32 if 2 * heaviest < 2**24 else np.float64
    starts = range(0, replicates, BLOCK)
    blocks = [weights[i : i + BLOCK].T.astype(dtype, order='C') for i in starts]  # (P, BLOCK)
    auc = np.full((replicates, labels.shape[1]), np.nan)
    ap = auc.copy()
    for k in range(labels.shape[1]):
        if not undefined[k]:
            known = ~np.isnan(labels[:, k])
            counts = count_by_level(
                scores[known, k], labels[known, k] == 1, index[known], blocks[0]
            )
            for i, block in zip(starts, blocks, strict=True):
                auc[i : i + BLOCK, k], ap[i : i + BLOCK, k] = _areas(*counts, block)
        if progress:
            progress()
    return auc, ap


def count_by_level(
    scores: np.ndarray, positive: np.ndarray, patient: np.ndarray, like: np.ndarray
) -> tuple[csr_array, csr_array]:
    """Count positives (G, P) at their distinct scores and negatives (2G + 1, P) in the bins.

    Args:
        scores: (N,) of one class.
        positive: (N,) bool.
        patient: (N,) number of each image's patient.
        like: (P, …), for the number of patients and the kind of numbers.
    """
    levels, at = np.unique(scores[positive], return_inverse=True)
    negatives = scores[~positive]
    # Between levels both searches agree: even bins. Tied with level g they give g and g + 1: odd.
    bins = np.searchsorted(levels, negatives, 'left') + np.searchsorted(levels, negatives, 'right')

    def counts(rows: np.ndarray, columns: np.ndarray, height: int) -> csr_array:
        ones = np.ones(len(rows), like.dtype)
        return csr_array((ones, (rows, columns)), shape=(height, len(like)))

    return (
        counts(at, patient[positive], len(levels)),
        counts(bins, patient[~positive], 2 * len(levels) + 1),
    )


def _areas(
    positives: csr_array, negatives: csr_array, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision under the weights (P, B) of some replicates."""
    p = positives @ weights  # (G, B)
    below = negatives @ weights  # (2G + 1, B)
    np.cumsum(below, axis=0, out=below)
    true = np.cumsum(p[::-1], axis=0)[::-1]  # positives called at each level
    total_p, total_n = true[0].astype(float), below[-1].astype(float)
    # 2 N_below + N_tied = running sum before the tied bin + running sum with it
    pairs = np.einsum('gb,gb->b', p, below[:-1:2] + below[1::2], dtype=float)
    called = true + (below[-1] - below[:-1:2])
    precision = true / np.maximum(called, 1)
    steps = np.einsum('gb,gb->b', p, precision, dtype=float)
    with np.errstate(invalid='ignore'):  # 0 / 0 in a one-sided replicate
        auc = pairs / (2 * total_p * total_n)
        ap = np.where(total_n > 0, steps / total_p, np.nan)
    return auc, ap


def bootstrap_auc(
    scores: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    replicates: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """(R, K) AUCs: the first of what :func:`bootstrap_areas` returns."""
    return bootstrap_areas(scores, labels, patients, replicates, seed)[0]


# With fewer positive (or negative) patients nominal 95 % intervals cover far less and tests reject
# far too often, see docs/evaluation.md: none are given.
LEAST_PATIENTS = 10


def patient_counts(labels: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(2, K) numbers of patients with a positive image of each class, and with a negative one."""
    index = np.unique(patients, return_inverse=True)[1]
    counts = [
        [len(np.unique(index[labels[:, k] == value])) for k in range(labels.shape[1])]
        for value in (1, 0)
    ]
    return np.array(counts)


def too_few_patients(labels: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(K,) bool: classes with too few positive or negative patients for an interval or a test."""
    few: np.ndarray = patient_counts(labels, patients) < LEAST_PATIENTS
    return np.asarray(few.any(0))


def mean_over_classes(replicates: np.ndarray) -> np.ndarray:
    """Mean of each replicate's defined classes.

    A class that a replicate leaves one-sided is left out of that replicate's mean, as an undefined
    class is left out of :func:`~mlrfnet_mm.evaluation.mean_defined`.

    Args:
        replicates: (R, K).

    Returns:
        (R,).
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # no class defined: NaN is meant
        return np.nanmean(replicates, axis=1)


def percentile_interval(replicates: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Percentile interval over the replicates in which the statistic is defined.

    Args:
        replicates: (R, …); NaN is undefined. How many are, is for the caller to report: the
            interval is conditional on the others.
        level: probability that the interval is to cover.

    Returns:
        (2, …) lower and upper ends; NaN where no replicate is defined, and where all are equal: an
        AUC of 1 in every replicate does not mean that there is no doubt.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # no replicate defined: NaN is meant
        ends = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.where(ends[0] == ends[1], np.nan, ends)


def bootstrap_p(differences: np.ndarray) -> np.ndarray:
    """Two-sided p-value that a difference is 0, from its replicates.

    Twice the smaller share of replicates at or beyond 0, with one added to numerator and
    denominator (Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 4.4): the
    least p is 2 / (R + 1).

    Args:
        differences: (R, …), paired: both models on the same replicates; NaN is left out.

    Returns:
        (…); NaN where no replicate is defined.
    """
    defined = (~np.isnan(differences)).sum(0)
    least = np.minimum((differences <= 0).sum(0), (differences >= 0).sum(0))
    return np.where(defined > 0, np.minimum(2 * (least + 1) / (defined + 1), 1), np.nan)
