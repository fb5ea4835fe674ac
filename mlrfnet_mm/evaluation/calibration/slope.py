"""Calibration slope and intercept: how far probabilities are too extreme, and too high or low.

Cox's logistic regression of the labels on the logits of the probabilities p::

    P(y = 1) = sigmoid(intercept + slope · logit(p))

A slope below 1 says that p is too extreme, above 1 that it is too moderate. With the slope held at
1, the intercept says how far p is too low (above 0) or too high on the whole: calibration in the
large. Perfect are 1, 0 and 0.

Intervals are Wald's with the variance of Liang & Zeger for clusters, here patients: with the
Hessian H and the sums s_c of each of C patients' gradients, H⁻¹ (Σ s_c s_c') H⁻¹ · C / (C - 1).

Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958) 562-565,
https://doi.org/10.1093/biomet/45.3-4.562; Liang & Zeger, "Longitudinal data analysis using
generalized linear models", Biometrika 73 (1986) 13-22, https://doi.org/10.1093/biomet/73.1.13.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from mlrfnet_mm.evaluation.areas.bootstrap import too_few_patients
from mlrfnet_mm.evaluation.calibration.file import logits
from mlrfnet_mm.evaluation.calibration.fit import NARROW
from mlrfnet_mm.evaluation.calibration.reliability import defined


class CalibrationSlope(NamedTuple):
    """Of K findings, in the order slope, intercept, intercept with slope 1.

    Attributes:
        values: (3, K); NaN for a class without probabilities or with one label value only. Slope
            and its intercept are NaN, too, where one threshold separates the labels (the slope has
            no end there) or all probabilities are alike.
        intervals: (2, 3, K) by patient; NaN where few patients are positive or negative.
    """

    values: np.ndarray
    intervals: np.ndarray


def calibration_slope(
    probabilities: np.ndarray, labels: np.ndarray, patients: np.ndarray, level: float = 0.95
) -> CalibrationSlope:
    """Slope, intercept and calibration in the large of every class, with intervals by patient.

    Args:
        probabilities: (N, K) in [0, 1]; NaN columns are not calibrated.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        patients: (N,).
        level: nominal coverage.
    """
    values = np.full((3, labels.shape[1]), np.nan)
    intervals = np.full((2, *values.shape), np.nan)
    z = norm.ppf((1 + level) / 2) * np.array([[-1], [1]])
    for k in defined(probabilities, labels):
        known = ~np.isnan(labels[:, k])
        x, y = logits(probabilities[known, k]), labels[known, k]
        index = np.unique(patients[known], return_inverse=True)[1]
        if np.ptp(x) > NARROW and not _separable(x, y == 1):
            intercept, slope = _fit(x, y)
            errors = _errors(np.stack([np.ones_like(x), x], 1), intercept + slope * x, y, index)
            values[:2, k] = slope, intercept
            intervals[:, :2, k] = values[:2, k] + z * errors[::-1]
        values[2, k] = shift = _shift(x, y)
        intervals[:, 2, k] = shift + z[:, 0] * _errors(np.ones((len(x), 1)), shift + x, y, index)
    intervals[..., too_few_patients(labels, patients)] = np.nan
    return CalibrationSlope(values, intervals)


def _separable(x: np.ndarray, positive: np.ndarray) -> bool:
    """Whether some threshold has all positives on one side, but for ties at it."""
    a, b = x[positive], x[~positive]
    return bool(a.min() >= b.max() or a.max() <= b.min())


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Intercept and slope by maximum likelihood."""
    model = LogisticRegression(C=np.inf, solver='newton-cholesky', tol=1e-10, max_iter=1000)
    model.fit(x[:, None], y)
    return float(model.intercept_[0]), float(model.coef_[0, 0])


def _shift(x: np.ndarray, y: np.ndarray) -> float:
    """Intercept with slope 1: as many positives are expected as there are."""
    end = (
        abs(x).max() + abs(np.log(y.mean() / (1 - y.mean()))) + 1
    )  # beyond it all are shifted over
    return float(brentq(lambda a: (y - expit(a + x)).sum(), -end, end, xtol=1e-12))


def _errors(design: np.ndarray, eta: np.ndarray, y: np.ndarray, index: np.ndarray) -> np.ndarray:
    """(D,) standard errors by patient of a logistic regression.

    Args:
        design: (N, D).
        eta: (N,) fitted logits.
        y: (N,) of 0 and 1.
        index: (N,) of each image's patient.
    """
    p = expit(eta)
    bread = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    sums = np.stack([np.bincount(index, g) for g in ((y - p)[:, None] * design).T], 1)  # (C, D)
    clusters = len(sums)
    variance = bread @ sums.T @ sums @ bread * clusters / max(clusters - 1, 1)
    return np.sqrt(np.diag(variance))
