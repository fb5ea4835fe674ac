import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from mlrfnet_mm.evaluation import (
    Calibration,
    Thresholds,
    brier_score,
    calibration_error,
    fit_calibration,
    reliability_curve,
)
from mlrfnet_mm.evaluation.calibration.file import logits, sigmoid


def made(n=20000, scale=3.0, bias=-1.5, seed=0):
    """Scores whose true probability is sigmoid(scale · logit + bias)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-0.8, 0.7, (n, 1))
    labels = (rng.random((n, 1)) < expit(scale * x + bias)).astype(np.float32)
    return expit(x), labels


def logistic(x, y, intercept=True):
    model = LogisticRegression(C=np.inf, fit_intercept=intercept, tol=1e-10, max_iter=1000)
    model.fit(x[:, None], y)
    return model.coef_[0, 0], model.intercept_[0] if intercept else 0


def platt_loss(parameters, x, y):
    m, n = y.sum(), (1 - y).sum()
    t = np.where(y == 1, (m + 1) / (m + 2), 1 / (n + 2))
    z = parameters[0] * x + (parameters[1] if len(parameters) > 1 else 0)
    return -(t * log_expit(z) + (1 - t) * log_expit(-z)).sum()


@pytest.mark.parametrize(('method', 'bias'), [('platt', -1.5), ('temperature', 0.0)])
def test_known_scale_and_bias_are_found(method, bias):
    scores, labels = made(bias=bias)
    (scale,), (found,) = fit_calibration(scores, labels, method)
    assert scale == pytest.approx(3, abs=0.15)
    assert found == pytest.approx(bias, abs=0.1)


@pytest.mark.parametrize('intercept', [True, False])
def test_many_images_equal_logistic_regression_without_penalty(intercept):
    scores, labels = made()
    method = 'platt' if intercept else 'temperature'
    fitted = np.ravel(fit_calibration(scores, labels, method))
    expected = logistic(logit(scores[:, 0]), labels[:, 0], intercept)
    np.testing.assert_allclose(fitted, expected, rtol=3e-3, atol=3e-3)  # targets differ by 1 / n


@pytest.mark.parametrize('method', ['platt', 'temperature'])
@pytest.mark.parametrize('n', [20, 300])
def test_few_images_equal_a_general_optimizer(method, n):
    scores, labels = made(n, seed=3)
    x, y = logit(scores[:, 0]), labels[:, 0]
    start = [1.0, 0.0] if method == 'platt' else [1.0]
    best = minimize(platt_loss, start, (x, y), method='Nelder-Mead', options=dict(xatol=1e-9))
    fitted = np.ravel(fit_calibration(scores, labels, method))[: len(start)]
    np.testing.assert_allclose(fitted, best.x, rtol=1e-4, atol=1e-4)


class Column(DummyClassifier):
    """A classifier whose decision is its input: for scikit-learn's own Platt scaling."""

    def decision_function(self, x):
        return x[:, 0]


