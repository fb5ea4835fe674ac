import shutil
import subprocess

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation import bootstrap_auc, delong_interval, delong_test, holm
from mlrfnet_mm.evaluation.areas.delong import delong_covariance


def has_proc():
    """Whether R with the package pROC is there."""
    command = ['Rscript', '-e', 'library(pROC)']
    return (
        bool(shutil.which('Rscript'))
        and not subprocess.run(command, capture_output=True).returncode
    )


def draw(n=120, k=3, ties=False, seed=0, gain=1.0):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, k)) < 0.3).astype(float)
    scores = rng.standard_normal((n, k)) + gain * labels
    return (np.round(scores) if ties else scores), labels


def by_pairs(scores, labels):
    """DeLong 1988, equations 3 to 6, over all pairs: (AUCs, covariance) of the models' rows."""
    x, y = scores[:, labels == 1], scores[:, labels == 0]
    psi = (x[:, :, None] > y[:, None]) + 0.5 * (x[:, :, None] == y[:, None])  # (M, m, n)
    theta = psi.mean((1, 2))
    m, n = psi.shape[1:]
    d10 = psi.mean(2) - theta[:, None]
    d01 = psi.mean(1) - theta[:, None]
    return theta, d10 @ d10.T / (m - 1) / m + d01 @ d01.T / (n - 1) / n


@pytest.mark.parametrize('ties', [False, True])
def test_covariance_equals_the_structural_components_over_all_pairs(ties):
    scores, labels = draw(ties=ties)
    models, y = scores.T, labels[:, 0]
    aucs, covariance = delong_covariance(models, y)
    expected_aucs, expected = by_pairs(models, y)
    np.testing.assert_allclose(aucs, expected_aucs, rtol=1e-12)
    np.testing.assert_allclose(aucs, [roc_auc_score(y, s) for s in models], rtol=1e-12)
    np.testing.assert_allclose(covariance, expected, rtol=1e-9, atol=1e-15)


def test_covariance_by_hand():
    # Positives 3, 1; negatives 2, 0. Of the pairs 3>2, 3>0, 1<2, 1>0 three are right: 0.75.
    # V10 = (1, 0.5), V01 = (0.5, 1): each has variance 0.125; 0.125 / 2 + 0.125 / 2 = 0.125.
    scores, labels = np.array([[3.0], [1.0], [2.0], [0.0]]), np.array([[1.0], [1.0], [0.0], [0.0]])
    aucs, covariance = delong_covariance(scores.T, labels[:, 0])
    assert aucs == pytest.approx([0.75])
    assert covariance == pytest.approx(np.array([[0.125]]))
    low, high = delong_interval(scores, labels, level=0.5)[:, 0]
    assert low == pytest.approx(0.75 - 0.6744898 * 0.125**0.5)
    assert high == pytest.approx(0.75 + 0.6744898 * 0.125**0.5)
    assert delong_interval(scores, labels)[1, 0] == 1  # 1.44 is cut


def test_variance_is_near_the_jackknife_over_images():
    scores, labels = draw(n=300)
    x, y = scores[:, 0], labels[:, 0]
    left_out = [roc_auc_score(np.delete(y, i), np.delete(x, i)) for i in range(300)]
    jackknife = 299 / 300 * ((left_out - np.mean(left_out)) ** 2).sum()
    assert delong_covariance(x[None], y)[1][0, 0] == pytest.approx(jackknife, rel=0.02)


def test_p_value_follows_from_the_pairs():
    (a, labels), (b, _) = draw(), draw(seed=1)
    b = b + a
    for k, p in enumerate(delong_test(a, b, labels)):
        theta, covariance = by_pairs(np.stack([a[:, k], b[:, k]]), labels[:, k])
        contrast = np.array([1, -1])
        z = contrast @ theta / np.sqrt(contrast @ covariance @ contrast)
        assert p == pytest.approx(2 * norm.cdf(-abs(z)), rel=1e-9)
    np.testing.assert_allclose(delong_test(b, a, labels), delong_test(a, b, labels))


def test_a_model_against_itself_and_against_its_logits_has_p_1():
    scores, labels = draw(ties=True)
    assert (delong_test(scores, scores, labels) == 1).all()
    assert (delong_test(scores, np.exp(scores), labels) == 1).all()  # same order


def test_no_information_is_no_p_value():
    labels = np.array([1.0, 1, 0, 0])[:, None]
    assert np.isnan(delong_test(labels, np.zeros((4, 1)), labels)).all()  # AUC 1 against 0.5


def test_corner_cases():
    scores, labels = draw(k=4)
    labels[:, 1] = 0  # one-sided
    labels[:, 2] = np.arange(120) == 5  # one positive: an AUC, no variance
    labels[:40, 3] = np.nan
    interval = delong_interval(scores, labels)
    assert np.isnan(interval[:, 1:3]).all()
    assert np.isnan(delong_test(scores, scores[::-1], labels)[1:3]).all()
    np.testing.assert_array_equal(
        interval[:, 3:], delong_interval(scores[40:, 3:], labels[40:, 3:])
    )


def test_an_auc_of_1_has_no_interval():
    labels = np.repeat([[1.0], [0.0]], 20, axis=0)
    assert np.isnan(delong_interval(labels, labels)).all()


def test_intervals_cover_the_true_auc():
    # 400 studies of 100 images, as 400 classes; binormal, AUC = Φ(1 / √2) = 0.760.
    scores, labels = draw(n=100, k=400)
    low, high = delong_interval(scores, labels)
    truth = norm.cdf(1 / 2**0.5)
    covered = ((low <= truth) & (truth <= high)).mean()
    assert 0.95 - 0.033 < covered < 0.95 + 0.033  # 3 standard errors of 400 trials


