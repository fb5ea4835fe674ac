"""Holm's correction of p-values for testing several classes at once.

Holm, Scandinavian Journal of Statistics 6 (1979) 65-70, https://www.jstor.org/stable/4615733.
"""

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p-values so that one false finding among all has at most the level's probability.

    The i-th smallest of m (from 0) is multiplied by m - i, made monotone, and cut at 1.

    Args:
        p: (K,); NaN is not a test, does not count in m, and stays NaN.

    Returns:
        (K,) corrected p-values.
    """
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # argsort puts NaN last
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return corrected
