"""The bias of a calibration fitted again, its scale kept."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit


def fit_intercept(logits: np.ndarray, labels: np.ndarray) -> float:
    """What to add to the logits of a finding's probabilities, by maximum likelihood.

    Targets are Platt's, as in :func:`~mlrfnet_mm.evaluation.fit_calibration`.

    Args:
        logits: (N,) finite.
        labels: (N,) of 0, 1 and NaN (unknown, counts nowhere).

    Returns:
        The shift; NaN where the known labels are all alike.
    """
    known = ~np.isnan(labels)
    z, positive = np.asarray(logits, float)[known], labels[known] == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        return float('nan')
    expected = m * (m + 1) / (m + 2) + n / (n + 2)  # sum of the targets

    def excess(shift: float) -> float:
        return float(expit(z + shift).sum()) - expected

    # at these ends every image has the same side of the mean
    middle = float(np.log(expected / (m + n - expected)))
    return float(brentq(excess, middle - z.max() - 1, middle - z.min() + 1, xtol=1e-12))
