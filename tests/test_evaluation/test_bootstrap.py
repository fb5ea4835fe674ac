import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from mlrfnet_mm.evaluation import (
    average_precision,
    bootstrap_areas,
    bootstrap_auc,
    bootstrap_p,
    delong_interval,
    mean_over_classes,
    patient_weights,
    percentile_interval,
    roc_auc,
)
from mlrfnet_mm.evaluation.areas import bootstrap as module


def draw(n=300, k=4, ties=False, unknown=False, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, k)) < np.linspace(0.5, 0.05, k)).astype(np.float32)
    scores = (rng.standard_normal((n, k)) + labels).astype(np.float32)
    if unknown:
        labels[rng.random((n, k)) < 0.2] = np.nan
    return (np.round(scores) if ties else scores), labels, rng.integers(90, size=n).astype(str)


def by_loop(statistic, scores, labels, patients, replicates, seed):
    index, weights = patient_weights(patients, replicates, seed)
    values = np.full((replicates, labels.shape[1]), np.nan)
    for r, row in enumerate(weights):
        for k in range(labels.shape[1]):
            used = ~np.isnan(labels[:, k]) & (row[index] > 0)
            y = labels[used, k]
            if len(set(y)) == 2:
                values[r, k] = statistic(y, scores[used, k], sample_weight=row[index][used])
    return values


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('unknown', [False, True])
@pytest.mark.parametrize('swap', [False, True])  # positives are the many
def test_replicates_equal_scikit_learn_under_the_same_weights(ties, unknown, swap):
    scores, labels, patients = draw(ties=ties, unknown=unknown)
    labels = 1 - labels if swap else labels
    auc, ap = bootstrap_areas(scores, labels, patients, replicates=70, seed=5)  # 64 + 6
    expected = by_loop(roc_auc_score, scores, labels, patients, 70, 5)
    np.testing.assert_allclose(auc, expected, rtol=1e-12)
    expected = by_loop(average_precision_score, scores, labels, patients, 70, 5)
    np.testing.assert_allclose(ap, expected, rtol=1e-6)


# The same AUCs with every patient so many times as often; sums around and beyond float32's 2^24.
@pytest.mark.parametrize('times', [30_011, 99_991])
def test_large_counts_are_exact_too(monkeypatch, times):
    scores, labels, patients = draw(ties=True)
    expected = bootstrap_auc(scores, labels, patients, 10)
    index, weights = patient_weights(patients, 10)
    monkeypatch.setattr(module, 'patient_weights', lambda *_: (index, weights * times))
    np.testing.assert_allclose(bootstrap_auc(scores, labels, patients, 10), expected, rtol=1e-12)


def test_images_of_a_patient_move_together_and_as_many_patients_are_drawn():
    patients = np.array(['b', 'a', 'b', 'c'])
    index, weights = patient_weights(patients, 2000, seed=1)
    assert index.tolist() == [1, 0, 1, 2]
    assert weights.shape == (2000, 3)
    assert (weights.sum(1) == 3).all()
    # Multinomial: mean 1, variance 1 - 1/3, covariance -1/3; 3 standard errors of 2,000 are 0.06.
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.06)
    np.testing.assert_allclose(np.cov(weights.T), np.eye(3) - 1 / 3, atol=0.08)


def test_seed_and_number_of_replicates():
    data = draw()
    first = bootstrap_auc(*data, replicates=70, seed=2)
    np.testing.assert_array_equal(first, bootstrap_auc(*data, replicates=70, seed=2))
    np.testing.assert_array_equal(first[:20], bootstrap_auc(*data, replicates=20, seed=2))
    assert (first != bootstrap_auc(*data, replicates=70, seed=3)).any()
    with pytest.raises(ValueError, match='at least 1, got 0'):
        bootstrap_auc(*data, replicates=0)


