"""Coverage of the 95 % intervals that are printed and errors of the tests, by simulation.

``python benchmarks/coverage.py``

Each simulated test set has three findings and three models: one of AUC 0.76 (normal scores, shifted
by 1 where the finding is), one that is as good, and one that is worse by ``MARGIN``. Half of the
scores' variance is common to the models, half of that to the findings too. Patients have one image
or 1 to 10, whose scores have the given intraclass correlation (ICC). A finding is in all images of
its patients (``patient``) or in each of them with probability 1/2 (``image``). Printed are the
shares of the sets in which an interval holds the true value of the population (those without an
interval count as misses), and in which a test of a true hypothesis gives p < 0.05.

A new interval is one function and its line in ``INTERVALS``: a set → low, high, truth. A new test
is a line in ``ERRORS``: a set → the p-value of a hypothesis that is true.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.stats import norm

from mlrfnet_mm.evaluation import (
    OperatingPoints,
    Predictions,
    bootstrap_areas,
    bootstrap_p,
    delong_interval,
    delong_test,
    mean_over_classes,
    operating_points,
    percentile_interval,
)
from mlrfnet_mm.evaluation.comparison.margin import margin_test
from mlrfnet_mm.evaluation.comparison.mcnemar import (
    RATES,
    PairedRates,
    clustered_mcnemar,
    paired_rates,
)
from mlrfnet_mm.evaluation.thresholds.choose import METRICS

SHIFT, MARGIN, FINDINGS = 1.0, 0.02, 3
TRUE_AUC = float(norm.cdf(SHIFT / 2**0.5))
WORSE = float(2**0.5 * norm.ppf(TRUE_AUC - MARGIN))  # shift of the third model
THRESHOLD = 0.5  # sensitivity and specificity are both Φ(0.5) = 0.69


@dataclass(frozen=True)
class Sample:
    """A simulated test set; what several intervals need is computed once.

    Attributes:
        scores: (3, N, K) of the model, of one as good, and of one worse.
        labels: (N, K).
        patients: (N,).
        prevalence: share of positive images in the population.
        replicates: of the bootstrap.
        number: seed of the bootstrap.
    """

    scores: np.ndarray
    labels: np.ndarray
    patients: np.ndarray
    prevalence: float
    replicates: int
    number: int

    @cached_property
    def areas(self) -> tuple[np.ndarray, np.ndarray]:
        """Replicates (R, K) of AUC and of average precision, of the model."""
        parts = self.labels, self.patients, self.replicates, self.number
        return bootstrap_areas(self.scores[0], *parts)

    @cached_property
    def others(self) -> np.ndarray:
        """Replicates (R, 2) of the AUC of the first finding, of the models that are compared."""
        scores, labels = self.scores[1:, :, 0].T, self.labels[:, [0, 0]]
        return bootstrap_areas(scores, labels, self.patients, self.replicates, self.number)[0]

    def predictions(self, model: int) -> Predictions:
        """As a file holds them."""
        names = np.array([f'{i}' for i in range(len(self.labels))])
        classes = np.array([f'finding {k}' for k in range(self.labels.shape[1])])
        parts = self.labels, names, self.patients, classes
        return Predictions(self.scores[model], *parts, 'simulated all/test')

    def validation(self) -> Predictions:
        """Two images that make ``THRESHOLD`` the threshold of every finding."""
        two = np.ones((2, self.labels.shape[1])) * [[THRESHOLD], [THRESHOLD - 1]]
        labels, names = (two == THRESHOLD).astype(float), np.array(['a', 'b'])
        classes = self.predictions(0).classes
        return Predictions(two, labels, names, names, classes, 'simulated all/val')

    @cached_property
    def rates(self) -> PairedRates:
        """The first model against the worse one, both called at ``THRESHOLD``."""
        called = self.scores[0] >= THRESHOLD, self.scores[2] >= THRESHOLD
        rest = self.labels, self.patients, None, self.replicates, self.number
        return paired_rates(called, *rest)

    @cached_property
    def points(self) -> OperatingPoints:
        """Metrics of the first model at ``THRESHOLD``."""
        test, val = self.predictions(0), self.validation()
        return operating_points(test, val, replicates=self.replicates, seed=self.number)


def draw(
    rng: np.random.Generator,
    patients: int,
    positives: int,
    icc: float,
    several: bool,
    of_images: bool,
    replicates: int,
    drawn: bool = False,
) -> Sample:
    """Simulate a set of which each finding has ``positives`` positive patients.

    If ``drawn``, each patient is positive with their share as probability.
    """
    count = rng.integers(1, 11, patients) if several else np.ones(patients, int)
    index = np.repeat(np.arange(patients), count)

    def noise(models: int, findings: int) -> np.ndarray:
        """(models, N, findings) of variance 1 and the given correlation within a patient."""
        of_patients = rng.standard_normal((models, patients, findings))[:, index]
        own = rng.standard_normal((models, len(index), findings))
        return icc**0.5 * of_patients + (1 - icc) ** 0.5 * own

    scores = (noise(1, 1) / 2 + noise(1, FINDINGS) / 2) + noise(3, FINDINGS) / 2**0.5
    share = positives / patients
    counts = [rng.binomial(patients, share) if drawn else positives for _ in range(FINDINGS)]
    chosen = [rng.permutation(patients)[:count] for count in counts]
    labels = np.stack([np.isin(index, some) for some in chosen], 1).astype(float)
    if of_images:
        labels *= rng.random(labels.shape) < 0.5
    scores += np.array([SHIFT, SHIFT, WORSE])[:, None, None] * labels
    prevalence = positives / patients * (0.5 if of_images else 1)
    return Sample(scores, labels, index, prevalence, replicates, int(rng.integers(2**31)))


Ends = tuple[float, float, float]  # low, high, truth


def auc_by_delong(sample: Sample, by_patient: bool) -> Ends:
    """With images as independent, or by patient."""
    patients = sample.patients if by_patient else None
    low, high = delong_interval(sample.scores[0, :, :1], sample.labels[:, :1], patients)[:, 0]
    return low, high, TRUE_AUC


def auc_by_bootstrap(sample: Sample) -> Ends:
    """Percentiles."""
    low, high = percentile_interval(sample.areas[0])[:, 0]
    return low, high, TRUE_AUC


def average_precision(sample: Sample) -> Ends:
    """The truth is the area below the population's curve."""
    t = np.linspace(-8, 9, 20_001)
    recall, called = norm.sf(t - SHIFT), sample.prevalence * norm.sf(t - SHIFT)
    precision = called / (called + (1 - sample.prevalence) * norm.sf(t))
    low, high = percentile_interval(sample.areas[1])[:, 0]
    return low, high, float(-np.trapezoid(precision, recall))


