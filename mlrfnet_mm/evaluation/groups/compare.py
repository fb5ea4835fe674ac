"""Every measure of every group with its interval, differences, and tests of equality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation.areas.bootstrap import (
    LEAST_PATIENTS,
    patient_counts,
    patient_weights,
    percentile_interval,
)
from mlrfnet_mm.evaluation.areas.delong import patient_sums
from mlrfnet_mm.evaluation.areas.holm import holm
from mlrfnet_mm.evaluation.files.predictions import Predictions
from mlrfnet_mm.evaluation.groups.draws import (
    RATIOS,
    drawn_auc,
    ratio_influence,
    ratio_measures,
    sums_of_patients,
    terms_of_images,
    weight_blocks,
)
from mlrfnet_mm.evaluation.groups.equality import difference_tests, equality_test, on_logits
from mlrfnet_mm.evaluation.groups.grouping import Grouping
from mlrfnet_mm.evaluation.thresholds.choose import wilson_interval

SHARES = ('auc', 'prevalence', 'sensitivity', 'specificity')  # compared as logits
TESTED = (*SHARES, 'excess')


@dataclass(frozen=True)
class Measure:
    """One measure of G groups, each of K findings and, last, their mean over the common findings.

    Attributes:
        values: (G, K + 1); NaN where it is not reported.
        interval: (2, G, K + 1), nominal 95 %.
        difference: (G, K + 1), to the reference group; NaN for itself, for findings that are not
            common, and for groups that are not compared.
        difference_interval: (2, G, K + 1).
        difference_p: (G, K + 1); NaN for measures that are not tested.
        q: (K + 1,) of the test that all compared groups are equal.
        p: (K + 1,).
        p_holm: (K + 1,), corrected over the findings of all groupings; NaN for the mean.
        difference_p_holm: (G, K + 1), corrected over groups and findings of all groupings.
    """

    values: np.ndarray
    interval: np.ndarray
    difference: np.ndarray
    difference_interval: np.ndarray
    difference_p: np.ndarray
    q: np.ndarray
    p: np.ndarray
    p_holm: np.ndarray
    difference_p_holm: np.ndarray


@dataclass(frozen=True)
class GroupComparison:
    """The groups of one grouping.

    Attributes:
        grouping: G groups.
        classes: (K,) names of the findings.
        images: (G,), and so are ``patients``.
        known: (G, K) images with a known label; so are ``positives``, and in patients
            ``positive_patients`` and ``negative_patients``.
        reported: (G, K) bool: enough positive and negative patients.
        compared: (G,) bool: groups in which any finding is reported.
        common: (K,) bool: findings that are reported in all compared groups.
        averaged: (K,) bool: those of them that are in means.
        reference: number of the largest group, by images.
        measures: ``'auc'`` and, as far as thresholds and probabilities are given, those of
            ``RATIOS``.
    """

    grouping: Grouping
    classes: np.ndarray
    images: np.ndarray
    patients: np.ndarray
    known: np.ndarray
    positives: np.ndarray
    positive_patients: np.ndarray
    negative_patients: np.ndarray
    reported: np.ndarray
    compared: np.ndarray
    common: np.ndarray
    averaged: np.ndarray
    reference: int
    measures: dict[str, Measure]


class _Part(NamedTuple):
    """One group: values (K,), replicates (R, K) and influence (K, P) of each measure."""

    values: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]
    influence: dict[str, np.ndarray]


def compare_groups(
    test: Predictions,
    groupings: Sequence[Grouping],
    thresholds: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> list[GroupComparison]:
    """Measures of every group, all from the same draws of patients.

    A patient who is in two groups is drawn in both at once, so that differences are paired by
    patient where groups share patients.

    Args:
        test: predictions of N images, K findings.
        groupings: of these images.
        thresholds: (K,), the one threshold of each finding, for all groups; ``None``: none.
        probabilities: (N, K) calibrated; NaN columns are not calibrated. ``None``: none.
        replicates: of the bootstrap over patients.
        seed: of the bootstrap.
        progress: called when a finding of a grouping is done.
    """
    index, weights = patient_weights(test.patients, replicates, seed)
    terms = terms_of_images(test.scores, test.labels, thresholds, probabilities)
    found = [
        _compare(test, grouping, terms, index, weights, progress or (lambda: None))
        for grouping in groupings
    ]
    return _with_holm(found)


def _compare(
    test: Predictions,
    grouping: Grouping,
    terms: dict[str, np.ndarray],
    index: np.ndarray,
    weights: np.ndarray,
    progress: Callable[[], None],
) -> GroupComparison:
    """One grouping, without Holm's correction."""
    members = [np.flatnonzero(grouping.of_image == g) for g in range(len(grouping.groups))]
    counts = np.array([patient_counts(test.labels[m], test.patients[m]) for m in members])
    reported = np.all(counts >= LEAST_PATIENTS, axis=1)  # (G, K)
    compared = np.any(reported, axis=1)
    common = np.asarray(reported[compared].all(0) & compared.any())
    images = np.array([len(m) for m in members])
    reference = int(np.argmax(np.where(compared, images, -1)))
    averaged = np.asarray(common & test.in_mean)
    parts = [
        _part(test, {name: v[m] for name, v in terms.items()}, m, index, weights, keep)
        for m, keep in zip(members, reported, strict=True)
    ]
    for _ in test.classes:
        progress()
    return GroupComparison(
        grouping=grouping,
        classes=test.classes,
        images=images,
        patients=np.array([len(np.unique(index[m])) for m in members]),
        known=np.array([terms['known'][m].sum(0) for m in members]).astype(int),
        positives=np.array([terms['positive'][m].sum(0) for m in members]).astype(int),
        positive_patients=counts[:, 0],
        negative_patients=counts[:, 1],
        reported=reported,
        compared=compared,
        common=common,
        averaged=averaged,
        reference=reference,
        measures={
            name: _measure(name, parts, counts, compared, common, averaged, reference)
            for name in parts[0].values
        },
    )


