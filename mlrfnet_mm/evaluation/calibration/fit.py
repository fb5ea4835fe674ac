"""Temperature and Platt scaling per class: scores made into probabilities.

p = sigmoid(scale · logit(score) + bias), fitted on validation. The biased focal loss gives absent
findings no gradient below 0.2 and so leaves their scores near there; a fitted scale and bias move
them to how often the finding is present. Neither changes the order of a class's scores (but for
ties), nor its AUC.

Platt, "Probabilistic outputs for support vector machines", 1999; Guo et al., "On calibration of
modern neural networks", ICML 2017, https://arxiv.org/abs/1706.04599 (there one temperature for a
softmax; here one per class, as each finding has its own sigmoid).
"""

import numpy as np
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from mlrfnet_mm.evaluation.areas.auc import roc_auc
from mlrfnet_mm.evaluation.calibration.file import METHODS, logits

NARROW = 1e-3  # logits: a class whose scores differ by less tells nothing


def _within_precision(scores: np.ndarray) -> np.ndarray:
    """Scores with 0 and 1 moved halfway to the nearest that the class has otherwise.

    A half-precision sigmoid rounds to exactly 0 and 1: taken at their word, a single such positive
    would decide the fit.
    """
    scores = np.asarray(scores, float)
    inside = (scores > 0) & (scores < 1)
    low = np.min(scores, 0, initial=1, where=inside) / 2  # (K,)
    high = (1 + np.max(scores, 0, initial=0, where=inside)) / 2
    return np.where(inside.any(0), np.clip(scores, low, high), scores)


def fit_calibration(
    scores: np.ndarray, labels: np.ndarray, method: str = 'platt'
) -> tuple[np.ndarray, np.ndarray]:
    """Fit scale and bias of every class by maximum likelihood.

    Targets are Platt's, (m + 1) / (m + 2) for each of m positives and 1 / (n + 2) for each of n
    negatives, in place of 1 and 0: so the fit stays finite where the classes are separable, and
    rare findings are not fitted too steeply. A class whose scores run against its labels gets scale
    0, the best that does not turn its order round; so does one whose scores are all but equal
    (interquartile range of the logits below 1e-3).

    Args:
        scores: (N, K) in [0, 1].
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        method: ``'platt'`` (scale and bias) or ``'temperature'`` (scale only; 1 / temperature).

    Returns:
        (K,) scales and (K,) biases; NaN for a class whose known labels are all alike.
    """
    if method not in METHODS:
        raise ValueError(f'method must be one of {", ".join(METHODS)}, got {method!r}')
    values = logits(_within_precision(scores))
    scale, bias = np.full((2, labels.shape[1]), np.nan)
    for k in np.flatnonzero(~np.isnan(roc_auc(scores, labels))):
        known = ~np.isnan(labels[:, k])
        x, y = values[known, k], labels[known, k] == 1
        scale[k], bias[k] = _fit_class(x, y, method == 'platt')
    return scale, bias


def _fit_class(x: np.ndarray, positive: np.ndarray, with_bias: bool) -> tuple[float, float]:
    """Scale and bias of one class from logits (N,) and whether the finding is there (N,)."""
    m, n = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (m + 1) / (m + 2), 1 / (n + 2))
    flat = 0.0, float(logit(target.mean())) if with_bias else 0.0
    if np.subtract(*np.quantile(x, [0.75, 0.25])) < NARROW:
        return flat
    # A target t is a positive of weight t and a negative of weight 1 - t: what scikit-learn fits.
    # Newton's method, as logits that crowd in a narrow range are ill-conditioned for others.
    model = LogisticRegression(
        C=np.inf, fit_intercept=with_bias, solver='newton-cholesky', tol=1e-10, max_iter=1000
    )
    labels = np.repeat([True, False], len(x))
    weights = np.concatenate([target, 1 - target])
    model.fit(np.tile(x, 2)[:, None], labels, sample_weight=weights)
    if model.coef_[0, 0] >= 0:
        return float(model.coef_[0, 0]), float(model.intercept_[0]) if with_bias else 0.0
    return flat
