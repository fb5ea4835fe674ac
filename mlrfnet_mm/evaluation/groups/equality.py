"""Do groups differ? Wald's chi-square test on a covariance that is clustered by patient.

For G groups with values θ and covariance Σ, and C the contrasts of each group with the first,
Q = (Cθ)' (CΣC')⁻¹ Cθ is chi-square with G - 1 degrees of freedom if all θ are equal: the test of
DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845, https://doi.org/10.2307/2531595, for
any contrast of AUCs. Where no patient is in two groups Σ is diagonal, and Q is Cochran's,
Σ w (θ - Σ wθ / Σ w)² with weights w = 1 / variance (Cochran, Biometrics 10 (1954) 101-129,
https://doi.org/10.2307/3001666), as McClish uses it for AUCs of strata (Medical Decision Making 12
(1992) 274-279). Patients in several groups, as in both views, make it other than diagonal.

Shares and AUCs are compared as logits (delta method): their values may lie near 1, where the
distribution of the value itself is skewed and cut off.
"""

import numpy as np
from scipy.special import logit
from scipy.stats import chi2, norm

from mlrfnet_mm.evaluation.areas.delong import NO_VARIANCE


def on_logits(values: np.ndarray, influence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (G,) in [0, 1] and influence (G, P) of patients, as logits; NaN at 0 and 1."""
    inside = (values > 0) & (values < 1)
    safe = np.where(inside, values, 0.5)
    slope = np.where(inside, 1 / (safe * (1 - safe)), np.nan)
    return np.where(inside, logit(safe), np.nan), influence * slope[:, None]


def equality_test(values: np.ndarray, influence: np.ndarray) -> tuple[float, int, float]:
    """Q, degrees of freedom and p of the hypothesis that all groups have one value.

    Args:
        values: (G,).
        influence: (G, P), what each patient adds to each value; the covariance is
            influence @ influence'.

    Returns:
        NaN for Q and p where a value is undefined or has no variance, and for a single group.
    """
    groups = len(values)
    covariance = influence @ influence.T
    if groups < 2 or np.isnan(values).any() or not (np.diag(covariance) > NO_VARIANCE).all():
        return np.nan, groups - 1, np.nan
    contrasts = np.hstack([-np.ones((groups - 1, 1)), np.eye(groups - 1)])
    differences = contrasts @ values
    among = contrasts @ covariance @ contrasts.T
    if np.linalg.matrix_rank(among, hermitian=True) < groups - 1:
        return np.nan, groups - 1, np.nan
    q = float(differences @ np.linalg.solve(among, differences))
    return q, groups - 1, float(chi2.sf(q, groups - 1))


def difference_tests(values: np.ndarray, influence: np.ndarray, reference: int) -> np.ndarray:
    """Two-sided p (G,) that each group's value is the reference's; NaN for the reference itself.

    Args:
        values: (G,).
        influence: (G, P), see :func:`equality_test`.
        reference: number of the group to compare with.
    """
    difference = values - values[reference]
    variance = ((influence - influence[reference]) ** 2).sum(1)
    usable = variance > NO_VARIANCE
    z = np.abs(difference) / np.sqrt(np.where(usable, variance, 1))
    p: np.ndarray = np.where(usable, 2 * norm.sf(z), np.nan)
    return p