def _part(
    test: Predictions,
    terms: dict[str, np.ndarray],
    members: np.ndarray,
    index: np.ndarray,
    weights: np.ndarray,
    reported: np.ndarray,
) -> _Part:
    """One group: ``members`` are its rows, ``reported`` (K,) the findings that count."""
    there, patient = np.unique(index[members], return_inverse=True)
    drawn = weights[:, there]
    sums = sums_of_patients(terms, patient, len(there))
    values = ratio_measures({name: v.sum(0) for name, v in sums.items()})
    flat = np.stack(list(sums.values()), 1).reshape(len(there), -1)  # (P, T K)
    totals = (drawn.astype(float) @ flat).reshape(len(drawn), len(sums), -1)
    draws = ratio_measures(dict(zip(sums, np.moveaxis(totals, 1, 0), strict=True)))
    classes, total = len(reported), weights.shape[1]
    influence = {}
    for name in values:
        above, below = RATIOS[name]
        influence[name] = np.zeros((classes, total))
        influence[name][:, there] = ratio_influence(sums[above], sums[below]).T
    values['auc'] = np.full(classes, np.nan)
    draws['auc'] = np.full((len(weights), classes), np.nan)
    influence['auc'] = np.zeros((classes, total))
    blocks = weight_blocks(drawn)
    scores, labels = test.scores[members], test.labels[members]
    for k in np.flatnonzero(reported):
        rows = np.flatnonzero(~np.isnan(labels[:, k]))
        positive = labels[rows, k] == 1
        own, of_known = np.unique(patient[rows], return_inverse=True)
        aucs, a, b, (i10, i01) = patient_sums(scores[None, rows, k], labels[rows, k], of_known)
        values['auc'][k] = aucs[0]
        influence['auc'][k, there[own]] = _scaled(a[0], b[0], i10, i01)
        draws['auc'][:, k] = drawn_auc(scores[rows, k], positive, patient[rows], blocks)
    for measure in values:
        values[measure][~reported] = np.nan
        draws[measure][:, ~reported] = np.nan
    return _Part(values, draws, influence)


