"""Coverage of the 95 % intervals for clinical use and of two references, by simulation.

``python benchmarks/coverage_clinical.py``

Test sets as in ``coverage.py``, of one finding, but the number of positive patients is drawn, as it
is where patients are: what depends on the prevalence has that doubt, too. Probabilities are the
true ones. The second reference differs from the labels in a tenth of the patients, in all of their
images (``patient``), or in a tenth of the images (``image``), as the labels do. Printed are the
shares of the sets with an interval whose interval holds the true value of the population.

A new interval is one function and its line in ``INTERVALS``: a set → low, high, truth.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from coverage import SHIFT, THRESHOLD, TRUE_AUC, Ends, Sample, draw
from scipy.special import expit, logit
from scipy.stats import norm

from mlrfnet_mm.evaluation import bootstrap_auc, percentile_interval
from mlrfnet_mm.evaluation.areas.curve import curve_statistics
from mlrfnet_mm.evaluation.areas.partial_auc import partial_auc
from mlrfnet_mm.evaluation.calibration.slope import CalibrationSlope, calibration_slope
from mlrfnet_mm.evaluation.groups.agreement import (
    MEASURES,
    Agreement,
    label_agreement,
    measures,
)
from mlrfnet_mm.evaluation.thresholds.fixed_rates import sensitivity_at, specificity_at
from mlrfnet_mm.evaluation.thresholds.net_benefit import DecisionCurves, decision_curves
from mlrfnet_mm.evaluation.thresholds.predictive_values import (
    PredictiveValues,
    predictive_points,
    predictive_values,
)

RATE, FALSE_POSITIVES, ELSEWHERE, FLIPPED = 0.9, 0.1, 0.02, 0.1
CALLED = 0.15  # threshold probability of net benefit


@dataclass(frozen=True)
class ClinicalSample:
    """A simulated test set with true probabilities and a second reference."""

    base: Sample
    scores: np.ndarray  # (N, 1)
    labels: np.ndarray  # (N, 1)
    reference: np.ndarray  # (N, 1)

    @property
    def options(self) -> tuple[np.ndarray, int, int]:
        """Patients, replicates, seed."""
        return self.base.patients, self.base.replicates, self.base.number

    @cached_property
    def p(self) -> np.ndarray:
        """P(y = 1) of each score: the logit of the prevalence and the log of the density ratio."""
        return expit(logit(self.base.prevalence) + SHIFT * self.scores - SHIFT**2 / 2)

    @cached_property
    def rates(self) -> np.ndarray:
        """(2, 3) intervals of sensitivity and specificity at ``RATE``, and of the partial AUC."""
        statistics = [sensitivity_at(RATE), specificity_at(RATE), partial_auc(FALSE_POSITIVES)]
        _, draws = curve_statistics(
            self.scores, self.labels, self.options[0], statistics, *self.options[1:]
        )
        return percentile_interval(draws[..., 0].T)

    @cached_property
    def points(self) -> PredictiveValues:
        """At ``THRESHOLD``, at a prevalence of ``ELSEWHERE``."""
        test = self.base.predictions(0)
        return predictive_points(test, np.full(3, THRESHOLD), ELSEWHERE, *self.options[1:])

    @cached_property
    def slope(self) -> CalibrationSlope:
        """Of the true probabilities: 1, 0 and 0."""
        return calibration_slope(self.p, self.labels, self.options[0])

    @cached_property
    def curves(self) -> DecisionCurves:
        """At ``CALLED`` and at the prevalence, in rising order."""
        at = tuple(sorted((CALLED, self.base.prevalence)))
        return decision_curves(self.p, self.labels, self.options[0], at, *self.options[1:])

    @cached_property
    def agreement(self) -> Agreement:
        """Of the labels with the reference."""
        return label_agreement(self.labels, self.reference, *self.options)

    @property
    def shares(self) -> np.ndarray:
        """Of the population: both sources, the labels alone, the reference alone, neither."""
        one = self.base.prevalence
        same, other = 1 - FLIPPED, FLIPPED
        return np.array([one * same, one * other, (1 - one) * other, (1 - one) * same])


def rate(sample: ClinicalSample, which: int) -> Ends:
    """By the curve of two normal distributions."""
    f = np.linspace(1e-9, FALSE_POSITIVES, 20_001)
    area, least = np.trapezoid(norm.sf(norm.isf(f) - SHIFT), f), FALSE_POSITIVES**2 / 2
    truth = (
        norm.sf(norm.ppf(RATE) - SHIFT),
        norm.cdf(norm.ppf(1 - RATE) + SHIFT),
        (1 + (area - least) / (FALSE_POSITIVES - least)) / 2,
    )
    low, high = sample.rates[:, which]
    return low, high, float(truth[which])


def predictive(sample: ClinicalSample, which: int) -> Ends:
    """PPV or NPV."""
    rates = norm.sf(THRESHOLD - SHIFT), norm.cdf(THRESHOLD)
    truth = predictive_values(np.array(rates[0]), np.array(rates[1]), ELSEWHERE)
    low, high = sample.points.intervals[:, 2 + which, 0]
    return low, high, float(truth[which])


def calibration(sample: ClinicalSample, which: int) -> Ends:
    """Slope, intercept, in the large."""
    low, high = sample.slope.intervals[:, which, 0]
    return low, high, (1.0, 0.0, 0.0)[which]


def benefit(sample: ClinicalSample, gain: bool, at_prevalence: bool = False) -> Ends:
    """Net benefit, or its gain over all or none, which are equal where t is the prevalence."""
    one = sample.base.prevalence
    t = one if at_prevalence else CALLED
    score, odds = (logit(t) - logit(one) + SHIFT**2 / 2) / SHIFT, t / (1 - t)
    truth = one * norm.sf(score - SHIFT) - (1 - one) * norm.sf(score) * odds
    truth -= max(one - (1 - one) * odds, 0) if gain else 0
    row = sample.curves.thresholds.tolist().index(t)
    low, high = (sample.curves.gain_ends if gain else sample.curves.model_ends)[:, row, 0]
    return low, high, float(truth)


def agreement(sample: ClinicalSample, measure: str, wilson: bool = False) -> Ends:
    """Of the labels with the reference; none by Wilson where there is none by patient."""
    which = MEASURES.index(measure)
    found = sample.agreement
    low, high = (found.wilson if wilson else found.by_patient)[:, 0, which]
    if np.isnan(found.by_patient[:, 0, which]).any():
        low = np.nan
    return low, high, float(measures(sample.shares)[which])


def difference(sample: ClinicalSample) -> Ends:
    """AUC by the reference less that by the labels."""
    patients, replicates, number = sample.options
    draws = [
        bootstrap_auc(sample.scores, y, patients, replicates, number)
        for y in (sample.reference, sample.labels)
    ]
    both, labels, reference, neither = sample.shares
    a, b = both / (both + reference), labels / (labels + neither)  # share of finding in each
    even = (a * b + (1 - a) * (1 - b)) / 2
    auc = a * (1 - b) * TRUE_AUC + even + (1 - a) * b * (1 - TRUE_AUC)
    low, high = percentile_interval(draws[0] - draws[1])[:, 0]
    few = np.isnan(sample.agreement.by_patient[0, 0, 2])
    return (np.nan if few else low), high, auc - TRUE_AUC


INTERVALS: dict[str, Callable[[ClinicalSample], Ends]] = {
    'sensitivity at specificity 0.9': partial(rate, which=0),
    'specificity at sensitivity 0.9': partial(rate, which=1),
    'partial AUC': partial(rate, which=2),
    'PPV at a prevalence of 0.02': partial(predictive, which=0),
    'NPV at a prevalence of 0.02': partial(predictive, which=1),
    'calibration slope': partial(calibration, which=0),
    'calibration intercept': partial(calibration, which=1),
    'calibration in the large': partial(calibration, which=2),
    'net benefit at 0.15': partial(benefit, gain=False),
    'its gain over all or none': partial(benefit, gain=True),
    'the gain, t the prevalence': partial(benefit, gain=True, at_prevalence=True),
    "labels' sensitivity, Wilson": partial(agreement, measure='sensitivity', wilson=True),
    "labels' sensitivity, by patient": partial(agreement, measure='sensitivity'),
    "labels' PPV, Wilson": partial(agreement, measure='PPV', wilson=True),
    "labels' PPV, by patient": partial(agreement, measure='PPV'),
    'kappa': partial(agreement, measure='kappa'),
    'AUC difference of two references': difference,
}


def sample_of(
    rng: np.random.Generator, setting: tuple[int, int, float, bool, bool], replicates: int
) -> ClinicalSample:
    """Draw the number of positive patients, then a set, then the second reference."""
    patients, expected, icc, several, of_images = setting
    positives = int(rng.binomial(patients, expected / patients))
    base = draw(rng, patients, positives, icc, several, of_images, replicates)
    share = expected / patients * (0.5 if of_images else 1)
    base = Sample(base.scores, base.labels, base.patients, share, replicates, base.number)
    flips = rng.random(len(base.patients) if of_images else patients) < FLIPPED
    flips = flips if of_images else flips[base.patients]
    labels = base.labels[:, [0]]
    return ClinicalSample(base, base.scores[0, :, [0]].T, labels, np.abs(labels - flips[:, None]))


def shares(sets: int, replicates: int, setting: tuple[int, int, float, bool, bool]) -> list[float]:
    """Coverage of every interval in the sets that have it; NaN if none has."""
    rng = np.random.default_rng([int(10 * value) for value in setting])
    hits = np.full((sets, len(INTERVALS)), np.nan)
    for i in range(sets):
        sample = sample_of(rng, setting, replicates)
        for j, interval in enumerate(INTERVALS.values()):
            low, high, truth = interval(sample)
            if not np.isnan(low + high):
                hits[i, j] = low <= truth <= high
    given = (~np.isnan(hits)).sum(0)
    return (np.nansum(hits, 0) / np.where(given, given, np.nan)).tolist()


def main() -> None:
    """Simulate and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--sets', type=int, default=500, help='simulated test sets per column')
    parser.add_argument('--replicates', type=int, default=400, help='of the bootstrap')
    args = parser.parse_args()
    few = {f'{m}': (300, m, 0.0, False, False) for m in (15, 20, 30, 60)}
    clusters = {
        f'{of}, {icc:g}': (300, 60, icc, True, of == 'image')
        for of in ('patient', 'image')
        for icc in (0.0, 0.3, 0.7)
    }
    for settings, title in (
        (few, '300 patients with one image each, by how many are expected to be positive'),
        (clusters, '300 patients with 1 to 10 images, 60 expected positive: labels of, ICC'),
    ):
        print(f'\n{title}: {args.sets} sets, {args.replicates} replicates')
        columns = [shares(args.sets, args.replicates, one) for one in settings.values()]
        print(f'| | {" | ".join(settings)} |')
        print('|---' * (len(settings) + 1) + '|')
        for name, values in zip(INTERVALS, zip(*columns, strict=True), strict=True):
            print(f'| {name} | {" | ".join(f"{v:.3f}" for v in values)} |', flush=True)


if __name__ == '__main__':
    main()
