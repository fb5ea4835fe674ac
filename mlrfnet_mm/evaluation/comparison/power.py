"""The smallest difference of two AUCs that a test set can show, by simulation.

The simulated test sets keep the real one's labels, unknown ones too, and its patients. Scores are
drawn from normal noise, that of images without a finding as it is, that of images with it changed
to the distribution which the given scores of positives have on this scale (the binormal model,
without asking that positives be normal): the ROC curve is the given one. The noise is that of the
given scores: their normal scores (Φ⁻¹ of the rank among images of the same label) have a covariance
over findings within an image, and one between two images of a patient; the latter is the covariance
of patients' effects, the rest that of images. A second model has the same, its noise is correlated
with the first's, per finding, and its positives are shifted so that its AUC is higher by a
difference d. Both are drawn again in every run, and compared as real ones are: per finding by the
clustered test of :mod:`mlrfnet_mm.evaluation.areas.delong`, for the mean by the same patients'
influences averaged over the findings.

The smallest d is that at which 80 % of the runs have (AUC_b - AUC_a) / error > 1.96. A run's AUC
moves with d, its error hardly: so d - q is the answer, with q the 20 % quantile over the runs of
difference - 1.96 · error; a first round at d = 0 gives the d of the second. With R runs it is known
to about 0.5 / √R of itself (standard error).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm, rankdata

from mlrfnet_mm.evaluation.areas.auc import mean_defined, roc_auc
from mlrfnet_mm.evaluation.areas.bootstrap import too_few_patients

POWER, LEVEL = 0.8, 0.05
ASSUMED = 0.5  # correlation of two models' scores where the second is not known
HIGHEST = 0.9995  # AUC of a second model; there is no room above
MOST_RUNS, LEAST_RUNS, PILOT = 400, 60, 40
BUDGET = 20_000_000  # images × findings × runs


@dataclass(frozen=True)
class SmallestDifference:
    """What a comparison on these images can show with 80 % power.

    Attributes:
        findings: (K,) at p < 0.05; NaN with few patients, and where the second AUC would be above
            ``HIGHEST``.
        corrected: (K,) the same at 0.05 / K, Holm's first step over the K that are tested.
        mean: of the mean AUC, all findings better by the same.
        correlation: (K,) of the two models' scores.
        within_patient: (K,) of two images of a patient; 0 where no patient has two.
        runs: simulated test sets.
    """

    findings: np.ndarray
    corrected: np.ndarray
    mean: float
    correlation: np.ndarray
    within_patient: np.ndarray
    runs: int


def normal_scores(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) normal quantiles of the ranks among images of the same label; 0 where unknown."""
    noise = np.zeros(scores.shape)
    for k in range(scores.shape[1]):
        for value in (0, 1):
            rows = labels[:, k] == value
            noise[rows, k] = norm.ppf((rankdata(scores[rows, k]) - 0.5) / max(rows.sum(), 1))
    return noise


def noise_covariances(
    noise: np.ndarray, known: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(K, K) of patients' effects and of images; their sum has ones on its diagonal.

    Args:
        noise: (N, K), 0 where unknown.
        known: (N, K) bool.
        index: (N,) number of each image's patient.
    """
    seen = known.astype(float)
    total = noise.T @ noise / np.maximum(seen.T @ seen, 1)

    def between(values: np.ndarray) -> np.ndarray:
        sums = np.zeros((index.max() + 1, values.shape[1]))
        np.add.at(sums, index, values)
        return sums.T @ sums - values.T @ values  # over pairs of images of a patient

    of_patients = between(noise) / np.maximum(between(seen), 1)
    scale = np.sqrt(np.maximum(np.diag(total), 1e-12))
    of_patients, total = (part / np.outer(scale, scale) for part in (of_patients, total))
    of_patients = _no_negative(of_patients)
    of_images = _no_negative(total - of_patients)
    size = np.sqrt(np.diag(of_patients + of_images).clip(1e-12))
    return of_patients / np.outer(size, size), of_images / np.outer(size, size)


def _no_negative(matrix: np.ndarray) -> np.ndarray:
    """The nearest symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * values.clip(0)) @ vectors.T