def mean_auc(sample: Sample) -> Ends:
    """All findings have the same AUC."""
    low, high = percentile_interval(mean_over_classes(sample.areas[0]))
    return low, high, TRUE_AUC


def true_metrics(prevalence: float) -> dict[str, float]:
    """Of the population at ``THRESHOLD``, in the order of ``METRICS``."""
    sensitivity, specificity = norm.sf(THRESHOLD - SHIFT), norm.cdf(THRESHOLD)
    tp, fp = prevalence * sensitivity, (1 - prevalence) * (1 - specificity)
    fn, tn = prevalence - tp, 1 - prevalence - fp
    f1 = 2 * tp / (2 * tp + fp + fn)
    values = tp + tn, sensitivity, specificity, f1, tp / (tp + fp), tn / (tn + fn)
    return dict(zip(METRICS, map(float, values), strict=True))


def at_threshold(sample: Sample, metric: str) -> Ends:
    """Of the first finding."""
    low, high = sample.points.intervals[:, 0, METRICS.index(metric)]
    return low, high, true_metrics(sample.prevalence)[metric]


def macro_average(sample: Sample, metric: str) -> Ends:
    """All findings have the same."""
    low, high = sample.points.macro_interval[:, METRICS.index(metric)]
    return low, high, true_metrics(sample.prevalence)[metric]


def auc_difference(sample: Sample) -> Ends:
    """The model less the worse one."""
    low, high = percentile_interval(sample.areas[0][:, 0] - sample.others[:, 1])
    return low, high, MARGIN


def one_sided_bound(sample: Sample) -> Ends:
    """The 95 % lower bound that non-inferiority is judged by, of the worse model less the other."""
    gaps = sample.others[:, 1] - sample.areas[0][:, 0]
    return float(margin_test(gaps, MARGIN).ends[0]), np.inf, -MARGIN


def rate_difference(sample: Sample, rate: str) -> Ends:
    """Of the first finding; the worse model's negatives are as those of the other."""
    low, high = sample.rates.intervals[:, 0, RATES.index(rate)]
    return low, high, TRUE_GAPS[rate]


def mean_rate_difference(sample: Sample, rate: str) -> Ends:
    """Over the findings, all of the same difference."""
    low, high = sample.rates.mean_interval[:, RATES.index(rate)]
    return low, high, TRUE_GAPS[rate]


TRUE_GAPS = dict(
    sensitivity=float(norm.cdf(SHIFT - THRESHOLD) - norm.cdf(WORSE - THRESHOLD)), specificity=0.0
)

INTERVALS: dict[str, Callable[[Sample], Ends]] = {
    'AUC, plain DeLong': partial(auc_by_delong, by_patient=False),
    'AUC, DeLong by patient': partial(auc_by_delong, by_patient=True),
    'AUC, bootstrap': auc_by_bootstrap,
    'average precision': average_precision,
    'mean AUC of three findings': mean_auc,
    **{metric: partial(at_threshold, metric=metric) for metric in METRICS},
    'macro sensitivity': partial(macro_average, metric='sensitivity'),
    'macro specificity': partial(macro_average, metric='specificity'),
    'macro precision': partial(macro_average, metric='precision'),
    'AUC difference': auc_difference,
    'AUC difference, one-sided bound': one_sided_bound,
    'sensitivity difference': partial(rate_difference, rate='sensitivity'),
    'specificity difference': partial(rate_difference, rate='specificity'),
    'mean sensitivity difference': partial(mean_rate_difference, rate='sensitivity'),
}


