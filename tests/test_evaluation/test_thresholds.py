from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_curve,
)

from mlrfnet_mm.evaluation import Predictions, choose_thresholds, operating_points, patient_weights
from mlrfnet_mm.evaluation.thresholds.choose import (
    METRICS,
    confusion_counts,
    confusion_metrics,
    wilson_interval,
)


def make(split='test', n=200, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < [0.4, 0.2, 0.1]).astype(np.float32)
    scores = (1 / (1 + np.exp(-rng.standard_normal((n, 3)) - labels))).astype(np.float32)
    return Predictions(
        scores=np.round(scores, 1) if ties else scores,
        labels=labels,
        images=np.array([f'{split}_{i}.png' for i in range(n)]),
        patients=np.array([f'{split}_{i // 3}' for i in range(n)]),
        classes=np.array(['Edema', 'Hernia', 'Mass']),
        stamp=f'ChestX-ray14 official/{split}',
    )


@pytest.mark.parametrize('ties', [False, True])
def test_rules_equal_scikit_learn_curves(ties):
    p = make(ties=ties)
    youden, f1, sensitive = (
        choose_thresholds(p.scores, p.labels, rule) for rule in ('youden', 'f1', 'sensitivity=0.9')
    )
    for k in range(3):
        y, s = p.labels[:, k], p.scores[:, k]
        fpr, tpr, levels = roc_curve(y, s, drop_intermediate=False)  # highest level first
        assert youden[k] == levels[np.argmax(np.round(tpr - fpr, 12))]
        assert sensitive[k] == levels[np.argmax(tpr >= 0.9)]
        precision, recall, levels = precision_recall_curve(y, s)  # lowest level first
        merit = (2 * precision * recall / (precision + recall + 1e-300))[:-1]
        best = np.flatnonzero(np.isclose(merit, merit.max(), rtol=1e-12))[-1]
        assert f1[k] == levels[best]


def test_among_equally_good_thresholds_the_highest():
    scores = np.array([[0.1], [0.2], [0.3], [0.4]])
    labels = np.array([[0.0], [1.0], [0.0], [1.0]])  # at 0.4 and 0.2 alike: 1/2 - 0 and 1 - 1/2
    assert choose_thresholds(scores, labels, 'youden') == 0.4
    assert choose_thresholds(scores, labels, 'sensitivity=0.5') == 0.4
    assert choose_thresholds(scores, labels, 'sensitivity=0.51') == 0.2
    assert choose_thresholds(scores, labels, 'sensitivity=1') == 0.2


@pytest.mark.parametrize(
    'rule', ['Youden', 'sensitivity', 'sensitivity=0', 'sensitivity=90', 'sensitivity=x', 'f1=0.9']
)
def test_unknown_rules_are_named(rule):
    with pytest.raises(ValueError, match=f"'youden', 'f1' or 'sensitivity=X'.*got '{rule}'"):
        choose_thresholds(make().scores, make().labels, rule)


@pytest.mark.parametrize('unknown', [False, True])
def test_metrics_equal_scikit_learn(unknown):
    p, val = make(), make('val', seed=1)
    if unknown:
        p.labels[::5, 1] = np.nan
    points = operating_points(p, val, replicates=5)
    np.testing.assert_array_equal(points.thresholds, choose_thresholds(val.scores, val.labels))
    for k in range(3):
        known = ~np.isnan(p.labels[:, k])
        y, called = p.labels[known, k], p.scores[known, k] >= points.thresholds[k]
        tn, fp, fn, tp = confusion_matrix(y, called).ravel()
        counts = confusion_counts(p.scores, p.labels, points.thresholds)
        assert counts.sum(0)[k].tolist() == [tp, fp, fn, tn]
        expected = [
            accuracy_score(y, called),
            recall_score(y, called),
            recall_score(y, called, pos_label=0),
            f1_score(y, called),
            precision_score(y, called),
            precision_score(y, called, pos_label=0),
        ]
        np.testing.assert_allclose(points.values[k], expected, rtol=1e-12)
    np.testing.assert_allclose(points.macro, points.values.mean(0), rtol=1e-12)


def test_intervals_equal_recounting_repeated_patients():
    p, val = make(), make('val', seed=1)
    points = operating_points(p, val, replicates=60, seed=4)
    index, weights = patient_weights(p.patients, 60, 4)
    drawn = []
    for row in weights:
        rows = np.repeat(np.arange(200), row[index])  # the images, as often as drawn
        cells = confusion_counts(p.scores[rows], p.labels[rows], points.thresholds)
        drawn.append(confusion_metrics(cells.sum(0)))
    drawn = np.array(drawn)
    ends = [0.025, 0.975]
    np.testing.assert_allclose(points.intervals, np.nanquantile(drawn, ends, axis=0))
    macro = np.quantile(np.nanmean(drawn, axis=1), ends, axis=0)
    np.testing.assert_allclose(points.macro_interval, macro)


