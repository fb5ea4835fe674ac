"""Partial area under the ROC curve, where the false positive rate is low.

McClish, "Analyzing a portion of the ROC curve", Medical Decision Making 9 (1989) 190-195,
https://doi.org/10.1177/0272989X8900900307.
"""

import numpy as np

from mlrfnet_mm.evaluation.areas.curve import Curve, Statistic


def partial_auc(most: float = 0.1) -> Statistic:
    """The area over false positive rates from 0 to ``most``, standardized: 0.5 is chance, 1 best.

    With the area A below the curve up to f = ``most``, McClish's ::

        (1 + (A - f² / 2) / (f - f² / 2)) / 2

    as scikit-learn's ``roc_auc_score(max_fpr=f)`` has it; f = 1 is the whole AUC.

    Args:
        most: above 0, at most 1.

    Raises:
        ValueError: another ``most``.
    """
    if not 0 < most <= 1:
        raise ValueError(f'the false positive rate must be above 0 and at most 1, got {most}')

    def area(curve: Curve) -> np.ndarray:
        n = curve.negatives[::-1]  # from the highest score down, as the curve is drawn
        total = n.sum(0)
        before = np.cumsum(n, 0) - n
        width = np.clip(most * total - before, 0, n)  # what of each bin lies below ``most``
        true = curve.true[::-1]  # (G + 1, B)
        # Between two levels the curve is flat; through a tie it is a straight line.
        flat = (width[::2] * true).sum(0)
        start, rise = true[:-1], true[1:] - true[:-1]
        w, whole = width[1::2], np.maximum(n[1::2], 1)
        tied = (w * start + rise * w**2 / (2 * whole)).sum(0)
        share = (flat + tied) / (true[-1] * total)
        least = most**2 / 2
        return np.asarray((1 + (share - least) / (most - least)) / 2)

    return area
