"""Thresholds chosen on validation, and what they give on test (MLRFNet, Table 7)."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from mlrfnet_mm.evaluation.areas.auc import mean_defined, roc_auc
from mlrfnet_mm.evaluation.areas.bootstrap import (
    LEAST_PATIENTS,
    mean_over_classes,
    patient_counts,
    patient_weights,
    percentile_interval,
)
from mlrfnet_mm.evaluation.files.predictions import Predictions

METRICS = ('accuracy', 'sensitivity', 'specificity', 'F1', 'precision', 'NPV')


@dataclass(frozen=True)
class OperatingPoints:
    """Table 7 of one model.

    Attributes:
        thresholds: (K,); a finding is called where its score is at or above. NaN: not chosen.
        values: (K, 6) in the order of ``METRICS``; NaN where undefined, as precision is where
            nothing is called.
        intervals: (2, K, 6) lower and upper ends, by patient, thresholds held fixed; NaN where too
            few patients are positive or negative, Wilson's where no replicate differs.
        macro: (6,) mean over the classes in which the metric is defined.
        macro_interval: (2, 6).
        rule: how the thresholds were chosen.
        chosen_on: the stamp of the predictions that they were chosen on; says so if it is the test
            set itself.
    """

    thresholds: np.ndarray
    values: np.ndarray
    intervals: np.ndarray
    macro: np.ndarray
    macro_interval: np.ndarray
    rule: str
    chosen_on: str


def choose_thresholds(scores: np.ndarray, labels: np.ndarray, rule: str = 'youden') -> np.ndarray:
    """Threshold of every class; among equally good ones the highest.

    Args:
        scores: (N, K).
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        rule: ``'youden'`` for the largest sensitivity + specificity - 1, ``'f1'`` for the largest
            F1, ``'sensitivity=0.9'`` for the highest threshold with at least that sensitivity.

    Returns:
        (K,) scores out of ``scores``, to be compared with ``>=``; NaN for a class whose known
        labels are all alike.
    """
    least = _least_sensitivity(rule)
    merit: np.ndarray
    thresholds = np.full(labels.shape[1], np.nan)
    for k in np.flatnonzero(~np.isnan(roc_auc(scores, labels))):
        positives = np.sort(scores[labels[:, k] == 1, k])
        negatives = np.sort(scores[labels[:, k] == 0, k])
        m, n = len(positives), len(negatives)
        levels = np.unique(np.concatenate([positives, negatives]))[::-1]  # highest first
        tp = m - np.searchsorted(positives, levels)
        fp = n - np.searchsorted(negatives, levels)
        if least is not None:
            merit = tp >= least * m - 1e-9
        elif rule == 'f1':
            merit = 2 * tp / (tp + fp + m)
        else:
            merit = tp * n - fp * m  # whole numbers, so that ties are ties
        thresholds[k] = levels[np.argmax(merit)]
    return thresholds


def _least_sensitivity(rule: str) -> float | None:
    """Value of a ``sensitivity=`` rule, None for the other rules."""
    name, _, text = rule.partition('=')
    if rule in ('youden', 'f1'):
        return None
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if name != 'sensitivity' or not 0 < value <= 1:
        raise ValueError(
            f"rule must be 'youden', 'f1' or 'sensitivity=X' with 0 < X <= 1, got {rule!r}"
        )
    return value


def confusion_counts(scores: np.ndarray, labels: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(N, K, 4) indicators of true and false positive, false and true negative.

    All four are 0 where the label is unknown or the class has no threshold.
    """
    valid = ~np.isnan(labels) & ~np.isnan(thresholds)
    called, present = scores >= thresholds, labels == 1
    cells = [called & present, called & ~present, ~called & present, ~called & ~present]
    return np.stack(cells, -1) & valid[..., None]


def confusion_metrics(counts: np.ndarray) -> np.ndarray:
    """(…, 6) metrics of ``METRICS`` from (…, 4) counts; 0 / 0 is NaN."""
    tp, fp, fn, tn = np.moveaxis(np.asarray(counts, float), -1, 0)
    with np.errstate(invalid='ignore'):
        values = [
            (tp + tn) / (tp + fp + fn + tn),
            tp / (tp + fn),
            tn / (tn + fp),
            2 * tp / (2 * tp + fp + fn),
            tp / (tp + fp),
            tn / (tn + fn),
        ]
    return np.stack(values, -1)