def test_one_sided_replicates_are_undefined_and_left_out():
    scores, labels, patients = draw()
    labels[:, 1] = 0  # never defined
    labels[:, 2] = patients == patients[0]  # all positives are of one patient
    auc, ap = bootstrap_areas(scores, labels, patients, replicates=400)
    assert np.isnan(auc[:, 1]).all()
    index, weights = patient_weights(patients, 400)
    absent = weights[:, index[0]] == 0
    assert 0.25 < absent.mean() < 0.5  # (1 - 1/90)^90 = 0.37
    for values in (auc, ap):
        np.testing.assert_array_equal(np.isnan(values[:, 2]), absent)
    np.testing.assert_allclose(
        mean_over_classes(auc)[absent], auc[absent][:, [0, 3]].mean(1), rtol=1e-12
    )
    interval = percentile_interval(auc)
    assert np.isnan(interval[:, 1]).all()
    np.testing.assert_allclose(interval[:, 2], np.quantile(auc[~absent, 2], [0.025, 0.975]))


def test_p_value_counts_replicates_beyond_zero():
    differences = np.array([[1.0, -1, 0, np.nan, 1], [2, 1, 0, np.nan, -1]]).T  # (5, 2)
    # Of both, 4 are defined and two at or below 0: 2 × 3 / 5 is cut at 1.
    np.testing.assert_allclose(bootstrap_p(differences), [1, 1])
    assert bootstrap_p(np.ones(999)) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.r_[np.ones(997), -1, -1]) == pytest.approx(6 / 1000)
    assert bootstrap_p(np.zeros(99)) == 1  # a model against itself
    assert np.isnan(bootstrap_p(np.full(9, np.nan)))


def test_a_paired_difference_is_narrower_than_two_intervals():
    scores, labels, patients = draw()
    other = scores + 0.1 * np.random.default_rng(1).standard_normal(scores.shape)
    a, b = (bootstrap_auc(s, labels, patients) for s in (scores, other))
    paired, apart = (np.ptp(percentile_interval(x), axis=0) for x in (a - b, a - b[::-1]))
    assert (paired < 0.5 * apart).all()


def test_average_precision_equals_scikit_learn():
    scores, labels, _ = draw(ties=True, unknown=True)
    labels[:, 1] = 1
    values = average_precision(scores, labels)
    known = ~np.isnan(labels)
    for k in (0, 2, 3):
        y, s = labels[known[:, k], k], scores[known[:, k], k]
        assert values[k] == pytest.approx(average_precision_score(y, s))
    assert np.isnan(values[1])


def test_intervals_by_patient_cover_where_delong_does_not():
    # 100 classes are 100 studies of 60 patients with 6 images that share label and half of the
    # score's variance: AUC = Φ(1 / √2), as in the independent case, but far less information.
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), 6)
    labels = (rng.random((60, 100)) < 0.4).astype(float)[patients]
    shared = rng.standard_normal((60, 100))[patients]
    scores = labels + (shared + rng.standard_normal(labels.shape)) / 2**0.5
    truth = norm.cdf(1 / 2**0.5)

    def coverage(interval):
        return ((interval[0] <= truth) & (truth <= interval[1])).mean()

    by_patient = coverage(percentile_interval(bootstrap_auc(scores, labels, patients, 500)))
    assert 0.95 - 0.065 < by_patient <= 1  # 3 standard errors of 100 trials
    assert coverage(delong_interval(scores, labels)) < 0.85


def test_bootstrap_by_image_agrees_with_delong():
    scores, labels, _ = draw(n=600)
    bootstrap = percentile_interval(bootstrap_auc(scores, labels, np.arange(600)))
    np.testing.assert_allclose(bootstrap, delong_interval(scores, labels), atol=0.015)
    assert (bootstrap[0] < roc_auc(scores, labels)).all()


def test_a_replicate_without_negatives_has_neither_area():
    labels = np.array([[0.0], [1.0], [1.0]])
    auc, ap = bootstrap_areas(np.array([[0.1], [0.5], [0.9]]), labels, np.arange(3), 50, 0)
    _, weights = patient_weights(np.arange(3), 50, 0)
    one_sided = (weights[:, 0] == 0) | (weights[:, 0] == 3)
    assert (weights[:, 0] == 0).any()
    np.testing.assert_array_equal(np.isnan(auc[:, 0]), one_sided)
    np.testing.assert_array_equal(np.isnan(ap[:, 0]), one_sided)


def test_p_is_over_the_defined_replicates():
    draws = np.r_[np.ones(9), np.full(90, np.nan)]
    assert bootstrap_p(draws) == pytest.approx(2 / 10)
