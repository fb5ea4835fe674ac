"""Points of the ROC curve and its partial area, against scikit-learn's curve."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mlrfnet_mm.evaluation import bootstrap_auc, patient_weights
from mlrfnet_mm.evaluation.areas.curve import curve_statistics
from mlrfnet_mm.evaluation.areas.partial_auc import partial_auc
from mlrfnet_mm.evaluation.thresholds.choose import choose_thresholds
from mlrfnet_mm.evaluation.thresholds.fixed_rates import (
    sensitivity_at,
    specificity_at,
    threshold_for_sensitivity,
    threshold_for_specificity,
)


def draw(n=250, k=3, ties=False, unknown=False, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, k)) < np.linspace(0.5, 0.1, k)).astype(np.float32)
    scores = (rng.standard_normal((n, k)) + labels).astype(np.float32)
    if unknown:
        labels[rng.random((n, k)) < 0.2] = np.nan
    return (np.round(scores) if ties else scores), labels, rng.integers(80, size=n).astype(str)


def every_point(y, s, weight):
    """False and true positive rates with all corners, and the thresholds."""
    return roc_curve(y, s, sample_weight=weight, drop_intermediate=False)


def sensitivity(y, s, weight, least=0.9):
    fpr, tpr, _ = every_point(y, s, weight)
    return tpr[fpr <= 1 - least + 1e-12].max()


def specificity(y, s, weight, least=0.8):
    fpr, tpr, _ = every_point(y, s, weight)
    return 1 - fpr[tpr >= least - 1e-12].min()


def partial(most):
    return lambda y, s, weight: roc_auc_score(y, s, sample_weight=weight, max_fpr=most)


ORACLES = {
    'sensitivity': (sensitivity_at(0.9), sensitivity),
    'specificity': (specificity_at(0.8), specificity),
    'partial 0.1': (partial_auc(0.1), partial(0.1)),
    'partial 0.37': (partial_auc(0.37), partial(0.37)),
    'partial 1': (partial_auc(1), partial(1)),
}


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('unknown', [False, True])
@pytest.mark.parametrize('swap', [False, True])
def test_values_and_replicates_equal_scikit_learn_s_curve(ties, unknown, swap):
    scores, labels, patients = draw(ties=ties, unknown=unknown)
    labels = 1 - labels if swap else labels
    ours, theirs = zip(*ORACLES.values(), strict=True)
    values, draws = curve_statistics(scores, labels, patients, ours, 70, 5)  # 64 + 6
    index, weights = patient_weights(patients, 70, 5)
    for r, row in enumerate([np.ones(weights.shape[1]), *weights]):
        if r % 8 and r < 65:
            continue  # some of each block of 64, and all of its rest
        for k in range(labels.shape[1]):
            used = ~np.isnan(labels[:, k]) & (row[index] > 0)
            case = labels[used, k], scores[used, k], row[index][used]
            found = draws[:, r - 1, k] if r else values[:, k]
            expected = [oracle(*case) for oracle in theirs]
            np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=str(list(ORACLES)))


def test_the_whole_partial_area_is_the_auc():
    case = draw(ties=True)
    _, draws = curve_statistics(*case, [partial_auc(1.0)], 30)
    np.testing.assert_allclose(draws[0], bootstrap_auc(*case, 30), rtol=1e-12)


@pytest.mark.parametrize('ties', [False, True])
def test_the_thresholds_give_the_rates(ties):
    scores, labels, patients = draw(ties=ties)
    statistics = [
        sensitivity_at(0.9),
        threshold_for_specificity(0.9),
        specificity_at(0.8),
        threshold_for_sensitivity(0.8),
    ]
    values, _ = curve_statistics(scores, labels, patients, statistics, 1)
    for k in range(3):
        positives, negatives = (scores[labels[:, k] == y, k] for y in (1, 0))
        sensitivity, at, specificity, other = values[:, k]
        if not np.isnan(at):
            assert (positives >= at).mean() == pytest.approx(sensitivity)
            assert (negatives < at).mean() >= 0.9
        else:
            assert sensitivity == 0 and (negatives >= positives.max()).mean() > 0.1
        assert (negatives < other).mean() == pytest.approx(specificity)
        assert (positives >= other).mean() >= 0.8
    np.testing.assert_array_equal(values[3], choose_thresholds(scores, labels, 'sensitivity=0.8'))


def test_edges():
    rates = [sensitivity_at(0.95), specificity_at(0.9), partial_auc(0.1)]
    rates += [threshold_for_specificity(0.95)]
    labels = np.array([[1, 1, 0]] * 20 + [[0, 0, 0]] * 20, float)
    patients = np.arange(40)
    scores = np.stack([labels[:, 0], 1 - labels[:, 0], labels[:, 0]], 1)
    values, draws = curve_statistics(scores, labels, patients, rates, 50)
    np.testing.assert_allclose(values[:, 0], [1, 1, 1, 1])  # perfect
    worst = roc_auc_score(labels[:, 1], scores[:, 1], max_fpr=0.1)  # 0.474, not 0
    np.testing.assert_allclose(values[:3, 1], [0, 0, worst])
    assert np.isnan(values[3, 1]), 'no threshold is that specific'
    assert np.isnan(values[:, 2]).all() and np.isnan(draws[..., 2]).all()  # one label value
    constant, _ = curve_statistics(scores * 0, labels, patients, rates, 1)
    np.testing.assert_allclose(constant[:3, 0], [0, 0, 0.5])


def test_a_share_of_positives_survives_rounding():
    """0.95 × 20 is 19.000000000000004 in some orders of its factors."""
    scores = np.arange(40, dtype=float)[:, None]
    labels = (np.arange(40) % 2).astype(float)[:, None]
    values, _ = curve_statistics(scores, labels, np.arange(40), [specificity_at(0.95)], 1)
    assert values[0, 0] == pytest.approx(2 / 20)  # of the positives 1, 3, 5 … all but the lowest


def test_a_replicate_with_one_label_value_is_undefined():
    labels = np.array([[1.0]] + [[0.0]] * 9)
    _, draws = curve_statistics(labels, labels, np.arange(10), [sensitivity_at(0.9)], 200)
    assert 0 < np.isnan(draws).sum() < 200


@pytest.mark.parametrize('rate', [0, -0.1, 1.01, np.nan])
@pytest.mark.parametrize(
    'make',
    [
        sensitivity_at,
        specificity_at,
        threshold_for_specificity,
        threshold_for_sensitivity,
        partial_auc,
    ],
)
def test_rates_are_checked(make, rate):
    with pytest.raises(ValueError, match=f'above 0 and at most 1, got {rate}'):
        make(rate)
