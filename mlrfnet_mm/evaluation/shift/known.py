"""What is known of the findings at a site, and which update of a calibration it suffices for.

Steyerberg et al., Statistics in Medicine 23 (2004) 2567-2586, https://doi.org/10.1002/sim.1844,
and Vergouwe et al., Statistics in Medicine 36 (2017) 4529-4539, https://doi.org/10.1002/sim.7179:
few labels can tell how frequent a finding is (the intercept), more of them also how steep the
probabilities must be (the slope). What either does with n labels is measured in
``benchmarks/labels_needed.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS, patient_counts
from mlrfnet_mm.evaluation.files.predictions import Predictions
from mlrfnet_mm.evaluation.shift.mixture import mixture_misfit
from mlrfnet_mm.evaluation.shift.prior import equivalent_positives, estimate_prevalence

AUTO = 'auto'
UPDATES = ('none', 'prior', 'intercept', 'platt')
# Positive and negative labeled patients from which on the bias is fitted, and the scale, too.
ENOUGH_FOR_BIAS, ENOUGH_FOR_SLOPE = 5, 20
LEVEL = 0.05  # of the test that scores are a mix


@dataclass(frozen=True)
class Known:
    """What is known of K findings at a site.

    Attributes:
        positive: (K,) patients with an image labeled positive.
        negative: (K,) patients with an image labeled negative.
        prevalence: (K,) estimated without labels; NaN where it cannot be.
        draws: (R, K) its replicates.
        equivalent: (K,) see :func:`~mlrfnet_mm.evaluation.shift.prior.equivalent_positives`.
        distance: (K,) of the site's scores from a mix of validation's positives and negatives.
        p_mix: (K,) of so great a distance; both NaN where it is not known.
    """

    positive: np.ndarray
    negative: np.ndarray
    prevalence: np.ndarray
    draws: np.ndarray
    equivalent: np.ndarray
    distance: np.ndarray
    p_mix: np.ndarray

    def update(self, k: int, asked: str = AUTO, uncalibrated: bool = False) -> str:
        """The update of a finding: that which is asked for if it is possible, else none.

        Args:
            k: the finding.
            asked: one of ``UPDATES``, or ``'auto'``: scale and bias from ``ENOUGH_FOR_SLOPE``
                positive and negative patients on, the bias from ``ENOUGH_FOR_BIAS`` on, else by the
                prevalence alone, if the scores are such a mix.
            uncalibrated: there is nothing that could be moved.
        """
        fewest = min(self.positive[k], self.negative[k])
        told = bool(self.equivalent[k] >= LEAST_PATIENTS)
        if asked == AUTO:
            asked = 'prior' if told and self.p_mix[k] >= LEVEL else 'none'
            if fewest >= ENOUGH_FOR_BIAS:
                asked = 'platt' if fewest >= ENOUGH_FOR_SLOPE else 'intercept'
        possible = dict(
            none=True,
            prior=told,
            intercept=fewest > 0 and not uncalibrated,
            platt=fewest > 0,
        )
        return asked if possible[asked] else 'none'


def learn(
    site: Predictions,
    probabilities: np.ndarray,
    prior: np.ndarray,
    val: Predictions | None = None,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> Known:
    """Find out what can be known.

    Args:
        site: predictions of the site; labels that are NaN are not known.
        probabilities: (N, K) calibrated; a column of NaN is not calibrated.
        prior: (K,) prevalences that they are right for.
        val: validation predictions of the same findings; None: whether the site's scores are a mix
            of theirs is not known.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
        progress: called when the prevalence of a finding is estimated.
    """
    values, draws = estimate_prevalence(
        probabilities, prior, site.patients, replicates, seed, progress
    )
    distance = p_mix = np.full(len(prior), np.nan)
    if val is not None:
        distance, p_mix = mixture_misfit(site, val, values, draws, seed)
    positive, negative = patient_counts(site.labels, site.patients)
    told = equivalent_positives(draws)
    return Known(positive, negative, values, draws, told, distance, p_mix)
