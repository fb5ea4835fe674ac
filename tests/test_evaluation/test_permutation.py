"""Statistics and shuffles of two sets, against scipy."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp, permutation_test

from mlrfnet_mm.evaluation.shift.permutation import (
    chi_square_statistics,
    ks_statistics,
    permutation_p,
    shuffle_sides,
)
from mlrfnet_mm.evaluation.shift.stability import index_of_counts, stability_index


@pytest.mark.parametrize('ties', [False, True])
def test_ks_is_scipy_s(ties):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(300)
    values = values.round(1) if ties else values
    sides = rng.random((20, 300)) < 0.3
    expected = [ks_2samp(values[side], values[~side]).statistic for side in sides]
    np.testing.assert_allclose(ks_statistics(values, sides), expected)


def test_chi_square_is_scipy_s():
    rng = np.random.default_rng(0)
    names = rng.choice(['PA', 'AP', 'LL'], 200, p=[0.6, 0.3, 0.1])
    sides = rng.random((9, 200)) < 0.4
    for side, found in zip(sides, chi_square_statistics(names, sides), strict=True):
        counts = [[(names[s] == name).sum() for name in np.unique(names)] for s in (side, ~side)]
        assert found == pytest.approx(chi2_contingency(counts, correction=False).statistic)


def test_a_set_that_is_empty_after_a_shuffle_has_no_statistic():
    sides = np.array([[True, True, True], [True, False, False]])
    assert np.isnan(ks_statistics(np.arange(3.0), sides)).tolist() == [True, False]
    assert np.isnan(chi_square_statistics(np.array(['a', 'b', 'a']), sides)).tolist() == [
        True,
        False,
    ]


def test_p_is_scipy_s_where_each_patient_has_one_image():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(60), rng.standard_normal(50) + 0.5
    values, second = np.concatenate([a, b]), np.arange(110) >= 60
    found = ks_statistics(values, shuffle_sides(np.arange(110), second, 4000))
    p = permutation_p(ks_statistics(values, second[None])[0], found)
    reference = permutation_test(
        (a, b), lambda x, y: ks_2samp(x, y).statistic, n_resamples=2000, alternative='greater',
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert p == pytest.approx(reference.pvalue, abs=0.02) and 0.005 < p < 0.3


def test_p_counts_the_set_itself():
    """Phipson & Smyth's (b + 1) / (m + 1): it is never 0, and equal statistics count."""
    shuffled = np.array([1.0, 2.0, 3.0, np.nan])
    assert [permutation_p(x, shuffled) for x in (4.0, 3.0, 1.5, 0.0)] == [0.25, 0.5, 0.75, 1]


def test_patients_move_as_a_whole_and_their_number_stays():
    patients = np.repeat(np.arange(30), 3)
    second = patients >= 20
    sides = shuffle_sides(patients, second, 50)
    by_patient = sides.reshape(50, 30, 3)
    assert (by_patient == by_patient[:, :, :1]).all()
    assert (by_patient[:, :, 0].sum(1) == 10).all()
    assert len({row.tobytes() for row in sides}) == 50


def test_a_patient_of_both_sets_swaps_the_two_parts():
    patients = np.array(['a', 'a', 'a', 'b', 'c'])
    second = np.array([True, False, False, True, False])
    sides = shuffle_sides(patients, second, 2000)
    parts = {tuple(row[:3]) for row in sides.tolist()}
    assert parts == {(True, False, False), (False, True, True)}
    assert (sides[:, 3] != sides[:, 4]).all()  # one of the others stays in each
    assert abs(sides[:, 0].mean() - 0.5) < 0.05 and abs(sides[:, 3].mean() - 0.5) < 0.05


@pytest.mark.parametrize(
    ('second', 'replicates', 'message'),
    [([True, True], 9, 'one of them has no image'), ([True, False], 0, 'at least 1, got 0')],
)
def test_bad_input(second, replicates, message):
    with pytest.raises(ValueError, match=message):
        shuffle_sides(np.arange(2), np.array(second), replicates)


def test_halves_of_one_set_alarm_seldom_where_images_are_not_independent():
    """60 patients with 1 to 10 images, nearly alike: scipy's test takes them for 330 patients."""
    rng = np.random.default_rng(0)
    ours, images = [], []
    for seed in range(150):
        index = np.repeat(np.arange(60), rng.integers(1, 11, 60))
        own, noise = rng.standard_normal(60), rng.standard_normal(len(index))
        values = own[index] + 0.3 * noise
        second = (rng.permutation(60) < 30)[index]
        sides = shuffle_sides(index, second, 99, seed)
        found = ks_statistics(values, np.vstack([second, sides]))
        ours.append(permutation_p(found[0], found[1:]) <= 0.05)
        images.append(ks_2samp(values[second], values[~second]).pvalue <= 0.05)
    assert np.mean(ours) <= 0.11  # 16 of 150: more with probability 0.001 if 5 % are
    assert np.mean(images) > 0.4


@pytest.mark.parametrize('bins', [2, 10])
def test_psi_is_the_formula(bins):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(1000), rng.standard_normal(700) + 0.3
    edges = np.quantile(a, np.arange(1, bins) / bins)
    counts = [np.histogram(x, [-np.inf, *edges, np.inf])[0] for x in (a, b)]
    p, q = ((n + 0.5) / (n.sum() + bins / 2) for n in counts)
    assert stability_index(a, b, bins) == pytest.approx(np.sum((q - p) * np.log(q / p)))


def test_psi_without_shift_is_as_large_as_its_theory_says():
    """Yurdakul (2018): mean (B - 1) (1 / n + 1 / m)."""
    rng = np.random.default_rng(0)
    found = [
        stability_index(rng.standard_normal(400), rng.standard_normal(800)) for _ in range(300)
    ]
    assert np.mean(found) == pytest.approx(9 * (1 / 400 + 1 / 800), rel=0.1)


def test_psi_of_equal_and_of_empty_sets():
    values = np.arange(100.0)
    assert stability_index(values, values) == 0
    assert np.isnan(stability_index(values, values[:0]))
    assert np.isnan(stability_index(values[:0], values))
    assert np.isnan(index_of_counts(np.zeros(2), np.ones(2)))
    same = stability_index(np.zeros(50), np.ones(50))  # one edge, at 0: all beyond it
    p, q = 50.5 / 51, 0.5 / 51
    assert same == pytest.approx(2 * (p - q) * np.log(p / q))