def draw_patients(patients=60, seed=0, share=0.7, by_patient=False):
    """Scores and labels of patients with 1 to 4 images, alike within a patient."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    effect = rng.standard_normal(patients)[patient] * share**0.5
    labels = (rng.random(len(patient)) < 0.4).astype(float)
    labels = labels[np.searchsorted(patient, patient)] if by_patient else labels
    scores = effect + rng.standard_normal(len(patient)) * (1 - share) ** 0.5 + labels
    return scores, labels, patient


def by_definition(scores, labels, patient):
    """Obuchowski 1997, equations 2 to 7, by loops over patients; (M, M)."""
    x, y = labels == 1, labels == 0
    psi = (scores[:, x, None] > scores[:, None, y]) + 0.5 * (
        scores[:, x, None] == scores[:, None, y]
    )
    theta, m, n = psi.mean((1, 2)), x.sum(), y.sum()
    v10, v01 = psi.mean(2), psi.mean(1)
    s10, s01, s11 = (np.zeros((len(scores), len(scores))) for _ in range(3))
    for c in set(patient):
        a = v10[:, patient[x] == c].sum(1) - (patient[x] == c).sum() * theta
        b = v01[:, patient[y] == c].sum(1) - (patient[y] == c).sum() * theta
        s10 += np.outer(a, a)
        s01 += np.outer(b, b)
        s11 += np.outer(a, b)
    i10, i01, i = len(set(patient[x])), len(set(patient[y])), len(set(patient))
    s10, s01 = s10 * i10 / (i10 - 1) / m, s01 * i01 / (i01 - 1) / n
    s11 = s11 * i / (i - 1)
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


@pytest.mark.parametrize('ties', [False, True])
def test_clustered_covariance_equals_obuchowski_s_definition(ties):
    first, labels, patient = draw_patients()
    models = np.stack([first, first + np.random.default_rng(5).standard_normal(len(first))])
    models = np.round(models) if ties else models
    _, covariance = delong_covariance(models, labels, patient)
    np.testing.assert_allclose(covariance, by_definition(models, labels, patient), rtol=1e-9)


def test_with_one_image_per_patient_it_is_delong_s():
    scores, labels = draw()
    names = np.array([f'p{i}' for i in range(120)])[::-1]
    for x, y in ((scores.T, labels[:, 0]),):
        np.testing.assert_allclose(delong_covariance(x, y, names)[1], delong_covariance(x, y)[1])


def test_clustered_variance_is_near_the_bootstrap_over_patients():
    scores, labels, patient = draw_patients(300, by_patient=True)
    variance = delong_covariance(scores[None], labels, patient)[1][0, 0]
    draws = bootstrap_auc(scores[:, None], labels[:, None], patient, 2000)
    assert variance == pytest.approx(draws.var(), rel=0.15)
    assert variance > 1.3 * delong_covariance(scores[None], labels)[1][0, 0]  # too small by far


R = """
library(pROC)
data(aSAH)
y <- as.numeric(aSAH$outcome == 'Poor')
a <- roc(y, aSAH$s100b, quiet = TRUE, direction = '<')
b <- roc(y, as.numeric(aSAH$wfns), quiet = TRUE, direction = '<')
cat(y, aSAH$s100b, as.numeric(aSAH$wfns), ci.auc(a), ci.auc(b),
    roc.test(a, b, method = 'delong')$p.value)
"""


@pytest.mark.skipif(not has_proc(), reason='R with pROC is not installed')
def test_r_s_proc_on_its_published_example():
    """The aSAH data of Robin et al., BMC Bioinformatics 12 (2011) 77, computed by their package."""
    printed = subprocess.run(['Rscript', '-e', R], capture_output=True, text=True, check=True)
    numbers = np.array(printed.stdout.split(), float)
    y, s100b, wfns = numbers[:-7].reshape(3, 113)
    assert numbers[-6] == pytest.approx(0.7314, abs=5e-5)  # AUC of S100B, as in the paper
    for x, ends in ((s100b, numbers[-7:-4]), (wfns, numbers[-4:-1])):
        low, high = delong_interval(x[:, None], y[:, None])[:, 0]
        assert (low, high) == pytest.approx((ends[0], ends[2]), abs=1e-7)
    assert delong_test(s100b[:, None], wfns[:, None], y[:, None])[0] == pytest.approx(
        numbers[-1], abs=1e-7
    )


def test_p_values_are_uniform_where_the_models_are_equally_good():
    rng = np.random.default_rng(3)
    common, labels = draw(n=100, k=400)
    a, b = (common + rng.standard_normal(common.shape) for _ in range(2))
    rejected = (delong_test(a, b, labels) < 0.05).mean()
    assert 0.05 - 0.033 < rejected < 0.05 + 0.033


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04 → monotone 0.06.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    # NaN is not a test: of two, the smaller p counts twice, and 0.6 × 2 is cut at 1.
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04])
    np.testing.assert_allclose(holm(np.array([0.6, np.nan, 0.7])), [1, np.nan, 1])
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()


def test_unknown_labels_do_not_count_in_the_test():
    (a, labels), (b, _) = draw(), draw(seed=1)
    labels[:40, 1] = np.nan
    assert delong_test(a, b, labels)[1] == delong_test(a[40:], b[40:], labels[40:])[1]


def test_one_swapped_pair_has_a_p_value():
    labels = np.repeat([[1.0], [0.0]], 2000, axis=0)
    best = np.arange(4000.0, 0, -1)[:, None]
    other = best.copy()
    other[[1999, 2000]] = other[[2000, 1999]]  # difference 1 / mn, variance 2 / (mn)²
    assert delong_test(best, other, labels) == pytest.approx(2 * norm.sf(0.5**0.5), rel=1e-3)
