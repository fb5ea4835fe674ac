"""McNemar's test by patient, against scipy's binomial test, enumeration and simulation."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, chi2, norm

from mlrfnet_mm.evaluation import bootstrap_p, holm, percentile_interval
from mlrfnet_mm.evaluation.comparison.mcnemar import (
    LEAST_DISCORDANT,
    clustered_mcnemar,
    paired_rates,
    tango_without_discord,
)


@pytest.mark.parametrize(('b', 'c'), [(1, 0), (8, 2), (3, 3), (0, 24), (12, 12)])
def test_few_patients_with_one_image_are_the_binomial_test(b, c):
    gaps = np.repeat([1, -1, 0], [b, c, 100])
    assert clustered_mcnemar(gaps) == pytest.approx(binomtest(b, b + c).pvalue)


@pytest.mark.parametrize(('b', 'c'), [(25, 0), (20, 40), (86, 150)])
def test_many_patients_with_one_image_are_mcnemar_s_chi_square(b, c):
    gaps = np.repeat([1, -1, 0], [b, c, 100])
    assert clustered_mcnemar(gaps) == pytest.approx(chi2.sf((b - c) ** 2 / (b + c), 1))


def test_agresti_s_worked_example():
    """Approval of a prime minister, 86 and 150 changed: z = -4.17 (Categorical Data Analysis)."""
    z = norm.isf(clustered_mcnemar(np.repeat([1, -1, 0], [86, 150, 1364])) / 2)
    assert round(z, 2) == 4.17


def test_few_patients_with_several_images_are_all_signs():
    gaps = np.array([3, -1, 2, 2, -1, 0, 5])
    sizes = np.abs(gaps)
    sums = [np.dot(signs, sizes) for signs in itertools.product([-1, 1], repeat=len(gaps))]
    expected = np.mean(np.abs(sums) >= abs(gaps.sum()))
    assert clustered_mcnemar(gaps) == pytest.approx(expected)


@pytest.mark.parametrize('patients', [20, 60])
def test_the_same_images_twice_prove_nothing_more(patients):
    gaps = np.random.default_rng(1).choice([-2, -1, 1, 1, 3], patients)
    assert (patients < LEAST_DISCORDANT) == (patients == 20)
    assert clustered_mcnemar(2 * gaps) == pytest.approx(clustered_mcnemar(gaps))
    assert clustered_mcnemar(-gaps) == pytest.approx(clustered_mcnemar(gaps))


def test_models_that_differ_nowhere():
    assert clustered_mcnemar(np.zeros(9)) == 1


@pytest.mark.parametrize('discordant', [0.1, 0.6])
def test_a_true_hypothesis_is_rejected_as_often_as_said(discordant):
    """1,000 sets; in a patient of 1 to 10 images the models differ in all of them, or in none."""
    rng = np.random.default_rng(0)
    by_patient, by_image = [], []
    for _ in range(1000):
        images = rng.integers(1, 11, 80)
        gaps = images * rng.choice([-1, 1], 80) * (rng.random(80) < discordant)
        by_patient.append(clustered_mcnemar(gaps) < 0.05)
        b, c = gaps[gaps > 0].sum(), -gaps[gaps < 0].sum()
        by_image.append((b - c) ** 2 > chi2.isf(0.05, 1) * (b + c))
    assert np.mean(by_patient) < 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5
    assert np.mean(by_image) > 0.3


def tango_half_width(n):
    """Where Tango's score statistic is 1.96, by bisection over his formula for b = c = 0."""

    def statistic(delta):
        a, b = 2 * n, 2 * n * delta
        q = ((b * b) ** 0.5 - b) / (2 * a)
        return n * delta / (n * (2 * q + delta * (1 - delta))) ** 0.5

    low, high = 1e-6, 1 - 1e-6
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if statistic(middle) < norm.ppf(0.975) else (low, middle)
    return low


@pytest.mark.parametrize('n', [10, 200])
def test_tango_s_interval_without_discord(n):
    assert tango_without_discord(np.array(n)) == pytest.approx(tango_half_width(n), rel=1e-4)


@pytest.fixture(scope='module')
def data():
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(60), 3)
    labels = (rng.random((180, 3)) < 0.4).astype(float)
    labels[:, 1] = 0
    labels[::7, 2] = np.nan
    called = rng.random((180, 3)) < 0.3 + 0.4 * np.nan_to_num(labels)
    return (called, called ^ (rng.random((180, 3)) < 0.2)), labels, patients


def test_rates_and_their_differences(data):
    (a, b), labels, patients = data
    found = paired_rates((a, b), labels, patients, replicates=200, seed=5)
    for k in (0, 2):
        for i, value in enumerate((1, 0)):
            rows = labels[:, k] == value
            right = [calls[rows, k] == bool(value) for calls in (a, b)]
            np.testing.assert_allclose(found.values[:, k, i], np.mean(right, 1))
            only = [(right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()]
            assert found.only[:, k, i].tolist() == only
            gaps = np.bincount(patients[rows], right[0].astype(int) - right[1])
            assert found.p[k, i] == clustered_mcnemar(gaps)
            low, high = found.intervals[:, k, i]
            assert low < found.values[0, k, i] - found.values[1, k, i] < high
    assert np.isnan(found.values[:, 1, 0]).all() and np.isnan(found.p[1, 0])
    np.testing.assert_allclose(found.mean[:, 0], found.values[:, [0, 2], 0].mean(1))
    np.testing.assert_allclose(found.mean[:, 1], found.values[:, :, 1].mean(1))


def test_intervals_are_of_patients_drawn_together(data):
    (a, b), labels, patients = data
    found = paired_rates((a, b), labels, patients, np.array([True, False, True]), 200, 5)
    rng = np.random.default_rng(5)
    draws = []
    for _ in range(200):
        rows = np.concatenate([np.flatnonzero(patients == p) for p in rng.integers(60, size=60)])
        y, x, z = labels[rows], a[rows], b[rows]
        draws.append([np.mean(x[y[:, k] == 0, k] * -1.0 + z[y[:, k] == 0, k]) for k in (0, 2)])
    draws = np.array(draws)
    np.testing.assert_allclose(found.intervals[:, [0, 2], 1], percentile_interval(draws))
    np.testing.assert_allclose(found.mean_interval[:, 1], percentile_interval(draws.mean(1)))
    assert found.mean_p[1] == bootstrap_p(draws.mean(1))


def test_a_model_against_itself(data):
    (a, _), labels, patients = data
    found = paired_rates((a, a), labels, patients, replicates=100)
    assert found.p[0].tolist() == [1, 1] and holm(found.p[:, 1])[0] == 1
    positives = len(np.unique(patients[labels[:, 0] == 1]))
    half = tango_without_discord(np.array(positives))
    np.testing.assert_allclose(found.intervals[:, 0, 0], [-half, half])


def test_few_patients_get_no_interval_and_no_p(data):
    (a, b), labels, patients = data
    kept = patients < 9
    found = paired_rates((a[kept], b[kept]), labels[kept], patients[kept], replicates=100)
    assert np.isnan(found.intervals).all() and np.isnan(found.p).all()
    assert not np.isnan(found.values[:, 0]).any()
