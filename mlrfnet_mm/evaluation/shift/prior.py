r"""How often a finding is present among images without labels.

Saerens, Latinne & Decaestecker, Neural Computation 14 (2002) 21-41,
https://doi.org/10.1162/089976602753284446. Probabilities p that are right where the finding has
the prevalence :math:`\pi_0` become, where only the prevalence differs,

.. math:: p' = \frac{(\pi / \pi_0) p}{(\pi / \pi_0) p + ((1 - \pi) / (1 - \pi_0)) (1 - p)}

a shift of the logit by the log odds ratio of both. The authors find :math:`\pi` by EM: it is set to
the mean of p' until it stays. What stays is the maximum of the likelihood
:math:`\sum_i \log f_i(\pi)` with :math:`f_i = (\pi / \pi_0) p_i + ((1 - \pi) / (1 - \pi_0)) (1 -
p_i)`. Each :math:`f_i` is linear in :math:`\pi`, so the likelihood is concave and has one maximum.
EM comes near it slowly where scores tell little, by hundreds of steps; Newton's method within a
bracket finds the same place in about five.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array
from scipy.special import logit

from mlrfnet_mm.evaluation.areas.bootstrap import patient_weights

LEVELS = 1000  # of probabilities that replicates tell apart
STEPS = 100  # halving alone takes 34
TOLERANCE = 1e-10
EDGE = 1e-6  # a prevalence that is nearer to 0 or 1 is that


def prior_shift(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What is added to the logit of a probability when the prevalence changes, (…).

    >>> round(float(prior_shift(0.5, 0.2)), 4)
    -1.3863
    """
    return logit(after) - logit(before)


def shifted_prevalence(
    p: np.ndarray, prior: float, weights: np.ndarray | None = None, start: float | None = None
) -> np.ndarray:
    """Prevalence of the greatest likelihood, the fixed point of Saerens' EM, of one finding.

    Args:
        p: (N,) probabilities of the images, right where the prevalence is ``prior``.
        prior: that prevalence, between 0 and 1.
        weights: (R, N) times that each image counts in each of R replicates; None: all once.
        start: where to begin; by default ``prior``.

    Returns:
        (R,) prevalences, (1,) without weights; 0 or 1 (to 1e-9) where no image looks as if it had
        the finding, or lacked it. NaN where all probabilities are the prior: any prevalence fits.

    Raises:
        ValueError: a prior that is not between 0 and 1, a probability outside [0, 1] or NaN.
    """
    p = np.asarray(p, float)
    if not 0 < prior < 1:
        raise ValueError(f'the prevalence that probabilities are right for lies in (0, 1): {prior}')
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f'probabilities lie in [0, 1], found {p[~((p >= 0) & (p <= 1))][0]}')
    weights = np.ones((1, len(p))) if weights is None else np.asarray(weights, float)
    at_zero = (1 - p) / (1 - prior)
    slope = p / prior - at_zero  # f = at_zero + slope · π
    low, high = np.zeros((2, len(weights)))
    high += 1
    value = np.full(len(weights), prior if start is None else min(max(start, 1e-6), 1 - 1e-6))
    if not slope.any():
        return np.full(len(weights), np.nan)
    for _ in range(STEPS):
        ratio = slope / (at_zero + slope * value[:, None])  # (R, N): derivative of log f
        rise = (weights * ratio).sum(1)
        bend = (weights * ratio**2).sum(1)
        low, high = np.where(rise > 0, value, low), np.where(rise > 0, high, value)
        step = value + rise / np.maximum(bend, np.finfo(float).tiny)
        new = np.where((step > low) & (step < high), step, (low + high) / 2)
        moved, value = abs(new - value).max(), new
        if moved < TOLERANCE:
            break
    return value


def estimate_prevalence(
    probabilities: np.ndarray,
    prior: np.ndarray,
    patients: np.ndarray,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Prevalence of every finding, and its replicates by bootstrap over patients.

    Args:
        probabilities: (N, K) calibrated; a column of NaN is not calibrated.
        prior: (K,) prevalences that they are right for; NaN: not known.
        patients: (N,) patient of each image.
        replicates: number of replicates R.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.
        progress: called when a finding is done.

    Returns:
        (K,) prevalences and (R, K) replicates; NaN where the finding is not calibrated, has no
        prior, or has one probability for all images.
    """
    index, drawn = patient_weights(patients, replicates, seed)
    values = np.full(probabilities.shape[1], np.nan)
    draws = np.full((replicates, len(values)), np.nan)
    for k, (p, before) in enumerate(zip(probabilities.T, prior, strict=True)):
        if not np.isnan(p).any() and np.ptp(p) > 0 and 0 < before < 1:
            values[k] = shifted_prevalence(p, before)[0]
            levels, counts = _levels(p, index, drawn.shape[1])
            draws[:, k] = shifted_prevalence(levels, before, (counts @ drawn.T).T, values[k])
        if progress:
            progress()
    return values, draws


def _levels(p: np.ndarray, index: np.ndarray, patients: int) -> tuple[np.ndarray, csr_array]:
    """Probabilities (L,) and how many images of each patient have them, (L, patients).

    Where they are more than ``LEVELS``, neighbors are one level, their mean: f is linear in p, so
    that the replicates differ by the square of the spread within a level.
    """
    levels, at = np.unique(p, return_inverse=True)
    if len(levels) > LEVELS:
        at = np.argsort(np.argsort(p, kind='stable'), kind='stable') * LEVELS // len(p)
        levels = np.bincount(at, p) / np.bincount(at)
    ones = np.ones(len(p), np.int32)
    return levels, csr_array((ones, (at, index)), shape=(len(levels), patients))


def equivalent_positives(draws: np.ndarray) -> np.ndarray:
    """How many labeled positives (or negatives, if rarer) tell a prevalence as precisely.

    The share of m positives among n independent images has the variance π (1 - π) / n. The
    variance of the replicates gives n, and with it the number of the rarer kind, n min(π, 1 - π).
    Where over 2.5 % of the replicates are 0 or 1 the prevalence has no lower or upper bound.

    Args:
        draws: (R, K) replicates of the prevalence.

    Returns:
        (K,); 0 where there is no such bound, NaN where the replicates are.
    """
    mean, at_end = draws.mean(0), (draws < EDGE) | (draws > 1 - EDGE)
    with np.errstate(divide='ignore', invalid='ignore'):
        equivalent = mean * (1 - mean) / draws.var(0) * np.minimum(mean, 1 - mean)
    return np.where(at_end.mean(0) > 0.025, 0.0, equivalent)
