"""Sensitivity and specificity of two models on the same images: McNemar's test by patient.

With b images that only the first model calls rightly and c that only the second does, McNemar's
statistic is (b - c)² / (b + c) (Psychometrika 12 (1947) 153-157,
https://doi.org/10.1007/BF02295996). Images of one patient are not independent. With d_p = b_p - c_p
of patient p it becomes Obuchowski's (Statistics in Medicine 17 (1998) 1495-1507)::

    χ² = (Σ d_p)² / Σ d_p²

here without the factor I / (I - 1) of her variance, so that one image per patient gives McNemar's.
It was chosen because it tests the difference that is printed, of rates over images, whatever the
correlations within a patient. Eliasziw & Donner (Statistics in Medicine 10 (1991) 1981-1991) take
one correlation for all pairs; Durkalski et al. (Statistics in Medicine 22 (2003) 2417-2428) weight
each patient by one over the number of its images, which is another difference.

With few patients in whom the models differ, the statistic is compared with all its values under
random signs of the d_p; one image per patient gives the exact test, binomial in b and c.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm

from mlrfnet_mm.evaluation.areas.bootstrap import (
    LEAST_PATIENTS,
    bootstrap_p,
    mean_over_classes,
    patient_counts,
    patient_weights,
    percentile_interval,
)

RATES = ('sensitivity', 'specificity')
LEAST_DISCORDANT = 25  # patients; below, all signs are tried: the usual limit of McNemar's χ²


def clustered_mcnemar(gaps: np.ndarray) -> float:
    """Two-sided p-value that two models call as many images rightly.

    >>> clustered_mcnemar(np.repeat([1, -1], [8, 2]))  # b = 8, c = 2: binomial
    0.109375

    Args:
        gaps: (P,) whole numbers: of each patient, the images that only the first model calls
            rightly less those that only the second does.

    Returns:
        p; 1 where the models differ in no patient.
    """
    sizes = np.abs(gaps[gaps != 0]).astype(int)
    total = int(abs(np.sum(gaps)))
    if not len(sizes):
        return 1.0
    if len(sizes) >= LEAST_DISCORDANT:
        return float(chi2.sf(total**2 / np.sum(sizes.astype(float) ** 2), 1))
    shares = np.ones(1)  # of the sums -n … n, in steps of 1
    for size in sizes:
        step = np.zeros(2 * size + 1)
        step[[0, -1]] = 0.5
        shares = np.convolve(shares, step)
    middle = len(shares) // 2
    beyond = np.abs(np.arange(len(shares)) - middle) >= total
    return float(min(shares[beyond].sum(), 1.0))


@dataclass(frozen=True)
class PairedRates:
    """Sensitivity and specificity of two models, on the last axis in the order of ``RATES``.

    Attributes:
        values: (2, K, 2) of the first and of the second model; NaN where undefined.
        intervals: (2, K, 2) ends of the difference, first less second, by bootstrap over patients;
            NaN with few patients. Where the models differ in no image, Tango's over patients.
        only: (2, K, 2) images that only the first, that only the second model calls rightly.
        p: (K, 2) of :func:`clustered_mcnemar`; NaN with few patients.
        mean: (2, 2) mean of each model over the classes of the mean.
        mean_interval: (2, 2) ends of the means' difference.
        mean_p: (2,) of the bootstrap.
    """

    values: np.ndarray
    intervals: np.ndarray
    only: np.ndarray
    p: np.ndarray
    mean: np.ndarray
    mean_interval: np.ndarray
    mean_p: np.ndarray


def paired_rates(
    called: tuple[np.ndarray, np.ndarray],
    labels: np.ndarray,
    patients: np.ndarray,
    in_mean: np.ndarray | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> PairedRates:
    """Compare what two models call, at thresholds that are held fixed.

    Args:
        called: (N, K) bool of each model.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere; to be NaN where a model has no
            threshold).
        patients: (N,).
        in_mean: (K,) bool, the classes of the mean; ``None`` for all. Undefined ones are left out.
        replicates: of the bootstrap by patient.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.
    """
    kept = np.ones(labels.shape[1], bool) if in_mean is None else in_mean
    counted = np.stack([labels == 1, labels == 0], -1)  # (N, K, 2)
    right = [counted & (calls[..., None] == [True, False]) for calls in called]
    index, weights = patient_weights(patients, replicates, seed)
    cells = np.stack([counted, *right]).astype(float)  # (3, N, K, 2)
    by_patient = np.zeros((3, weights.shape[1], *counted.shape[1:]))
    for part, cell in zip(by_patient, cells, strict=True):
        np.add.at(part, index, cell)
    drawn = np.tensordot(weights.astype(float), by_patient, (1, 1))  # (R, 3, K, 2)
    with np.errstate(invalid='ignore'):  # 0 / 0: undefined
        values = by_patient[1:].sum(1) / by_patient[0].sum(0)
        gaps = (drawn[:, 1] - drawn[:, 2]) / drawn[:, 0]  # (R, K, 2)
    only = np.stack([right[0] & ~right[1], right[1] & ~right[0]]).sum(1)
    signs = by_patient[1] - by_patient[2]  # (P, K, 2)
    p = np.apply_along_axis(clustered_mcnemar, 0, signs)
    ends = percentile_interval(gaps)
    least = patient_counts(labels, patients).T  # (K, 2) positive and negative
    equal, half = only.sum(0) == 0, tango_without_discord(least)
    ends[:, equal] = np.stack([-half, half])[:, equal]
    few = least < LEAST_PATIENTS
    ends[:, few] = p[few] = np.nan
    means = np.stack([mean_over_classes(gaps[:, kept, i]) for i in range(2)], -1)  # (R, 2)
    return PairedRates(
        values=values,
        intervals=ends,
        only=only,
        p=p,
        mean=np.stack([mean_over_classes(values[:, kept, i]) for i in range(2)], -1),
        mean_interval=percentile_interval(means),
        mean_p=bootstrap_p(means),
    )


def tango_without_discord(n: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Half of the width of Tango's interval of a paired difference where no pair differs.

    With no pair that differs among n the score statistic n Δ² / (|Δ| (1 - |Δ|)) is at its limit z²
    for |Δ| = z² / (n + z²) (Tango, Statistics in Medicine 17 (1998) 891-908).
    """
    square = norm.ppf((1 + level) / 2) ** 2
    return np.asarray(square / (n + square))
