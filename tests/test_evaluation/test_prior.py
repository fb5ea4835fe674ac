"""Prevalence without labels, against the published EM and a brute-force maximum."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from mlrfnet_mm.evaluation.shift import prior as prior_file
from mlrfnet_mm.evaluation.shift.prior import (
    equivalent_positives,
    estimate_prevalence,
    prior_shift,
    shifted_prevalence,
)

PRIOR = 0.2


def made(n=4000, share=0.05, apart=2.0, seed=0):
    """Labels, and probabilities that are right where the prevalence is ``PRIOR``.

    Scores are normal with variance 1 and means 0 and ``apart``: their log likelihood ratio is
    apart · x - apart² / 2.
    """
    rng = np.random.default_rng(seed)
    y = rng.random(n) < share
    x = rng.standard_normal(n) + apart * y
    return y, expit(logit(PRIOR) + apart * x - apart**2 / 2)


def saerens(p, prior, steps=20000):
    """Equation 2.9 of the paper, as printed: posteriors at the new prior, then their mean."""
    new = prior
    for _ in range(steps):
        present = new / prior * p
        absent = (1 - new) / (1 - prior) * (1 - p)
        new = np.mean(present / (present + absent))
    return new


def log_likelihood(pi, p, prior):
    return np.log(pi / prior * p + (1 - pi) / (1 - prior) * (1 - p)).sum()


@pytest.mark.parametrize('share', [0.01, 0.05, 0.5, 0.97])
@pytest.mark.parametrize('apart', [0.7, 3.0])
def test_it_is_where_saerens_em_ends(share, apart):
    _, p = made(600, share, apart)
    assert shifted_prevalence(p, PRIOR)[0] == pytest.approx(saerens(p, PRIOR), abs=1e-4)


@pytest.mark.parametrize('share', [0.05, 0.5])
def test_it_is_the_greatest_likelihood(share):
    _, p = made(share=share)
    best = minimize_scalar(
        lambda pi: -log_likelihood(pi, p, PRIOR), bounds=(0, 1), method='bounded',
        options=dict(xatol=1e-10),
    )  # fmt: skip
    found = shifted_prevalence(p, PRIOR)[0]
    assert found == pytest.approx(best.x, abs=1e-6)
    pi = np.linspace(0.001, 0.999, 999)
    assert abs(found - pi[np.argmax([log_likelihood(v, p, PRIOR) for v in pi])]) <= 1e-3


def test_weights_are_images_that_count_several_times():
    _, p = made(300)
    weights = np.random.default_rng(1).integers(0, 4, (5, 300))
    found = shifted_prevalence(p, PRIOR, weights, start=0.07)
    for row, value in zip(weights, found, strict=True):
        assert value == pytest.approx(shifted_prevalence(np.repeat(p, row), PRIOR)[0], abs=1e-8)


def test_the_true_prevalence_is_within_its_interval():
    """2,000 patients with two images each, alike: 40 sets, of which 95 % are to cover."""
    covered = []
    for seed in range(40):
        _, p = made(2000, seed=seed)
        pairs = np.repeat(p, 2)[:, None]
        _, draws = estimate_prevalence(pairs, np.array([PRIOR]), np.arange(4000) // 2, 200, seed)
        low, high = np.quantile(draws, [0.025, 0.975])
        covered.append(low <= 0.05 <= high)
    assert np.mean(covered) >= 0.85  # 34 of 40: below that with probability 0.003 if 95 % do


def test_replicates_of_many_levels_are_those_of_all_images(monkeypatch):
    _, p = made(3000)
    arguments = p[:, None], np.array([PRIOR]), np.arange(3000) // 3, 20
    value, draws = estimate_prevalence(*arguments)
    monkeypatch.setattr(prior_file, 'LEVELS', 3000)
    exact_value, exact = estimate_prevalence(*arguments)
    assert value == exact_value and (draws != exact).any()
    np.testing.assert_allclose(draws, exact, atol=0.02 * exact.std())


def test_the_shift_of_the_logit_is_bayes_rule():
    p, new = np.array([0.1, 0.5, 0.99]), 0.03
    present, absent = new / PRIOR * p, (1 - new) / (1 - PRIOR) * (1 - p)
    moved = expit(logit(p) + prior_shift(np.array(PRIOR), np.array(new)))
    np.testing.assert_allclose(moved, present / (present + absent))


@pytest.mark.parametrize(
    ('p', 'expected'),
    [(0.01, 0), (0.9, 1), (PRIOR, np.nan), (0.0, 0), (1.0, 1)],
    ids=['all low', 'all high', 'all the prior', 'exactly 0', 'exactly 1'],
)
def test_what_has_no_inner_maximum(p, expected):
    found = shifted_prevalence(np.full(50, p), PRIOR)
    np.testing.assert_allclose(found, [expected], atol=1e-8)


def test_certain_images_are_counted():
    assert shifted_prevalence(np.repeat([0.0, 1.0], [30, 10]), PRIOR)[0] == pytest.approx(0.25)


def test_findings_without_calibration_or_prior_are_left_out():
    _, p = made(200)
    columns = np.stack([p, np.full(200, np.nan), np.full(200, 0.3), p], 1)
    priors = np.array([PRIOR, PRIOR, PRIOR, np.nan])
    calls = []
    values, draws = estimate_prevalence(
        columns, priors, np.arange(200), 9, progress=lambda: calls.append(1)
    )
    assert np.isnan(values).tolist() == [False, True, True, True]
    assert np.isnan(draws).all(0).tolist() == [False, True, True, True]
    assert len(calls) == 4


@pytest.mark.parametrize(
    ('p', 'prior', 'message'),
    [([0.5], 1.0, r'lies in \(0, 1\): 1.0'), ([0.5, 1.5], 0.5, r'lie in \[0, 1\], found 1.5')],
)
def test_bad_input(p, prior, message):
    with pytest.raises(ValueError, match=message):
        shifted_prevalence(np.array(p), prior)


@pytest.mark.parametrize('share', [0.03, 0.9])
def test_equivalent_positives_of_shares_of_independent_images(share):
    """Where labels are known the replicates are shares: the answer is the number of them."""
    draws = np.random.default_rng(0).binomial(1000, share, (200_000, 1)) / 1000
    expected = 1000 * min(share, 1 - share)
    assert equivalent_positives(draws)[0] == pytest.approx(expected, rel=0.02)


def test_a_prevalence_without_bound_is_told_by_nothing():
    draws = np.full((1000, 2), 0.1) + np.linspace(0, 0.01, 1000)[:, None]
    draws[:26, 0] = 1e-10
    draws[:25, 1] = 1e-10
    assert equivalent_positives(draws)[0] == 0 < equivalent_positives(draws)[1]