def delong_p(sample: Sample, by_patient: bool) -> float:
    """The model and one as good, by DeLong."""
    patients = sample.patients if by_patient else None
    first, second = sample.scores[:2, :, :1]
    return float(delong_test(first, second, sample.labels[:, :1], patients)[0])


def difference_p(sample: Sample) -> float:
    """The model and one as good, by bootstrap."""
    return float(bootstrap_p(sample.areas[0][:, 0] - sample.others[:, 0]))


def mcnemar_p(sample: Sample, value: int, by_patient: bool) -> float:
    """The model and one as good, among the images of a label."""
    calls = sample.scores[:2, :, 0] >= THRESHOLD
    rows = sample.labels[:, 0] == value
    gaps = calls[0, rows].astype(int) - calls[1, rows]
    if by_patient:
        gaps = np.bincount(sample.patients[rows], gaps).astype(int)
    return clustered_mcnemar(gaps)


def margin_p(sample: Sample, both_sides: bool) -> float:
    """The worse model is worse by just the margin: it is neither non-inferior nor equivalent."""
    test = margin_test(sample.others[:, 1] - sample.areas[0][:, 0], MARGIN)
    return float(test.p_inside if both_sides else test.p_above)


ERRORS: dict[str, Callable[[Sample], float]] = {
    'AUC difference, plain DeLong': partial(delong_p, by_patient=False),
    'AUC difference, DeLong by patient': partial(delong_p, by_patient=True),
    'AUC difference, bootstrap': difference_p,
    'sensitivity, plain McNemar': partial(mcnemar_p, value=1, by_patient=False),
    'sensitivity, McNemar by patient': partial(mcnemar_p, value=1, by_patient=True),
    'specificity, plain McNemar': partial(mcnemar_p, value=0, by_patient=False),
    'specificity, McNemar by patient': partial(mcnemar_p, value=0, by_patient=True),
    'non-inferiority, at the margin': partial(margin_p, both_sides=False),
    'equivalence, at the margin': partial(margin_p, both_sides=True),
}


def shares(
    sets: int,
    replicates: int,
    drawn: bool,
    names: Sequence[str],
    setting: tuple[int, int, float, bool, bool],
) -> list[float]:
    """Coverage of the intervals and errors of the tests that are named."""
    rng = np.random.default_rng([int(10 * value) for value in setting])
    hits: list[list[bool]] = []
    for _ in range(sets):
        sample = draw(rng, *setting, replicates, drawn)
        ends = [interval(sample) for name, interval in INTERVALS.items() if name in names]
        ps = [error(sample) for name, error in ERRORS.items() if name in names]
        hits.append([low <= truth <= high for low, high, truth in ends] + [p < 0.05 for p in ps])
    return np.mean(hits, 0).tolist()


def main() -> None:
    """Simulate and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--sets', type=int, default=500, help='simulated test sets per column')
    parser.add_argument('--replicates', type=int, default=400, help='of the bootstrap')
    parser.add_argument('--workers', type=int, default=1, help='processes that work side by side')
    parser.add_argument('--table', choices=['few', 'clusters'], help='one of the two alone')
    parser.add_argument('--drawn', action='store_true', help='the number of positives is drawn too')
    parser.add_argument('--only', nargs='+', metavar='NAME', help='some intervals or tests alone')
    args = parser.parse_args()
    names = args.only or [*INTERVALS, *ERRORS]
    if lost := set(names) - {*INTERVALS, *ERRORS}:
        parser.error(f'no interval or test is called {", ".join(sorted(lost))}')
    few = {f'{m}': (300, m, 0.0, False, False) for m in (1, 2, 3, 5, 8, 10, 15, 20, 50)}
    clusters = {
        f'{of}, {icc:g}': (300, 60, icc, True, of == 'image')
        for of in ('patient', 'image')
        for icc in (0.0, 0.3, 0.7)
    }
    for table, settings, title in (
        ('few', few, '300 patients with one image each, by the number of positive patients'),
        ('clusters', clusters, '300 patients with 1 to 10 images, 60 positive: labels of, ICC'),
    ):
        if args.table in (None, table):
            print(f'\n{title}: {args.sets} sets, {args.replicates} replicates', flush=True)
            one = partial(shares, args.sets, args.replicates, args.drawn, names)
            with ProcessPoolExecutor(args.workers) as pool:
                columns = list(pool.map(one, settings.values()))
            print(f'| | {" | ".join(settings)} |')
            print('|---' * (len(settings) + 1) + '|')
            rows = [f'covers: {name}' for name in INTERVALS if name in names]
            rows += [f'errs: {name}' for name in ERRORS if name in names]
            for name, values in zip(rows, zip(*columns, strict=True), strict=True):
                print(f'| {name} | {" | ".join(f"{v:.3f}" for v in values)} |')


if __name__ == '__main__':
    main()