def test_platt_equals_scikit_learn():
    scores, labels = made(400, seed=5)
    x, y = logit(scores), labels[:, 0]
    sklearn_frozen = pytest.importorskip('sklearn.frozen', reason='scikit-learn before 1.6')
    frozen = sklearn_frozen.FrozenEstimator(Column().fit(x, y))
    theirs = CalibratedClassifierCV(frozen, method='sigmoid').fit(x, y).predict_proba(x)[:, 1]
    scale, bias = fit_calibration(scores, labels)
    ours = Calibration(('a',), 'platt', scale, bias, '').apply(scores)[:, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_unknown_labels_do_not_count():
    scores, labels = made(500)
    unknown = labels.copy()
    unknown[::3] = np.nan
    kept = ~np.isnan(unknown[:, 0])
    expected = fit_calibration(scores[kept], labels[kept])
    np.testing.assert_array_equal(fit_calibration(scores, unknown), expected)


@pytest.mark.parametrize('method', ['platt', 'temperature'])
def test_corner_cases(method):
    x = np.linspace(-2, 2, 40)
    separable, against = (x > 0).astype(float), (x < 0).astype(float)
    alike = np.zeros(40)
    scores = np.repeat(expit(x)[:, None], 3, axis=1)
    scale, bias = fit_calibration(scores, np.stack([separable, against, alike], 1), method)
    assert 1 < scale[0] < 1000  # finite, by Platt's targets
    assert scale[1] == 0
    assert bias[1] == pytest.approx(0)  # half of the images have it
    assert np.isnan([scale[2], bias[2]]).all()


def test_saturated_scores_stay_finite():
    scores = np.array([[0.0], [1.0], [0.0], [1.0], [0.5], [0.5]], np.float32)
    labels = np.array([[0.0], [1.0], [0.0], [1.0], [1.0], [0.0]])
    scale, bias = fit_calibration(scores, labels)
    p = Calibration(('a',), 'platt', scale, bias, '').apply(scores)
    assert np.isfinite(p).all()
    assert p[0] < p[4] < p[1]


@pytest.mark.parametrize('strategy', ['uniform', 'quantile'])
@pytest.mark.parametrize('bins', [1, 7, 15])
def test_curve_and_error_equal_scikit_learn(strategy, bins):
    scores, labels = made(700)
    p, y = scores[:, 0], labels[:, 0]
    curve = reliability_curve(p, y, bins, strategy)
    observed, predicted = calibration_curve(y, p, n_bins=bins, strategy=strategy)
    np.testing.assert_allclose(curve.observed, observed)
    np.testing.assert_allclose(curve.predicted, predicted)
    assert curve.images.sum() == 700
    if strategy == 'quantile':
        assert curve.images.max() - curve.images.min() <= 1
    error = calibration_error(scores, labels, bins, strategy)
    expected = np.average(abs(observed - predicted), weights=curve.images)
    np.testing.assert_allclose(error, expected)
    np.testing.assert_allclose(brier_score(scores, labels), brier_score_loss(y, p))


def test_error_of_a_known_offset_and_of_true_probabilities():
    labels = np.repeat([[0.0], [1.0]], [80, 20], axis=0)
    assert calibration_error(np.full((100, 1), 0.5), labels) == pytest.approx(0.3)
    assert calibration_error(np.full((100, 1), 0.2), labels) == pytest.approx(0)
    nothing = np.full((100, 1), np.nan)
    assert np.isnan([calibration_error(nothing, labels), brier_score(nothing, labels)]).all()


@pytest.mark.parametrize('kwargs', [dict(strategy='equal'), dict(bins=0)])
def test_unknown_bins_are_refused(kwargs):
    with pytest.raises(ValueError, match='strategy must be one of uniform, quantile'):
        reliability_curve(np.array([0.5]), np.array([1.0]), **kwargs)
    with pytest.raises(ValueError, match=r'found 1\.5'):
        reliability_curve(np.array([1.5]), np.array([1.0]))


CALIBRATION = Calibration(
    ('Edema', 'Hernia'), 'platt', np.array([2.5, np.nan]), np.array([-1 / 3, np.nan]), 'X a/val',
    '0123456789ab',
)  # fmt: skip
THRESHOLDS = Thresholds(
    ('Edema', 'Hernia'), 'youden', np.array([0.1 + 0.2, np.nan]), 'calibrated', 'X a/val',
    '0123456789ab',
)  # fmt: skip


@pytest.mark.parametrize('original', [CALIBRATION, THRESHOLDS], ids=['calibration', 'thresholds'])
def test_files_keep_every_digit_and_are_plain_json(tmp_path, original):
    path = original.save(tmp_path)
    fields = json.loads(path.read_text(), parse_constant=pytest.fail)  # NaN is not JSON
    assert fields['classes'] == ['Edema', 'Hernia']
    for back in (type(original).load(path), type(original).load(tmp_path)):
        for key, value in vars(original).items():
            np.testing.assert_array_equal(getattr(back, key), value)


@pytest.mark.parametrize(
    ('original', 'change', 'message'),
    [
        (CALIBRATION, dict(method='isotonic'), "temperature, adapted, got 'isotonic'"),
        (CALIBRATION, dict(prevalence=[1.5, None]), r'a prevalence lies in \[0, 1\], got'),
        (CALIBRATION, dict(prevalence=[0.5]), 'prevalence must be 2 finite numbers'),
        (CALIBRATION, dict(scale=[1.0]), 'scale must be 2 finite numbers or nulls'),
        (CALIBRATION, dict(scale=[-1.0, None]), r"'Edema' has scale -1\.0"),
        (CALIBRATION, dict(bias=[None, None]), "'Edema' has scale 2.5 and bias nan"),
        (CALIBRATION, dict(bias=['0', None]), 'bias must be 2 finite'),
        (
            CALIBRATION,
            dict(extra=1),
            'must hold the keys bias, checkpoint, classes, method, sc',
        ),
        (THRESHOLDS, dict(on='logits'), "on must be one of scores, calibrated, got 'logits'"),
        (THRESHOLDS, dict(thresholds=[0.5]), 'thresholds must be 2'),
    ],
)
def test_broken_files_are_named(tmp_path, original, change, message):
    path = original.save(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=f'{path.name}.*{message}'):
        type(original).load(path)


@pytest.mark.parametrize('original', [CALIBRATION, THRESHOLDS], ids=['calibration', 'thresholds'])
def test_a_file_says_its_site_only_if_it_has_one(tmp_path, original):
    assert {'site', 'prevalence'}.isdisjoint(json.loads(original.save(tmp_path).read_text()))
    assert type(original).load(tmp_path).site == ''
    bound = replace(original, site='north')
    assert json.loads(bound.save(tmp_path).read_text())['site'] == 'north'
    assert type(original).load(tmp_path).site == 'north'


def test_the_prevalence_is_kept(tmp_path):
    known = replace(CALIBRATION, prevalence=np.array([0.25, np.nan]))
    assert json.loads(known.save(tmp_path).read_text())['prevalence'] == [0.25, None]
    np.testing.assert_array_equal(Calibration.load(tmp_path).prevalence, [0.25, np.nan])


def test_no_file_and_no_json(tmp_path):
    with pytest.raises(FileNotFoundError):
        Calibration.load(tmp_path)
    (tmp_path / 'calibration.json').write_text('{')
    with pytest.raises(ValueError, match=r'not a JSON file.*mlrfnet calibrate writes it again'):
        Calibration.load(tmp_path)


def test_apply_is_the_formula_and_checks_its_input():
    p = CALIBRATION.apply(np.array([[0.25, 0.5]]))
    assert p[0, 0] == pytest.approx(1 / (1 + np.exp(-(2.5 * np.log(0.25 / 0.75) - 1 / 3))))
    assert np.isnan(p[0, 1])
    with pytest.raises(ValueError, match=r'for 2 classes.*\(3,\)'):
        CALIBRATION.apply(np.zeros(3))
    with pytest.raises(ValueError, match=r'lie in \[0, 1\], found -2\.0'):
        CALIBRATION.apply(np.array([-2.0, 0.5]))
    with pytest.raises(ValueError, match="one of platt, temperature, got 'isotonic'"):
        fit_calibration(np.zeros((2, 1)), np.zeros((2, 1)), 'isotonic')


def test_tiny_and_great_scores_keep_their_order():
    calibration = Calibration(('a',), 'platt', np.array([1.0]), np.array([0.0]), '')
    scores = [1e-30, 1e-9, 1e-7, 0.5, 1 - 2.0**-22, 1 - 2.0**-23]
    p = calibration.apply(np.array(scores, np.float32)[:, None])
    assert (np.diff(p, axis=0) > 0).all()


@pytest.mark.parametrize('strategy', ['uniform', 'quantile'])
def test_unknown_labels_do_not_count_in_the_errors(strategy):
    scores, labels = made(500)
    unknown = labels.copy()
    unknown[::3] = np.nan
    kept = ~np.isnan(unknown[:, 0])
    some = scores[kept], labels[kept]
    assert brier_score(scores, unknown) == pytest.approx(brier_score(*some))
    found = calibration_error(scores, unknown, strategy=strategy)
    assert found == pytest.approx(calibration_error(*some, strategy=strategy))
    curve = reliability_curve(scores[:, 0], unknown[:, 0], 15, strategy)
    assert curve.images.sum() == kept.sum()


def test_bins_are_fifteen_unless_asked_otherwise():
    scores, labels = made(700)
    assert calibration_error(scores, labels) == calibration_error(scores, labels, bins=15)


def test_one_positive_that_was_rounded_to_0_does_not_decide():
    rng = np.random.default_rng(0)
    labels = (np.arange(500) < 22).astype(float)[:, None]
    logits = rng.standard_normal((500, 1)) - 3 + 2 * labels
    scores = 1 / (1 + np.exp(-logits))
    scores[0] = 0  # as a float16 sigmoid writes it
    expected, _ = fit_calibration(np.where(scores == 0, scores[scores > 0].min(), scores), labels)
    scale, _ = fit_calibration(scores, labels)
    assert scale[0] == pytest.approx(expected[0], rel=0.1)
    assert scale[0] > 0.3


@pytest.mark.parametrize('spread', [0, 1e-7])
def test_scores_that_are_all_but_equal_get_scale_0(spread):
    labels = np.tile([[1.0], [0.0], [0.0]], (40, 1))
    scores = 0.2 + spread * labels
    scale, bias = fit_calibration(scores, labels)
    assert scale[0] == 0
    p = Calibration(('a',), 'platt', scale, bias, '').apply(scores)
    np.testing.assert_allclose(p, 1 / 3, atol=0.01)


def test_another_class_does_not_move_the_zeros_of_one():
    """The least score of each class decides where its own zeros go."""
    x, y = made(500, seed=3)
    x[np.flatnonzero(y)[0]] = 0
    alone, _ = fit_calibration(x, y)
    tiny = np.where(np.arange(500)[:, None] == 7, 1e-30, x)
    both, _ = fit_calibration(np.hstack([x, tiny]), np.hstack([y, y]))
    assert both[0] == alone[0] > 0.5


def test_sigmoid_and_logits_are_scipys():
    drawn = np.random.default_rng(0).normal(0, 30, 10_000)
    values = np.concatenate([drawn, [-700, 0, 700, np.nan]])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        np.testing.assert_allclose(sigmoid(values), expit(values), rtol=1e-13)
    scores = np.random.default_rng(1).random(10_000)
    np.testing.assert_allclose(logits(scores), logit(scores), rtol=1e-12, atol=1e-14)