def _root(matrix: np.ndarray) -> np.ndarray:
    """(K, K) whose product with its transpose is the matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(0))


def positive_quantiles(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(m,) where a finding's positives lie if its negatives are standard normal, ascending."""
    positives, negatives = (np.sort(scores[labels == value]) for value in (1, 0))
    ranks: np.ndarray = np.searchsorted(negatives, positives)
    ranks = ranks + np.searchsorted(negatives, positives, 'right')
    return np.asarray(norm.ppf((ranks / 2 + 0.5) / (len(negatives) + 1)))


def area_and_influences(
    positives: np.ndarray, negatives: np.ndarray, owners: Sequence[np.ndarray], patients: int
) -> tuple[float, np.ndarray]:
    """AUC of a finding, and the influence (P,) of each patient; their squares sum to its variance.

    Args:
        positives: (m,) scores; none is tied with a negative.
        negatives: (n,), ascending.
        owners: (m,) and (n,) numbers of the patients.
        patients: P, how many there are in all.
    """
    m, n = len(positives), len(negatives)
    places: np.ndarray = np.searchsorted(negatives, positives)
    above = places / n  # (m,)
    below = 1 - np.bincount(places, minlength=n + 1).cumsum()[:n] / m  # (n,)
    auc = float(above.mean())
    influences = np.zeros(patients)
    for values, owner in zip((above, below), owners, strict=True):
        sums = np.bincount(owner, values - auc, patients) / len(owner)
        several = max(int(np.count_nonzero(np.bincount(owner))), 2)
        influences += sums * (several / (several - 1)) ** 0.5
    return auc, influences


class _Finding:
    """Scores of one finding out of normal noise.

    Args:
        scores: (N,) of the first model.
        labels: (N,).
        index: (N,) number of each image's patient.
    """

    def __init__(self, scores: np.ndarray, labels: np.ndarray, index: np.ndarray) -> None:
        self.rows = [np.flatnonzero(labels == value) for value in (1, 0)]
        self.owners = [index[rows] for rows in self.rows]
        self.patients = int(index.max()) + 1
        self.quantiles = positive_quantiles(scores, labels)
        self.places = (np.arange(len(self.quantiles)) + 0.5) / len(self.quantiles)

    def auc(self, shift: float = 0.0) -> float:
        """Of the population, with the positives' scores shifted."""
        return float(ndtr(self.quantiles + shift).mean())

    def shift(self, difference: float) -> float:
        """That makes the AUC higher by the difference, or ``HIGHEST`` if that is less."""
        target = self.auc() + difference
        if target >= HIGHEST:
            target = max(HIGHEST, self.auc())
        return float(brentq(lambda shift: self.auc(shift) - target, -20, 20))

    def compare(self, a: np.ndarray, b: np.ndarray, shifts: Sequence[float]) -> list[np.ndarray]:
        """Difference of the AUCs, then the patients' influences on it (1 + P,), for each shift."""
        values = []
        for noise, own in ((a, [0.0]), (b, shifts)):
            drawn = np.interp(ndtr(noise[self.rows[0]]), self.places, self.quantiles)
            order = np.argsort(noise[self.rows[1]])
            owners = self.owners[0], self.owners[1][order]
            rest = noise[self.rows[1]][order], owners, self.patients
            values.append([np.append(*area_and_influences(drawn + s, *rest)) for s in own])
        return [second - values[0][0] for second in values[1]]


