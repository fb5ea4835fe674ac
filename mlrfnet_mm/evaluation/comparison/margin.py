"""Whether a model is not worse than another, or as good, up to a margin.

Non-inferiority: the difference (first less second) is above -margin, shown at 5 % one-sided where
the lower end of the 90 % two-sided interval, which is the 95 % one-sided bound, lies above -margin.
Equivalence: the difference is within ± margin, shown by two one-sided tests where the whole 90 %
interval lies inside (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987)
657-680, https://doi.org/10.1007/BF01068419). A test that does not show it says nothing else: a
model is not worse because it was not shown to be as good.
"""

from dataclasses import dataclass

import numpy as np

from mlrfnet_mm.evaluation.areas.bootstrap import percentile_interval

LEVEL = 0.90  # of the two-sided interval; each of its ends is a 95 % one-sided bound


@dataclass(frozen=True)
class MarginTest:
    """Of one or several differences.

    Attributes:
        ends: (2, …) of the 90 % interval; NaN where it cannot be said.
        p_above: p-value of the hypothesis that the difference is -margin or less.
        p_below: p-value of the hypothesis that it is margin or more.
        margin: the margin.
    """

    ends: np.ndarray
    p_above: np.ndarray
    p_below: np.ndarray
    margin: float

    @property
    def p_inside(self) -> np.ndarray:
        """p-value of the two one-sided tests: the larger one."""
        return np.maximum(self.p_above, self.p_below)

    @property
    def not_inferior(self) -> np.ndarray:
        """Whether it is shown: by the interval's lower end and the p-value, both."""
        return np.asarray((self.ends[0] > -self.margin) & (self.p_above < 0.05))

    @property
    def equivalent(self) -> np.ndarray:
        """Whether it is shown: by the whole interval and the p-value, both."""
        inside = (self.ends[0] > -self.margin) & (self.ends[1] < self.margin)
        return np.asarray(inside & (self.p_inside < 0.05))


def check_margin(margin: float) -> float:
    """The margin, if it is one.

    Raises:
        ValueError: it is not above 0 and below 1.
    """
    if not 0 < margin < 1:
        raise ValueError(
            f'the margin must be above 0 and below 1, as 0.02 for an AUC, got {margin:g}'
        )
    return margin


def margin_test(draws: np.ndarray, margin: float) -> MarginTest:
    """By bootstrap: percentiles, and shares of replicates at or beyond the margin.

    As in :func:`~mlrfnet_mm.evaluation.bootstrap_p`, one is added to numerator and denominator.

    Args:
        draws: (R, …) replicates of the difference; NaN is left out.
        margin: the largest difference that does not matter.
    """
    check_margin(margin)
    defined = (~np.isnan(draws)).sum(0)

    def p(beyond: np.ndarray) -> np.ndarray:
        return np.where(defined > 0, (beyond.sum(0) + 1) / (defined + 1), np.nan)

    ends = percentile_interval(draws, LEVEL)
    return MarginTest(ends, p(draws <= -margin), p(draws >= margin), margin)
