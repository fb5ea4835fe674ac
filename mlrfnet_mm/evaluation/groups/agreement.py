"""How far the labels of one source agree with those of another on the same images.

Sensitivity and PPV of the labels take the other source, the reference, as the truth. Cohen's kappa
takes neither: with the observed agreement o and the one e that is expected of two sources that are
independent, it is (o - e) / (1 - e).

Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20
(1960) 37-46, https://doi.org/10.1177/001316446002000104.
"""

from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation.areas.bootstrap import percentile_interval, too_few_patients
from mlrfnet_mm.evaluation.thresholds.choose import (
    confusion_counts,
    confusion_replicates,
    wilson_interval,
)

MEASURES = ('sensitivity', 'PPV', 'kappa')


class Agreement(NamedTuple):
    """Of K findings; the measures are in the order of ``MEASURES``.

    Attributes:
        counts: (K, 4) images where both have it, the labels alone, the reference alone, neither.
        values: (K, 3); NaN where undefined.
        wilson: (2, K, 3) Wilson's intervals of sensitivity and PPV, which take images as
            independent; NaN for kappa.
        by_patient: (2, K, 3) by bootstrap over patients; NaN where either source has few positive
            or few negative patients.
    """

    counts: np.ndarray
    values: np.ndarray
    wilson: np.ndarray
    by_patient: np.ndarray


def label_agreement(
    labels: np.ndarray,
    reference: np.ndarray,
    patients: np.ndarray,
    replicates: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Compare labels with a reference, where both are known.

    Args:
        labels: (N, K) of 0, 1 and NaN (unknown).
        reference: (N, K), the same.
        patients: (N,) patient of each image.
        replicates: of the bootstrap by patient.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.
    """
    unknown = np.isnan(labels) | np.isnan(reference)
    first, second = (np.where(unknown, np.nan, values) for values in (labels, reference))
    cells = confusion_counts(np.nan_to_num(first), second, np.full(labels.shape[1], 0.5))
    counts = cells.sum(0)
    values = measures(counts)
    _, drawn = confusion_replicates(cells, patients, replicates, seed)
    by_patient = percentile_interval(measures(drawn))  # (2, K, 3)
    few = too_few_patients(first, patients) | too_few_patients(second, patients)
    by_patient[:, few] = np.nan
    tp, fp, fn, _ = counts.T
    wilson = wilson_interval(values, np.stack([tp + fn, tp + fp, np.full(len(tp), np.nan)], -1))
    return Agreement(counts, values, wilson, by_patient)


def measures(counts: np.ndarray) -> np.ndarray:
    """(…, 3) sensitivity, PPV and kappa from counts (…, 4); 0 / 0 is NaN.

    Args:
        counts: both, the labels alone, the reference alone, neither.
    """
    both, first, second, neither = np.moveaxis(np.asarray(counts, float), -1, 0)
    n = both + first + second + neither
    with np.errstate(invalid='ignore', divide='ignore'):
        expected = (both + first) * (both + second) + (second + neither) * (first + neither)
        expected = expected / n**2
        kappa = ((both + neither) / n - expected) / (1 - expected)
        return np.stack([both / (both + second), both / (both + first), kappa], -1)
