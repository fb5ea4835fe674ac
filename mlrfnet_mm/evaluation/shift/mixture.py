"""Whether scores of a site can be a mix of validation's positives and negatives.

Saerens' EM and all that goes by the prevalence alone suppose that they are, with another share of
positives: that images with the finding look alike at both sites, and images without it, too. Where
another scanner changes the scores, or other findings have become more frequent among the images
without this one, the estimated prevalence may be far off, and precise.

The statistic is the greatest distance of the site's share below a score from that of the mix, at up
to 200 scores. Its null distribution is a bootstrap over the patients of both, centered at what was
found, the prevalence estimated again in each replicate.
"""

import numpy as np
from scipy.sparse import csr_array

from mlrfnet_mm.evaluation.areas.bootstrap import patient_weights
from mlrfnet_mm.evaluation.files.predictions import Predictions
from mlrfnet_mm.evaluation.shift.permutation import permutation_p

PLACES = 200


def mixture_misfit(
    site: Predictions, val: Predictions, prevalence: np.ndarray, draws: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the site's scores from the mix, and the p-value of so great a distance.

    Args:
        site: predictions of the site; labels are not looked at.
        val: validation predictions of the same findings.
        prevalence: (K,) estimated at the site; NaN: the finding is left out.
        draws: (R, K) its replicates, from
            :func:`~mlrfnet_mm.evaluation.shift.prior.estimate_prevalence` with the same seed.
        seed: of the bootstrap.

    Returns:
        (K,) distances and (K,) p-values; NaN where the prevalence is, or where validation has one
        label value only.
    """
    replicates = len(draws)
    at_site, site_weights = patient_weights(site.patients, replicates, seed)
    at_val, val_weights = patient_weights(val.patients, replicates, seed + 1)
    found = np.full((2, len(prevalence)), np.nan)
    for k in np.flatnonzero(~np.isnan(prevalence)):
        y, pi = val.labels[:, k], prevalence[k]
        pooled = np.concatenate([site.scores[:, k], val.scores[:, k]])
        places = np.unique(np.quantile(pooled, np.linspace(0, 1, PLACES), method='nearest'))
        if not (y == 1).any() or not (y == 0).any():
            continue
        (f1, f1_drawn), (f0, f0_drawn) = (
            _shares(val.scores[y == value, k], places, at_val[y == value], val_weights)
            for value in (1, 0)
        )
        observed, observed_drawn = _shares(site.scores[:, k], places, at_site, site_weights)
        gap = observed - (pi * f1 + (1 - pi) * f0)  # (places,)
        drawn = observed_drawn - (draws[:, k] * f1_drawn + (1 - draws[:, k]) * f0_drawn)
        found[0, k] = abs(gap).max()
        found[1, k] = permutation_p(found[0, k], abs(drawn - gap[:, None]).max(0))
    return found[0], found[1]


def _shares(
    scores: np.ndarray, places: np.ndarray, index: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shares at or below each place, (L,) and in the replicates (L, R)."""
    at = np.searchsorted(places, scores)  # the first place that is not below the score
    shape = len(places), weights.shape[1]
    counts = csr_array((np.ones(len(at), np.float32), (at, index)), shape=shape)
    below = np.cumsum(np.asarray(counts @ weights.T.astype(np.float32)), 0)  # (L, R)
    once = np.cumsum(np.asarray(counts.sum(1)))
    with np.errstate(invalid='ignore', divide='ignore'):  # a replicate without such an image
        return once / once[-1], below / below[-1]
