"""Non-inferiority and equivalence by bootstrap, against the normal formulas and by simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from mlrfnet_mm.evaluation.comparison.margin import margin_test


@pytest.mark.parametrize('difference', [-0.03, -0.01, 0.0, 0.005, 0.04])
def test_normal_replicates_are_the_normal_test(difference):
    error, margin = 0.01, 0.02
    draws = norm.ppf((np.arange(20_000) + 0.5) / 20_000, difference, error)
    found = margin_test(draws, margin)
    p_above = norm.sf((difference + margin) / error)
    p_below = norm.cdf((difference - margin) / error)
    np.testing.assert_allclose([found.p_above, found.p_below], [p_above, p_below], atol=2e-4)
    half = norm.ppf(0.95) * error
    np.testing.assert_allclose(found.ends, [difference - half, difference + half], atol=1e-4)
    assert found.not_inferior == (p_above < 0.05)
    assert found.equivalent == (max(p_above, p_below) < 0.05)
    assert found.p_inside == max(found.p_above, found.p_below)


def test_several_at_once_and_undefined_ones():
    draws = np.random.default_rng(0).normal([-0.5, 0, 0.5, 0], 0.01, (500, 4))
    draws[:, 3] = np.nan
    draws[::2, 1] = np.nan
    found = margin_test(draws, 0.1)
    assert found.not_inferior.tolist() == [False, True, True, False]
    assert found.equivalent.tolist() == [False, True, False, False]
    assert np.isnan(found.p_above[3]) and found.p_above[1] == pytest.approx(1 / 251)


def test_at_the_margin_it_is_shown_in_one_of_twenty():
    """2,000 sets whose true difference is -margin, of 40 pairs each."""
    rng = np.random.default_rng(1)
    shown = []
    for _ in range(2000):
        pairs = rng.normal(-0.1, 0.3, 40)
        draws = pairs[rng.integers(40, size=(400, 40))].mean(1)
        shown.append(margin_test(draws, 0.1).not_inferior)
    assert np.mean(shown) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize('margin', [0, -0.02, 1.0, float('nan')])
def test_a_margin_is_between_0_and_1(margin):
    with pytest.raises(ValueError, match='margin must be above 0 and below 1'):
        margin_test(np.zeros(100), margin)
