"""The smallest difference, against simulations and formulas that do not use its code."""

import numpy as np
import pytest
from scipy.stats import norm

from mlrfnet_mm.evaluation import delong_test, roc_auc
from mlrfnet_mm.evaluation.areas.delong import delong_covariance
from mlrfnet_mm.evaluation.comparison import power
from mlrfnet_mm.evaluation.comparison.power import (
    area_and_influences,
    noise_covariances,
    normal_scores,
    positive_quantiles,
    smallest_differences,
)


def clustered(rng, patients, images, icc, findings=1):
    """Noise (N, K) of patients with so many images each, and their patients."""
    of_patients = rng.standard_normal((patients, findings)).repeat(images, 0)
    own = rng.standard_normal((patients * images, findings))
    return icc**0.5 * of_patients + (1 - icc) ** 0.5 * own, np.arange(patients).repeat(images)


def a_set(rng, patients=150, images=4, icc=0.5, findings=1, shift=1.0):
    """Scores, labels of patients, and patients."""
    noise, index = clustered(rng, patients, images, icc, findings)
    labels = (rng.permutation(patients)[index] < patients // 3).astype(float)[:, None]
    labels = np.tile(labels, (1, findings))
    return noise + shift * labels, labels, index


def test_areas_and_their_variance_are_those_of_delong():
    rng = np.random.default_rng(0)
    scores, labels, index = a_set(rng, images=3)
    other = scores + rng.standard_normal(scores.shape)
    y = labels[:, 0] == 1
    found = []
    for values in (scores[:, 0], other[:, 0]):
        order = np.argsort(values[~y])
        owners = index[y], index[~y][order]
        found.append(area_and_influences(values[y], values[~y][order], owners, 150))
    aucs, covariance = delong_covariance(np.stack([scores[:, 0], other[:, 0]]), labels[:, 0], index)
    np.testing.assert_allclose([auc for auc, _ in found], aucs)
    a, b = (influence for _, influence in found)
    np.testing.assert_allclose([[a @ a, a @ b], [a @ b, b @ b]], covariance)


@pytest.mark.parametrize(('images', 'icc'), [(1, 0.0), (4, 0.5)])
def test_a_real_test_finds_it_in_80_of_100(images, icc):
    """Binormal scores, correlation 1/2, by DeLong's test of this project, 300 sets."""
    rng = np.random.default_rng(1)
    scores, labels, index = a_set(rng, 300 // images * 2, images, icc)
    found = smallest_differences(scores, labels, index)
    difference, auc = found.findings[0], roc_auc(scores, labels)[0]
    shifts = 2**0.5 * norm.ppf([auc, auc + difference])
    shown = []
    for _ in range(300):
        draws = [clustered(rng, len(np.unique(index)), images, icc)[0] for _ in range(3)]
        a, b = ((draws[0] + own) / 2**0.5 for own in draws[1:])
        shown.append(delong_test(a + shifts[0] * labels, b + shifts[1] * labels, labels, index)[0])
    # standard errors of 0.02 each: of these 300 sets, and of the 400 that the difference comes from
    assert np.mean(np.array(shown) < 0.05) == pytest.approx(0.8, abs=0.07)


def test_a_correlated_second_model_needs_less():
    rng = np.random.default_rng(2)
    scores, labels, index = a_set(rng)
    near = scores + 0.3 * rng.standard_normal(scores.shape)
    alone = smallest_differences(scores, labels, index)
    paired = smallest_differences(scores, labels, index, other=near)
    assert alone.correlation[0] == power.ASSUMED
    assert paired.correlation[0] == pytest.approx(1 / 1.09**0.5, abs=0.02)
    # the variance of a difference is as 1 - correlation
    ratio = ((1 - paired.correlation[0]) / (1 - power.ASSUMED)) ** 0.5
    assert paired.findings[0] / alone.findings[0] == pytest.approx(ratio, rel=0.2)


def test_the_mean_of_independent_findings_needs_less_by_the_root_of_their_number():
    rng = np.random.default_rng(3)
    scores, labels, index = a_set(rng, patients=400, images=1, icc=0, findings=9)
    labels = np.stack([rng.permutation(labels[:, 0]) for _ in range(9)], 1)
    scores = rng.standard_normal(labels.shape) + labels
    found = smallest_differences(scores, labels, index)
    assert found.mean == pytest.approx(found.findings.mean() / 3, rel=0.15)
    # Bonferroni over nine: (2.77 + 0.84) / (1.96 + 0.84)
    factor = (norm.isf(0.025 / 9) + norm.ppf(0.8)) / (norm.isf(0.025) + norm.ppf(0.8))
    np.testing.assert_allclose(found.corrected / found.findings, factor, rtol=0.1)


def test_findings_that_go_together_gain_nothing_from_being_many():
    rng = np.random.default_rng(4)
    scores, labels, index = a_set(rng, images=1, icc=0)
    found = smallest_differences(scores.repeat(4, 1), labels.repeat(4, 1), index)
    assert found.mean == pytest.approx(found.findings.mean(), rel=0.15)


@pytest.mark.parametrize('icc', [0.0, 0.6])
def test_covariances_are_found_again(icc):
    rng = np.random.default_rng(5)
    noise, index = clustered(rng, 3000, 3, icc, 2)
    noise[:, 1] = 0.8 * noise[:, 0] + 0.6 * noise[:, 1]
    of_patients, of_images = noise_covariances(noise, np.ones(noise.shape, bool), index)
    expected = np.array([[1, 0.8], [0.8, 1]])
    np.testing.assert_allclose(of_patients, icc * expected, atol=0.05)
    np.testing.assert_allclose(of_images, (1 - icc) * expected, atol=0.05)


def test_one_image_per_patient_has_no_effect_of_patients():
    noise = np.random.default_rng(6).standard_normal((50, 3))
    of_patients, of_images = noise_covariances(noise, np.ones((50, 3), bool), np.arange(50))
    assert not of_patients.any()
    np.testing.assert_allclose(np.diag(of_images), 1)


def test_normal_scores_are_within_labels_and_unknown_ones_0():
    labels = np.array([0, 1, 0, 1, 0, np.nan])[:, None]
    found = normal_scores(np.array([0.1, 0.2, 0.3, 0.9, 0.2, 0.5])[:, None], labels)[:, 0]
    expected = norm.ppf([1 / 6, 1 / 4, 5 / 6, 3 / 4, 1 / 2]).tolist()
    np.testing.assert_allclose(found, [*expected, 0], atol=1e-12)


def test_positives_keep_their_roc_curve():
    rng = np.random.default_rng(7)
    labels = (rng.random(2000) < 0.3).astype(float)
    scores = rng.standard_normal(2000) + labels * rng.choice([0, 4], 2000)  # far from binormal
    quantiles = positive_quantiles(scores, labels)
    found = norm.cdf(quantiles).mean()
    assert found == pytest.approx(roc_auc(scores[:, None], labels[:, None])[0], abs=1e-3)


def test_what_cannot_be_said():
    rng = np.random.default_rng(8)
    scores, labels, index = a_set(rng, findings=4, images=1, icc=0)
    labels[:, 1] = 0  # undefined
    labels[:, 2] = np.arange(150) < 5  # few
    scores[:, 3] = labels[:, 3] + 0.01 * rng.random(150)  # no room above
    found = smallest_differences(scores, labels, index, np.array([True, True, False, False]))
    assert np.isnan(found.findings).tolist() == [False, True, True, True]
    assert found.mean == pytest.approx(found.findings[0], rel=0.1)
    assert np.isnan(found.correlation).tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match='no finding has both'):
        smallest_differences(scores, np.zeros_like(labels), index)


def test_the_mean_of_no_scored_finding_is_undefined():
    rng = np.random.default_rng(9)
    scores, labels, index = a_set(rng, findings=2, images=1, icc=0)
    labels[:, 1] = 0
    found = smallest_differences(scores, labels, index, np.array([False, True]))
    assert np.isnan(found.mean) and found.findings[0] > 0


def test_a_large_set_takes_fewer_runs(monkeypatch):
    monkeypatch.setattr(power, 'BUDGET', 30_000)
    rng = np.random.default_rng(10)
    scores, labels, index = a_set(rng, images=1, icc=0)
    assert smallest_differences(scores, labels, index).runs == 200
    monkeypatch.setattr(power, 'BUDGET', 0)
    assert smallest_differences(scores, labels, index).runs == power.LEAST_RUNS
    unknown = labels.copy()
    unknown[:40] = np.nan
    fewer = smallest_differences(scores, unknown, index)
    assert fewer.findings[0] > smallest_differences(scores, labels, index).findings[0]
