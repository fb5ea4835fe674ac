"""PPV at a prevalence, net benefit, calibration slope: formulas, scikit-learn, statsmodels."""

import numpy as np
import pytest
from builders import make_predictions
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

from mlrfnet_mm.evaluation import Predictions, patient_weights, percentile_interval
from mlrfnet_mm.evaluation.calibration.slope import calibration_slope
from mlrfnet_mm.evaluation.thresholds.net_benefit import decision_curves
from mlrfnet_mm.evaluation.thresholds.predictive_values import predictive_points, predictive_values


def make(n=400, seed=0, slope=1.0, shift=0.0):
    """Probabilities that would be right with another slope and shift; 2 images a patient."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-1, 1.2, (n, 3))
    labels = (rng.random((n, 3)) < expit(slope * x + shift)).astype(np.float32)
    labels[rng.random((n, 3)) < 0.1] = np.nan
    labels[:, 2] = 0
    return expit(x), labels, np.array([f'p{i // 2}' for i in range(n)])


def predictions(scores, labels, patients):
    names = np.array([f'{i}.png' for i in range(len(scores))])
    return Predictions(
        scores, labels, names, patients, np.array(['a', 'b', 'c']), 'X official/test'
    )


def test_bayes_equals_counting_people():
    """Of 10,000 of whom 2 % have it, sensitivity 0.8 and specificity 0.9."""
    tp, fn, fp, tn = 160, 40, 980, 8820
    ppv, npv = predictive_values(np.array(0.8), np.array(0.9), 0.02)
    assert ppv == pytest.approx(tp / (tp + fp)) and npv == pytest.approx(tn / (tn + fn))
    assert np.isnan(predictive_values(np.array(0.0), np.array(1.0), 0.5)[0])
    for share in (0, 1, -0.2, np.nan):
        with pytest.raises(ValueError, match=f'between 0 and 1, got {float(share)}'):
            predictive_values(np.array(0.8), np.array(0.9), share)


def test_at_the_test_set_s_own_prevalence_ppv_is_the_precision():
    scores, labels, patients = make()
    own = np.nanmean(labels, 0)
    own[2] = 0.5
    thresholds = np.array([0.3, 0.4, np.nan])
    found = predictive_points(predictions(scores, labels, patients), thresholds, own, 50, 3)
    index, weights = patient_weights(patients, 50, 3)
    for k in (0, 1):
        known = ~np.isnan(labels[:, k])
        y, called = labels[known, k], scores[known, k] >= thresholds[k]
        tn, fp, fn, tp = confusion_matrix(y, called).ravel()
        expected = [tp / (tp + fn), tn / (tn + fp), tp / (tp + fp), tn / (tn + fn)]
        np.testing.assert_allclose(found.values[:, k], expected)
        draws = []
        for row in weights:
            tn, fp, fn, tp = confusion_matrix(y, called, sample_weight=row[index][known]).ravel()
            se, sp, share = tp / (tp + fn), tn / (tn + fp), own[k]
            ppv = se * share / (se * share + (1 - sp) * (1 - share))
            draws.append([se, sp, ppv, sp * (1 - share) / (sp * (1 - share) + (1 - se) * share)])
        expected = percentile_interval(np.array(draws))
        np.testing.assert_allclose(found.intervals[..., k], expected)
    assert np.isnan(found.values[:, 2]).all() and np.isnan(found.intervals[..., 2]).all()


def test_net_benefit_equals_the_formula_in_every_replicate():
    p, labels, patients = make()
    t = np.array([0.05, 0.2, 0.5])
    p[:7, 0] = 0.2  # at the threshold: called
    curves = decision_curves(p, labels, patients, t, 60, 4)
    index, weights = patient_weights(patients, 60, 4)
    for k in (0, 1):
        draws, gains = [], []
        for row in [np.ones(len(weights[0])), *weights]:
            known = ~np.isnan(labels[:, k])
            w, y = row[index][known], labels[known, k]
            own, everyone = [], []
            for threshold in t:
                called, odds = p[known, k] >= threshold, threshold / (1 - threshold)
                own.append((w * called * y).sum() / w.sum())
                own[-1] -= (w * called * (1 - y)).sum() / w.sum() * odds
                share = (w * y).sum() / w.sum()
                everyone.append(share - (1 - share) * odds)
            draws.append(own)
            gains.append(np.array(own) - np.maximum(everyone, 0))
            if len(draws) == 1:
                np.testing.assert_allclose(curves.everyone[:, k], everyone)
        np.testing.assert_allclose(curves.model[:, k], draws[0])
        np.testing.assert_allclose(curves.gain[:, k], gains[0])
        ends = percentile_interval(np.array(draws[1:])), percentile_interval(np.array(gains[1:]))
        np.testing.assert_allclose(curves.model_ends[..., k], ends[0])
        np.testing.assert_allclose(curves.gain_ends[..., k], ends[1])
    assert np.isnan(curves.model[:, 2]).all() and np.isnan(curves.model_ends[..., 2]).all()


def test_net_benefit_of_calling_all_and_none_is_that_of_the_two_strategies():
    _, labels, patients = make()
    t = np.array([0.1, 0.3])
    for p, expected in ((1.0, 'everyone'), (0.0, None)):
        curves = decision_curves(np.full(labels.shape, p), labels, patients, t, 10)
        other = getattr(curves, expected)[:, :2] if expected else np.zeros((2, 2))
        np.testing.assert_allclose(curves.model[:, :2], other)
    with pytest.raises(ValueError, match=r'rise between 0 and 1, got \[0.3, 0.1\]'):
        decision_curves(labels, labels, patients, t[::-1])


def newton(x, y, with_slope):
    """Cox's regression by Newton's method; parameters (intercept, slope) and the Hessian."""
    design = np.stack([np.ones_like(x), x], 1) if with_slope else np.ones((len(x), 1))
    offset = 0 if with_slope else x
    theta = np.zeros(design.shape[1])
    for _ in range(50):
        p = expit(design @ theta + offset)
        hessian = (design.T * (p * (1 - p))) @ design
        theta = theta + np.linalg.solve(hessian, design.T @ (y - p))
    return theta, hessian, design * (y - p)[:, None]


@pytest.mark.parametrize(('slope', 'shift'), [(1.0, 0.0), (0.5, -0.7), (2.0, 1.0)])
def test_slope_and_intercept_equal_cox_s_regression_by_patient(slope, shift):
    p, labels, patients = make(slope=slope, shift=shift)
    found = calibration_slope(p, labels, patients)
    for k in (0, 1):
        known = ~np.isnan(labels[:, k])
        x, y, who = logit(p[known, k]), labels[known, k], patients[known]
        model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=5000).fit(x[:, None], y)
        expected = [model.coef_[0, 0], model.intercept_[0]]
        np.testing.assert_allclose(found.values[:2, k], expected, rtol=1e-4)
        for with_slope, places in ((True, [1, 0]), (False, [2])):
            theta, hessian, gradients = newton(x, y, with_slope)
            names = np.unique(who)
            sums = np.array([gradients[who == name].sum(0) for name in names])
            half = np.linalg.inv(hessian) @ sums.T
            variance = half @ half.T * len(names) / (len(names) - 1)
            error = 1.959963984540054 * np.sqrt(np.diag(variance))
            np.testing.assert_allclose(found.values[places, k], theta, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(found.intervals[0, places, k], theta - error, rtol=1e-5)
            np.testing.assert_allclose(found.intervals[1, places, k], theta + error, rtol=1e-5)
        assert found.intervals[0, 0, k] < slope < found.intervals[1, 0, k]
    assert np.isnan(found.values[:, 2]).all() and np.isnan(found.intervals[..., 2]).all()


def test_slope_and_errors_equal_statsmodels():
    api = pytest.importorskip('statsmodels.api', reason='statsmodels is not installed')
    p, labels, patients = make(slope=0.7, shift=0.4)
    found = calibration_slope(p, labels, patients)
    known = ~np.isnan(labels[:, 0])
    x, y = logit(p[known, 0]), labels[known, 0]
    groups = np.unique(patients[known], return_inverse=True)[1]
    count = groups.max() + 1
    options = dict(cov_type='cluster', cov_kwds=dict(groups=groups, use_correction=False), disp=0)
    for design, offset, places in (
        (np.stack([x, np.ones_like(x)], 1), None, [0, 1]),
        (np.ones_like(x), x, [2]),
    ):
        fitted = api.Logit(y, design, offset=offset).fit(**options)
        errors = fitted.bse * np.sqrt(count / (count - 1))
        np.testing.assert_allclose(found.values[places, 0], fitted.params, rtol=1e-5)
        half = (found.intervals[1, places, 0] - found.intervals[0, places, 0]) / 2
        np.testing.assert_allclose(half, 1.959963984540054 * errors, rtol=1e-5)


def test_calibration_in_the_large_makes_the_expected_the_observed():
    p, labels, patients = make(shift=1.5)
    shift = calibration_slope(p, labels, patients).values[2, 0]
    known = ~np.isnan(labels[:, 0])
    assert expit(logit(p[known, 0]) + shift).sum() == pytest.approx(labels[known, 0].sum())


def test_twice_the_same_images_of_a_patient_change_no_interval():
    """What says nothing new must not make an interval narrower."""
    p, labels, patients = make()
    once = calibration_slope(p, labels, patients)
    twice = calibration_slope(*(np.concatenate([a, a]) for a in (p, labels, patients)))
    np.testing.assert_allclose(once.intervals, twice.intervals, rtol=1e-6, equal_nan=True)


def test_what_has_no_slope():
    labels = np.repeat([[1.0], [0.0]], 15, 0)
    patients = np.arange(30)
    for p in (0.1 + 0.8 * labels, 0.9 - 0.8 * labels, 0.3 + 0 * labels):  # separable; all alike
        found = calibration_slope(p, labels, patients)
        assert np.isnan(found.values[:2]).all()
        assert np.isfinite(found.values[2]).all() and np.isfinite(found.intervals[:, 2]).all()
    assert found.values[2, 0] == pytest.approx(logit(0.5) - logit(0.3))
    few = calibration_slope(np.linspace(0.2, 0.8, 30)[:, None], np.eye(30)[:, [5]], patients)
    assert np.isfinite(few.values).all() and np.isnan(few.intervals).all()
    none = calibration_slope(np.full((30, 1), np.nan), labels, patients)
    assert np.isnan(none.values).all()


def test_each_takes_a_part_of_the_predictions():
    """As for a group: the part is computed as if it were all there is."""
    test = make_predictions(n=240)
    part = test.rows(np.arange(240) % 3 == 0)
    whole = predictive_points(part, np.array([0.5] * 3), 0.1, 20)
    for k in (0, 2):
        positives = part.scores[part.labels[:, k] == 1, k]
        assert whole.values[0, k] == pytest.approx((positives >= 0.5).mean())