def _scaled(a: np.ndarray, b: np.ndarray, i10: int, i01: int) -> np.ndarray:
    """Sum of both parts of a patient, scaled so that the squares sum to Obuchowski's variance."""
    patients = len(a)
    variance = i10 / (i10 - 1) * a @ a + i01 / (i01 - 1) * b @ b
    variance += 2 * patients / (patients - 1) * a @ b
    total = a + b
    plain = total @ total
    return total * np.sqrt(max(variance, 0) / plain) if plain > 0 else total


def _measure(
    name: str,
    parts: list[_Part],
    counts: np.ndarray,
    compared: np.ndarray,
    common: np.ndarray,
    averaged: np.ndarray,
    reference: int,
) -> Measure:
    """One measure of a grouping from its groups, without Holm's correction."""
    values = np.stack([part.values[name] for part in parts])  # (G, K)
    draws = np.stack([part.draws[name] for part in parts], 1)  # (R, G, K)
    # A finding without threshold has no sensitivity in any group.
    used = averaged & ~np.isnan(values[compared]).any(0)
    values, draws = (_with_mean(array, used, compared) for array in (values, draws))
    interval = percentile_interval(draws)
    if name in ('sensitivity', 'specificity'):
        wilson = wilson_interval(values[:, :-1], counts[:, int(name == 'specificity')])
        own = interval[..., :-1]
        interval[..., :-1] = np.where(np.isnan(own), wilson, own)
    interval[:, np.isnan(values)] = np.nan
    shown = np.append(common, used.any()) & compared[:, None]
    shown[reference] = False
    difference = np.where(shown, values - values[reference], np.nan)
    ends = percentile_interval(draws - draws[:, [reference]])
    ends = np.where(np.isnan(difference), np.nan, ends)
    p = np.full(values.shape, np.nan)
    q, p_all = np.full((2, values.shape[1]), np.nan)
    influence = np.stack([part.influence[name] for part in parts])[compared]  # (G, K, P)
    columns = [*np.flatnonzero(common).tolist(), *([len(used)] if used.any() else [])]
    for k in columns if name in TESTED else ():
        theta = values[compared, k]
        own = influence[:, k] if k < len(used) else influence[:, used].mean(1)
        if name in SHARES and k < len(used):
            theta, own = on_logits(theta, own)
        q[k], _, p_all[k] = equality_test(theta, own)
        p[compared, k] = difference_tests(theta, own, int(compared[:reference].sum()))
    p[reference] = np.nan
    none = np.full_like(p, np.nan)
    return Measure(values, interval, difference, ends, p, q, p_all, none[0], none)


def _with_mean(values: np.ndarray, used: np.ndarray, compared: np.ndarray) -> np.ndarray:
    """(…, G, K) with the mean over the used findings behind it; NaN in groups not compared."""
    mean = np.full(values.shape[:-1], np.nan)
    if used.any():
        mean[..., compared] = values[..., compared, :][..., used].mean(-1)
    return np.concatenate([values, mean[..., None]], -1)


def _with_holm(found: list[GroupComparison]) -> list[GroupComparison]:
    """Correct each measure's tests over the findings and groups of all groupings."""
    for name in found[0].measures if found else ():
        measures = [comparison.measures[name] for comparison in found]
        all_groups = _corrected([measure.p[:-1] for measure in measures])
        differences = _corrected([measure.difference_p[:, :-1] for measure in measures])
        for comparison, one, two in zip(found, all_groups, differences, strict=True):
            measure = comparison.measures[name]
            mean = np.full((len(two), 1), np.nan)
            comparison.measures[name] = replace(
                measure,
                p_holm=np.append(one, np.nan),
                difference_p_holm=np.concatenate([two, mean], 1),
            )
    return found


def _corrected(p: list[np.ndarray]) -> list[np.ndarray]:
    """Holm over all arrays together, in their shapes."""
    flat = holm(np.concatenate([values.ravel() for values in p]))
    ends = np.cumsum([values.size for values in p])[:-1]
    parts = np.split(flat, ends)
    return [part.reshape(values.shape) for part, values in zip(parts, p, strict=True)]