def confusion_replicates(
    cells: np.ndarray, patients: np.ndarray, replicates: int = 1000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Sum cells over each patient's images, and over the patients that a replicate draws.

    Args:
        cells: (N, K, 4) of :func:`confusion_counts`.
        patients: (N,).
        replicates: of the bootstrap by patient, R.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.

    Returns:
        (P, K, 4) and (R, K, 4).
    """
    index, weights = patient_weights(patients, replicates, seed)
    by_patient = np.zeros((weights.shape[1], *cells.shape[1:]))
    np.add.at(by_patient, index, cells)
    return by_patient, np.tensordot(weights.astype(float), by_patient, 1)


def wilson_interval(share: np.ndarray, n: np.ndarray, level: float = 0.95) -> np.ndarray:
    """(2, …) Wilson's interval of a share out of n independent trials; NaN for none.

    Wilson, Journal of the American Statistical Association 22 (1927) 209-212.
    """
    z = norm.ppf((1 + level) / 2)
    with np.errstate(invalid='ignore', divide='ignore'):
        middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.stack([middle - half, middle + half])


# Which cells (true and false positives, false and true negatives) a metric is a share of.
SHARES = dict(
    accuracy=(0, 1, 2, 3), sensitivity=(0, 2), specificity=(1, 3), precision=(0, 1), NPV=(2, 3)
)
POSITIVES, NEGATIVES = ('sensitivity', 'F1', 'precision'), ('specificity', 'NPV')


def _point_intervals(
    drawn: np.ndarray, values: np.ndarray, by_patient: np.ndarray, test: Predictions
) -> np.ndarray:
    """(2, K, 6): percentiles; Wilson's over patients where those have no width; none for few.

    Args:
        drawn: (R, K, 6) replicates.
        values: (K, 6).
        by_patient: (P, K, 4) cells of each patient.
        test: for its labels.
    """
    ends = percentile_interval(drawn)
    counts = patient_counts(test.labels, test.patients)
    for i, metric in enumerate(METRICS):
        if metric in SHARES:
            patients = by_patient[..., SHARES[metric]].any(-1).sum(0)  # (K,)
            wilson = wilson_interval(values[:, i], patients)
            ends[..., i] = np.where(np.isnan(ends[..., i]), wilson, ends[..., i])
        needed = [0] * (metric not in NEGATIVES) + [1] * (metric not in POSITIVES)
        few = (counts[needed] < LEAST_PATIENTS).any(0)
        ends[:, few, i] = np.nan
    return ends


def operating_points(
    test: Predictions,
    val: Predictions | None = None,
    rule: str = 'youden',
    choose_on_test: bool = False,
    replicates: int = 1000,
    seed: int = 0,
) -> OperatingPoints:
    """Choose thresholds and apply them to the test predictions.

    Args:
        test: predictions to report.
        val: predictions to choose on, of the same classes.
        rule: see :func:`choose_thresholds`.
        choose_on_test: choose on ``test`` itself, which flatters: the result's ``chosen_on`` says
            so. Excludes ``val``.
        replicates: of the bootstrap by patient.
        seed: see :func:`~mlrfnet_mm.evaluation.patient_weights`.
    """
    if (val is None) != choose_on_test:
        raise ValueError(
            'give validation predictions to choose thresholds on, or ask for the test '
            f'predictions with choose_on_test=True; got val={"given" if val else None}, '
            f'choose_on_test={choose_on_test}'
        )
    source = test if val is None else val
    if source.classes.tolist() != test.classes.tolist():
        raise ValueError(f'classes differ: {source.classes.tolist()}, {test.classes.tolist()}')
    thresholds = choose_thresholds(source.scores, source.labels, rule)
    cells = confusion_counts(test.scores, test.labels, thresholds)  # (N, K, 4)
    by_patient, counts = confusion_replicates(cells, test.patients, replicates, seed)
    drawn = confusion_metrics(counts)  # (R, K, 6)
    values = confusion_metrics(cells.sum(0))
    macros = np.stack(
        [mean_over_classes(drawn[:, test.in_mean, i]) for i in range(len(METRICS))], -1
    )
    return OperatingPoints(
        thresholds=thresholds,
        values=values,
        intervals=_point_intervals(drawn, values, by_patient, test),
        macro=np.array([mean_defined(column) for column in values[test.in_mean].T]),
        macro_interval=percentile_interval(macros),
        rule=rule,
        chosen_on=source.stamp + (' (the TEST set itself: optimistic)' if choose_on_test else ''),
    )
