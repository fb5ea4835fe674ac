"""Sums per patient of one group, and what they give in every replicate of the bootstrap.

All measures but the AUC are ratios of two sums over images, so that a replicate of them is a
product of the patients' weights with their sums.
"""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array

from mlrfnet_mm.evaluation.areas.bootstrap import BLOCK, bin_counts

# Measure → the sums that it is the ratio of
RATIOS = dict(
    prevalence=('positive', 'known'),
    sensitivity=('hit', 'positive'),
    specificity=('rejected', 'negative'),
    probability=('probability', 'known'),
    excess=('excess', 'known'),
    brier=('squared', 'known'),
)


def terms_of_images(
    scores: np.ndarray,
    labels: np.ndarray,
    thresholds: np.ndarray | None,
    probabilities: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """What each image adds to the sums of ``RATIOS``, (N, K) each.

    Args:
        scores: (N, K).
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        thresholds: (K,), called at or above; ``None`` leaves out what needs them. A class whose
            threshold is NaN has NaN sums.
        probabilities: (N, K); ``None`` leaves out what needs them.
    """
    known = ~np.isnan(labels)
    positive = known & (labels == 1)
    terms = dict(known=known, positive=positive, negative=known & ~positive)
    if thresholds is not None:
        called = scores >= thresholds
        terms |= dict(hit=called & positive, rejected=~called & known & ~positive)
    found = {name: values.astype(float) for name, values in terms.items()}
    if thresholds is not None:
        for name in ('hit', 'rejected'):
            found[name][:, np.isnan(thresholds)] = np.nan
    if probabilities is not None:
        excess = np.where(known, probabilities - positive, 0)
        found['probability'] = np.where(known, probabilities, 0)
        found['excess'], found['squared'] = excess, excess**2
    return found


def sums_of_patients(
    terms: Mapping[str, np.ndarray], patient: np.ndarray, count: int
) -> dict[str, np.ndarray]:
    """Sums (P, K) over each patient's images, of terms (N, K) each."""
    rows = np.arange(len(patient))
    owners = csr_array((np.ones(len(rows)), (patient, rows)), shape=(count, len(rows)))
    return {name: owners @ values for name, values in terms.items()}


def ratio_measures(sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Measures from sums (…, K) of the same shape; 0 / 0 is NaN."""
    with np.errstate(invalid='ignore', divide='ignore'):
        return {
            name: sums[above] / sums[below]
            for name, (above, below) in RATIOS.items()
            if above in sums
        }


def ratio_influence(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """What each patient adds to a ratio of sums, scaled so that the squares sum to its variance.

    The ratio estimator of clustered data (Rao & Scott, Biometrics 48 (1992) 577-585,
    https://doi.org/10.2307/2532311): with r = Σ above / Σ below, the variance is
    I / (I - 1) · Σ_c (above_c - r below_c)² / (Σ below)² over the I patients with any.

    Args:
        above: (P, K).
        below: (P, K).

    Returns:
        (P, K); NaN for fewer than two patients.
    """
    total = below.sum(0)
    patients = (below != 0).sum(0)
    with np.errstate(invalid='ignore', divide='ignore'):
        factor = np.where(patients > 1, patients / (patients - 1), np.nan)
        deviation = (above - above.sum(0) / total * below) / total
    return np.asarray(np.sqrt(factor) * deviation)


def weight_blocks(weights: np.ndarray) -> list[np.ndarray]:
    """Weights (R, P) as float32 blocks (P, 64) that stay in the cache."""
    return [
        weights[i : i + BLOCK].T.astype(np.float32, order='C')
        for i in range(0, len(weights), BLOCK)
    ]


def drawn_auc(
    scores: np.ndarray, positive: np.ndarray, patient: np.ndarray, blocks: list[np.ndarray]
) -> np.ndarray:
    """AUC of one class in every replicate, (R,); exact below 2^24 images, NaN where undefined.

    As :func:`~mlrfnet_mm.evaluation.bootstrap_areas`, without average precision.

    Args:
        scores: (N,).
        positive: (N,) bool.
        patient: (N,) number of each image's patient.
        blocks: see :func:`weight_blocks`.
    """
    positives, negatives = bin_counts(scores, positive, patient, blocks[0])
    found = []
    for block in blocks:
        p = positives @ block  # (G, B)
        below = negatives @ block  # (2G + 1, B)
        np.cumsum(below, axis=0, out=below)
        pairs = np.einsum('gb,gb->b', p, below[:-1:2] + below[1::2], dtype=float)
        with np.errstate(invalid='ignore'):  # 0 / 0 in a one-sided replicate
            found.append(pairs / (2 * p.sum(0, dtype=float) * below[-1]))
    return np.concatenate(found)