@dataclass(frozen=True)
class _Source:
    """What scores are drawn from.

    Attributes:
        findings: K of them.
        index: (N,) number of each image's patient.
        roots: (K, K) of the covariances of patients and of images.
        correlation: (K,) of the two models.
        counted: (K,) bool, findings of the mean.
    """

    findings: Sequence[_Finding]
    index: np.ndarray
    roots: Sequence[np.ndarray]
    correlation: np.ndarray
    counted: np.ndarray

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """(N, K)."""
        sizes = int(self.index.max()) + 1, len(self.index)
        of_patients, own = (
            rng.standard_normal((size, len(root)), np.float32) @ root.T
            for size, root in zip(sizes, self.roots, strict=True)
        )
        return np.asarray(of_patients[self.index] + own)

    def compare(
        self, rng: np.random.Generator, runs: int, shifts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Differences (runs, K + 1) and their errors, of every finding and of the mean.

        Args:
            rng: random numbers.
            runs: simulated test sets.
            shifts: (K, 2) of the second model's positives, for the findings and for the mean.
        """
        gaps, errors = np.empty((2, runs, len(self.findings) + 1))
        for run in range(runs):
            common = np.sqrt(self.correlation) * self.noise(rng)
            a, b = (common + np.sqrt(1 - self.correlation) * self.noise(rng) for _ in range(2))
            pairs = [
                finding.compare(a[:, k], b[:, k], shifts[k])
                for k, finding in enumerate(self.findings)
            ]
            together = [pair[1] for pair, kept in zip(pairs, self.counted, strict=True) if kept]
            mean = np.mean(together, 0) if together else np.full_like(pairs[0][1], np.nan)
            all_of_them = np.stack([*(pair[0] for pair in pairs), mean])
            gaps[run], errors[run] = all_of_them[:, 0], np.linalg.norm(all_of_them[:, 1:], axis=1)
        return gaps, errors


def smallest_differences(
    scores: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    in_mean: np.ndarray | None = None,
    other: np.ndarray | None = None,
    seed: int = 0,
) -> SmallestDifference:
    """Simulate; see the module.

    Args:
        scores: (N, K) of a model.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        patients: (N,).
        in_mean: (K,) bool, the classes of the mean; ``None`` for all.
        other: (N, K) scores of a second model, for the correlation with the first; without them it
            is taken as ``ASSUMED``.
        seed: of the simulation.

    Raises:
        ValueError: no class has an AUC.
    """
    aucs = roc_auc(scores, labels)
    used = np.flatnonzero(~np.isnan(aucs))
    if not len(used):
        raise ValueError('no finding has both positive and negative labels: nothing to simulate')
    labels, index = labels[:, used], np.unique(patients, return_inverse=True)[1]
    noise = normal_scores(scores[:, used], labels)
    correlation = np.full(len(used), ASSUMED)
    if other is not None:
        second = normal_scores(other[:, used], labels)
        size = np.sqrt((noise**2).sum(0) * (second**2).sum(0)).clip(1e-12)
        correlation = ((noise * second).sum(0) / size).clip(0, 0.99)
    covariances = noise_covariances(noise, ~np.isnan(labels), index)
    counted = np.ones(len(used), bool) if in_mean is None else in_mean[used]
    findings = [_Finding(*columns, index) for columns in zip(scores.T[used], labels.T, strict=True)]
    roots = [_root(part) for part in covariances]
    source = _Source(findings, index, roots, correlation, counted)
    few = too_few_patients(labels, patients)
    cuts = norm.isf(LEVEL / 2), norm.isf(LEVEL / 2 / max((~few).sum(), 1))
    first = np.array([finding.auc() for finding in findings])
    found = np.zeros((2, len(used) + 1))  # differences, of the findings and of the mean
    rng = np.random.default_rng(seed)
    runs = int(np.clip(BUDGET // labels.size, LEAST_RUNS, MOST_RUNS))
    for number in (PILOT, runs):
        shifts = np.array(
            [
                [finding.shift(d) for d in (single, np.nan_to_num(found[0, -1]))]
                for finding, single in zip(findings, found[0], strict=False)
            ]
        )
        gaps, errors = source.compare(rng, number, shifts)
        higher = [[f.auc(s) for s in own] for f, own in zip(findings, shifts, strict=True)]
        true = np.array(higher).T - first  # (2, K)
        true = np.append(true[0], mean_defined(true[1, counted]))
        missing = [np.quantile(gaps - cut * errors, 1 - POWER, axis=0) for cut in cuts]
        found = true - np.stack(missing)
    results = np.full((4, len(aucs)), np.nan)
    results[:2, used] = np.where(few | (first + found[:, :-1] > HIGHEST), np.nan, found[:, :-1])
    results[2:, used] = correlation, np.diag(covariances[0])
    single, corrected, correlation, within = results
    mean = float(found[0, -1])
    return SmallestDifference(single, corrected, mean, correlation, within, runs)
