"""Means over several seeds or readers of a model, and the difference of two such means.

A claim about a method is one about other patients and other seeds. So the variance of a mean over S
seeds is that of the bootstrap over patients, seeds held fixed, plus s²/S with s the standard
deviation over the seeds. For a difference s is that of the seeds' paired differences, or, where the
seeds of the two models have nothing to do with each other, both models' s²/S are added. Intervals
and tests take Student's t with the degrees of freedom of Welch and Satterthwaite, S - 1 for a part
of S seeds (Satterthwaite, Biometrics Bulletin 2 (1946) 110-114, https://doi.org/10.2307/3002019).
Seeds are not drawn in the bootstrap: three drawn with replacement vary by a factor of √(2/3) too
little. A model of one file adds nothing: then the claim is about that file.
``benchmarks/coverage_seeds.py`` checks how often such intervals cover.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from mlrfnet_mm.evaluation.areas.bootstrap import bootstrap_p, percentile_interval
from mlrfnet_mm.evaluation.comparison.margin import LEVEL, MarginTest, check_margin, margin_test


@dataclass(frozen=True)
class TwoLevel:
    """A mean over seeds, or a difference of two, and what its error consists of.

    Attributes:
        mean: the estimate.
        draws: (R,) the same in each replicate of the bootstrap by patient, seeds held fixed.
        seeds: variance of the mean and degrees of freedom of each part that has several seeds.
    """

    mean: float
    draws: np.ndarray
    seeds: Sequence[tuple[float, int]]

    @property
    def error(self) -> float:
        """Standard error over patients and seeds; NaN where the estimate is."""
        if np.isnan(self.mean):
            return float('nan')
        return float((np.nanvar(self.draws, ddof=1) + sum(v for v, _ in self.seeds)) ** 0.5)

    @property
    def freedom(self) -> float:
        """Degrees of freedom: infinite for the patients, who are hundreds."""
        of_seeds = sum(variance**2 / freedom for variance, freedom in self.seeds)
        return self.error**4 / of_seeds if of_seeds > 0 else np.inf

    def interval(self, level: float = 0.95) -> np.ndarray:
        """(2,) ends; with one seed each, percentiles over patients.

        Without any variance both are 0 where the mean is, as of a model less itself, else NaN.
        """
        if not self.seeds:
            return percentile_interval(self.draws, level)
        if self.error == 0:
            return np.full(2, 0.0 if self.mean == 0 else np.nan)
        half = float(student.ppf((1 + level) / 2, self.freedom)) * self.error
        return self.mean + np.array([-half, half])

    def p(self) -> float:
        """Two-sided p-value that it is 0."""
        if not self.seeds:
            return float(bootstrap_p(self.draws))
        if self.error == 0:
            return 1.0 if self.mean == 0 else float('nan')
        return float(2 * student.sf(abs(self.mean) / self.error, self.freedom))

    def margin_test(self, margin: float) -> MarginTest:
        """Whether it is above -margin, and whether it is within ± margin."""
        check_margin(margin)
        if not self.seeds:
            return margin_test(self.draws, margin)
        if self.error == 0:
            return MarginTest(self.interval(LEVEL), np.array(np.nan), np.array(np.nan), margin)
        above, below = (
            student.sf((margin + sign * self.mean) / self.error, self.freedom) for sign in (1, -1)
        )
        return MarginTest(self.interval(LEVEL), np.asarray(above), np.asarray(below), margin)


def over_seeds(values: np.ndarray, draws: np.ndarray) -> TwoLevel:
    """A mean over seeds, of a model or of paired differences.

    Args:
        values: (S,) of each seed.
        draws: (S, R) the same in each replicate of the bootstrap by patient.
    """
    seeds = len(values)
    parts = [(float(values.var(ddof=1) / seeds), seeds - 1)] if seeds > 1 else []
    return TwoLevel(float(values.mean()), draws.mean(0), parts)


def difference_over_seeds(
    values: tuple[np.ndarray, np.ndarray],
    draws: tuple[np.ndarray, np.ndarray],
    paired: bool = False,
) -> TwoLevel:
    """First less second model, each with seeds of its own.

    Args:
        values: (S,) and (T,) of the seeds of either.
        draws: (S, R) and (T, R) the same in each replicate; both models on the same patients.
        paired: the i-th of one belongs to the i-th of the other, as for readers who used both.
    """
    if paired:
        if len(values[0]) != len(values[1]):
            raise ValueError(
                f'paired models need as many files each, got {len(values[0])} and {len(values[1])}'
            )
        return over_seeds(values[0] - values[1], draws[0] - draws[1])
    a, b = (over_seeds(v, d) for v, d in zip(values, draws, strict=True))
    return TwoLevel(a.mean - b.mean, a.draws - b.draws, [*a.seeds, *b.seeds])
