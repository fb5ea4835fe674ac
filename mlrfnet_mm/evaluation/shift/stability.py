r"""Population stability index (PSI): how far shares have moved between two sets.

.. math:: \mathrm{PSI} = \sum_b (q_b - p_b) \ln \frac{q_b}{p_b}

over bins b, p of the first set and q of the second: Jeffreys' divergence of the binned
distributions. Below 0.1 is called stable and above 0.25 shifted (Siddiqi, Credit Risk Scorecards,
2006), whatever the number of images; without any shift its mean is about
:math:`(B - 1) (1 / n_1 + 1 / n_2)` (Yurdakul, The Statistical Properties of the Population
Stability Index, 2018).
"""

import numpy as np

BINS = 10


def stability_index(first: np.ndarray, second: np.ndarray, bins: int = BINS) -> float:
    """PSI of numbers, over bins of equal count of the first set.

    Args:
        first: (N,) without NaN.
        second: (M,) without NaN.
        bins: their number; fewer where the first set has many equal values.

    Returns:
        The index; NaN where a set is empty.
    """
    if not len(first) or not len(second):
        return float('nan')
    edges = np.unique(np.quantile(first, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1)
        for part in (first, second)
    ]
    return index_of_counts(*counts)


def index_of_counts(first: np.ndarray, second: np.ndarray) -> float:
    """PSI of counts per bin or category, half an image added to each so that none is empty.

    Args:
        first: (B,).
        second: (B,).

    Returns:
        The index; NaN where a set is empty.
    """
    if not first.sum() or not second.sum():
        return float('nan')
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (first, second))
    return float(((q - p) * np.log(q / p)).sum())
