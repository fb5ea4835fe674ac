"""Average precision of each class: what AUC hides where positives are rare."""

import numpy as np
from sklearn.metrics import average_precision_score

from mlrfnet_mm.evaluation.areas.auc import roc_auc


def average_precision(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Average precision of every class, Σ (recall step) × precision, without interpolation.

    A constant score gets the prevalence, so values compare only on the same images.

    Args:
        scores: (N, K).
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).

    Returns:
        (K,); NaN for a class whose known labels are all alike, as for AUC.
    """
    values = np.full(labels.shape[1], np.nan)
    for k in np.flatnonzero(~np.isnan(roc_auc(scores, labels))):
        known = ~np.isnan(labels[:, k])
        values[k] = average_precision_score(labels[known, k], scores[known, k])
    return values
