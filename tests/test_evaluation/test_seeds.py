"""Means over seeds and their differences, against scipy's t-tests and by simulation."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_1samp, ttest_ind, ttest_rel

from mlrfnet_mm.evaluation.comparison.margin import margin_test
from mlrfnet_mm.evaluation.comparison.seeds import difference_over_seeds, over_seeds

A, B = np.array([0.80, 0.83, 0.81, 0.84]), np.array([0.79, 0.80, 0.78])


def alike(values, replicates=50):
    """Replicates over patients that add no variance."""
    return np.repeat(values[:, None], replicates, 1)


def compare(a, b, **options):
    return difference_over_seeds((a, b), (alike(a), alike(b)), **options)


def test_two_models_with_seeds_of_their_own_are_welch_s_t_test():
    found, expected = compare(A, B), ttest_ind(A, B, equal_var=False)
    assert found.p() == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(expected.df)
    np.testing.assert_allclose(found.interval(), expected.confidence_interval(0.95))


def test_paired_models_are_the_paired_t_test():
    found, expected = compare(A[:3], B, paired=True), ttest_rel(A[:3], B)
    assert found.p() == pytest.approx(expected.pvalue)
    np.testing.assert_allclose(found.interval(0.9), expected.confidence_interval(0.9))
    with pytest.raises(ValueError, match='as many files each, got 4 and 3'):
        compare(A, B, paired=True)


def test_a_model_of_one_file_adds_no_variance_of_seeds():
    found, expected = compare(A, B[:1]), ttest_1samp(A, B[0])
    assert found.p() == pytest.approx(expected.pvalue)


@pytest.mark.parametrize('margin', [0.01, 0.05])
def test_margins_are_one_sided_t_tests(margin):
    found = compare(A, B).margin_test(margin)
    one_sided = [
        ttest_ind(A + margin, B, equal_var=False, alternative='greater').pvalue,
        ttest_ind(A - margin, B, equal_var=False, alternative='less').pvalue,
    ]
    np.testing.assert_allclose([found.p_above, found.p_below], one_sided)
    assert found.not_inferior == (one_sided[0] < 0.05)
    assert found.equivalent == (max(one_sided) < 0.05)


def test_one_file_each_is_the_bootstrap_by_patient():
    draws = np.random.default_rng(0).normal(0.01, 0.005, (1, 400))
    found = difference_over_seeds((A[:1], B[:1]), (draws + B[0], alike(B[:1], 400)))
    np.testing.assert_allclose(found.interval(), np.quantile(draws, [0.025, 0.975]))
    assert found.margin_test(0.02).p_below == margin_test(draws[0], 0.02).p_below


def test_the_variances_of_patients_and_of_seeds_add():
    rng = np.random.default_rng(0)
    draws = rng.normal(0, 0.01, (4, 400)), rng.normal(0, 0.01, (3, 400))
    found = difference_over_seeds((A, B), draws)
    of_patients = (draws[0].mean(0) - draws[1].mean(0)).var(ddof=1)
    of_seeds = A.var(ddof=1) / 4 + B.var(ddof=1) / 3
    assert found.error == pytest.approx((of_patients + of_seeds) ** 0.5)


def test_without_any_variance_nothing_is_said():
    ones = np.ones(3)
    found = compare(ones, ones)
    assert found.p() == 1 and not found.interval().any()  # a model less itself
    other = compare(ones, ones - 0.5)
    assert np.isnan(other.p()) and np.isnan(other.interval()).all()
    assert not found.margin_test(0.1).not_inferior


def test_with_seeds_that_agree_the_patients_decide():
    draws = np.random.default_rng(0).normal(0.8, 0.01, (3, 5000)).mean(0)
    ends = over_seeds(np.array([0.8] * 3), np.tile(draws, (3, 1))).interval()
    np.testing.assert_allclose(ends, 0.8 + draws.std(ddof=1) * norm.ppf([0.025, 0.975]), rtol=1e-4)


@pytest.mark.parametrize('difference', [0.0, 0.01])
def test_intervals_cover_differences_of_methods_whose_seeds_differ(difference):
    """200 comparisons of normal AUCs, 3 seeds; with the seeds held fixed half would be missed."""
    rng = np.random.default_rng(1)
    covered, fixed = [], []
    for _ in range(200):
        patients = rng.normal(0, 0.003)
        values = difference + patients + rng.normal(0, 0.009, 3)
        draws = values[:, None] + rng.normal(0, 0.003, 400)
        low, high = over_seeds(values, draws).interval()
        covered.append(low <= difference <= high)
        low, high = np.quantile(draws.mean(0), [0.025, 0.975])
        fixed.append(low <= difference <= high)
    assert np.mean(covered) == pytest.approx(0.95, abs=3 * (0.05 * 0.95 / 200) ** 0.5)
    assert np.mean(fixed) < 0.8