def test_choosing_on_test_is_explicit_and_stamped():
    p, val = make(), make('val', seed=1)
    assert operating_points(p, val, replicates=2).chosen_on == 'ChestX-ray14 official/val'
    points = operating_points(p, choose_on_test=True, replicates=2)
    assert points.chosen_on == 'ChestX-ray14 official/test (the TEST set itself: optimistic)'
    np.testing.assert_array_equal(points.thresholds, choose_thresholds(p.scores, p.labels))
    for arguments in (dict(), dict(val=val, choose_on_test=True)):
        with pytest.raises(ValueError, match='validation predictions to choose thresholds on'):
            operating_points(p, **arguments)


def test_undefined_is_nan_and_left_out_of_the_macro_average():
    p, val = make(), make('val', seed=1)
    val.labels[:, 2] = 0  # no threshold for Mass
    p.scores[:, 1] = 0  # nothing is called Hernia
    points = operating_points(p, val, replicates=5)
    assert np.isnan(points.thresholds[2])
    assert np.isnan(points.values[2]).all()
    assert np.isnan(points.intervals[:, 2]).all()
    hernia = dict(zip(('accuracy', 'se', 'sp', 'F1', 'precision'), points.values[1], strict=False))
    assert (hernia['se'], hernia['sp'], hernia['F1']) == (0, 1, 0)
    assert np.isnan(hernia['precision'])
    assert points.macro[4] == points.values[0, 4]  # precision: Edema only
    assert points.macro[1] == pytest.approx(points.values[0, 1] / 2)


def test_a_score_at_the_threshold_is_called():
    cells = confusion_counts(np.array([[0.5], [0.5]]), np.array([[1.0], [0.0]]), np.array([0.5]))
    assert cells.sum(0).tolist() == [[1, 1, 0, 0]]


def test_sensitivity_survives_rounding():
    scores = np.arange(101.0)[:, None]  # 100 positives; 0.07 * 100 is 7.000000000000001
    assert choose_thresholds(scores, (scores > 0).astype(float), 'sensitivity=0.07') == 94


def test_other_classes_are_refused():
    val = make('val', seed=1)
    with pytest.raises(ValueError, match='classes differ'):
        operating_points(make(), replace(val, classes=val.classes[::-1]), replicates=2)


@pytest.mark.parametrize('rule', ['youden', 'f1', 'sensitivity=0.9'])
def test_unknown_labels_do_not_choose(rule):
    p = make()
    labels = p.labels.copy()
    labels[::3] = np.nan
    known = ~np.isnan(labels[:, 0])
    np.testing.assert_array_equal(
        choose_thresholds(p.scores, labels, rule),
        choose_thresholds(p.scores[known], labels[known], rule),
    )


def test_ties_are_not_broken_by_rounding():
    # sensitivity - (1 - specificity) is 1/3 - 0 at 0.6 and 3/3 - 2/3 at 0.2, in floats greater
    scores = np.array([[0.6], [0.5], [0.4], [0.3], [0.2], [0.1]])
    labels = np.array([[1.0], [0], [0], [1], [1], [0]])
    assert choose_thresholds(scores, labels, 'youden') == 0.6


def test_macro_averages_are_over_the_scored():
    def part(p):
        columns = {key: getattr(p, key)[:, [0, 2]] for key in ('scores', 'labels')}
        return replace(p, **columns, classes=p.classes[[0, 2]])

    p, val = make(), make('val', seed=1)
    scored = replace(p, scored=np.array(['Edema', 'Mass']))
    found = operating_points(scored, val, replicates=60)
    expected = operating_points(part(p), part(val), replicates=60)
    np.testing.assert_allclose(found.macro, expected.macro)
    np.testing.assert_allclose(found.macro_interval, expected.macro_interval)


@pytest.mark.parametrize(('count', 'n'), [(12, 12), (0, 10), (3, 17), (400, 401)])
def test_wilson_s_interval_equals_scipy_s(count, n):
    expected = binomtest(count, n).proportion_ci(method='wilson')
    ends = wilson_interval(np.array(count / n), np.array(n))
    np.testing.assert_allclose(ends, expected, atol=1e-12)


def test_a_share_of_1_has_an_interval_and_few_patients_have_none():
    labels = np.zeros((100, 2))
    labels[:12, 0] = labels[:4, 1] = 1
    scores = np.where(labels == 1, 0.9, 0.1) + np.linspace(0, 0.01, 100)[:, None]
    p = Predictions(
        scores=scores, labels=labels, images=np.arange(100).astype(str),
        patients=np.arange(100).astype(str), classes=np.array(['a', 'b']), stamp='x y/test',
    )  # fmt: skip
    val = replace(p, images=p.images[::-1])
    points = operating_points(p, val, replicates=100)
    sensitivity, specificity = METRICS.index('sensitivity'), METRICS.index('specificity')
    np.testing.assert_allclose(points.intervals[:, 0, sensitivity], [0.7575, 1], atol=1e-4)
    assert np.isnan(points.intervals[:, 1, sensitivity]).all()  # four positive patients
    assert not np.isnan(points.intervals[:, 1, specificity]).any()
