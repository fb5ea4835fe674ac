"""PPV and NPV where a finding is as frequent as stated, not as in the test set.

A test set that was put together has another prevalence than a ward. Sensitivity and specificity do
not depend on it as long as the patients are of the same kind. By Bayes' theorem, with prevalence
π::

    PPV = se π / (se π + (1 - sp) (1 - π))     NPV = sp (1 - π) / (sp (1 - π) + (1 - se) π)
"""

from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation.areas.bootstrap import percentile_interval, too_few_patients
from mlrfnet_mm.evaluation.files.predictions import Predictions
from mlrfnet_mm.evaluation.thresholds.choose import (
    METRICS,
    confusion_counts,
    confusion_metrics,
    confusion_replicates,
)


class PredictiveValues(NamedTuple):
    """In the order sensitivity, specificity, PPV, NPV."""

    values: np.ndarray  # (4, K)
    intervals: np.ndarray  # (2, 4, K)


def predictive_values(
    sensitivity: np.ndarray, specificity: np.ndarray, prevalence: np.ndarray | float
) -> np.ndarray:
    """(2, …) PPV and NPV; NaN where nothing, or everything, is called.

    Raises:
        ValueError: a prevalence that is not between 0 and 1.
    """
    share = np.asarray(prevalence, float)
    if not ((share > 0) & (share < 1)).all():
        wrong = share[~((share > 0) & (share < 1))]
        raise ValueError(f'a prevalence lies between 0 and 1, got {wrong.ravel()[0]}')
    hits, rests = sensitivity * share, specificity * (1 - share)
    with np.errstate(invalid='ignore'):
        ppv = hits / (hits + (1 - specificity) * (1 - share))
        npv = rests / (rests + (1 - sensitivity) * share)
    return np.stack([ppv, npv])


def predictive_points(
    test: Predictions,
    thresholds: np.ndarray,
    prevalence: np.ndarray | float,
    replicates: int = 1000,
    seed: int = 0,
) -> PredictiveValues:
    """Sensitivity, specificity, PPV and NPV at thresholds that were chosen before.

    Args:
        test: predictions.
        thresholds: (K,), held fixed; NaN: not chosen.
        prevalence: one for all findings, or (K,).
        replicates: of the bootstrap by patient.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.
    """
    cells = confusion_counts(test.scores, test.labels, thresholds)
    _, counts = confusion_replicates(cells, test.patients, replicates, seed)

    def points(counts: np.ndarray) -> np.ndarray:
        metrics = confusion_metrics(counts)
        rates = [metrics[..., METRICS.index(name)] for name in ('sensitivity', 'specificity')]
        return np.stack([*rates, *predictive_values(rates[0], rates[1], prevalence)])

    intervals = percentile_interval(np.moveaxis(points(counts), 1, 0))  # (2, 4, K)
    intervals[..., too_few_patients(test.labels, test.patients)] = np.nan
    return PredictiveValues(points(cells.sum(0)), intervals)
