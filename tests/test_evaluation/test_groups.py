"""Measures by group: against scikit-learn, numpy and statsmodels' formulas, and by simulation."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import chi2
from sklearn.metrics import brier_score_loss, recall_score, roc_auc_score

from mlrfnet_mm.evaluation import (
    Predictions,
    delong_interval,
    delong_test,
    operating_points,
    patient_weights,
)
from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS
from mlrfnet_mm.evaluation.groups.compare import compare_groups
from mlrfnet_mm.evaluation.groups.draws import drawn_auc, ratio_influence, weight_blocks
from mlrfnet_mm.evaluation.groups.equality import difference_tests, equality_test, on_logits
from mlrfnet_mm.evaluation.groups.grouping import Grouping, group_by, parse_by


def make(seed=0, patients=300, most=3, findings=3, gap=0.0, noise=0.5, **more):
    """Patients with 1 to ``most`` images whose scores are alike; ``gap`` separates group 1 less."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, most + 1, patients))
    n = len(owner)
    sex = rng.integers(2, size=patients)[owner]
    labels = (rng.random((patients, findings)) < 0.3)[owner].astype(np.float32)
    person = rng.standard_normal((patients, findings))[owner]
    rest = rng.standard_normal((n, findings))
    separation = 1.2 - gap * sex[:, None]
    raw = np.sqrt(noise) * person + np.sqrt(1 - noise) * rest + separation * (labels - 0.5)
    fields = dict(
        scores=expit(raw).astype(np.float32),
        labels=labels,
        images=np.array([f'{i}.png' for i in range(n)]),
        patients=owner.astype(str),
        classes=np.array([f'f{k}' for k in range(findings)]),
        stamp='made official/test',
        sexes=np.array(['F', 'M'])[sex],
        ages=rng.integers(18, 90, patients)[owner].astype(float),
        views=rng.choice(['PA', 'AP'], n),
    )
    return Predictions(**(fields | more))


# --- groups ------------------------------------------------------------------------------------


def test_age_bands_are_of_completed_years():
    test = make().rows(np.arange(7))
    ages = np.array([0, 39, 39.9, 40, 64.5, 65, np.nan])
    grouping = group_by(Predictions(**{**vars(test), 'ages': ages}), 'age')
    assert grouping.groups == ('0-39', '40-64', '65+')
    assert grouping.of_image.tolist() == [0, 0, 0, 1, 1, 2, -1]


def test_ages_of_the_table_of_2017_are_not_known():
    test = make().rows(np.arange(3))
    ages = np.array([414.0, 120, 30])
    grouping = group_by(Predictions(**{**vars(test), 'ages': ages}), 'age=50')
    assert grouping.groups == ('0-49', '50+') and grouping.of_image.tolist() == [-1, 1, 0]


def test_bands_without_images_are_left_out():
    test = make().rows(np.arange(2))
    grouping = group_by(Predictions(**{**vars(test), 'ages': np.array([90.0, 20])}), 'age')
    assert grouping.groups == ('0-39', '65+') and grouping.of_image.tolist() == [1, 0]


def test_columns_of_a_table():
    test = make().rows(np.arange(5))
    columns = dict(
        device=np.array(['b', ' a', 'NaN', 'b ', '']),
        kV=np.array(['80.5', '125', 'nan', '', '100']),
        room=np.array(['1', '2', '1', '1', '3']),
    )
    device = group_by(test, 'device', columns)
    assert device.groups == ('a', 'b') and device.of_image.tolist() == [1, 0, -1, 1, -1]
    tube = group_by(test, 'kV=90.5,110', columns)
    assert tube.groups == ('below 90.5', '90.5 to below 110', '110 and above')
    assert tube.of_image.tolist() == [0, 2, -1, -1, 1]
    assert group_by(test, 'room', columns).groups == ('1', '2', '3')
    own = group_by(test, 'sex', dict(sex=np.array(list('xxyyy'))))  # before what the file carries
    assert own.groups == ('x', 'y')


@pytest.mark.parametrize(
    ('by', 'columns', 'message'),
    [
        ('age=65,40', {}, 'rising'),
        ('age=x', {}, 'rising'),
        ('=3', {}, 'takes a column'),
        ('race', {}, "no column 'race' to group by; there is sex, age, view.*--columns CSV"),
        ('kV=100', {'kV': ['80', 'high', '70']}, "the column has 'high', which is not a number"),
        ('kV', {'kV': ['', 'nan', 'None']}, 'no image has a known kV'),
    ],
)
def test_what_cannot_be_grouped_by(by, columns, message):
    columns = {name: np.array(values) for name, values in columns.items()}
    with pytest.raises(ValueError, match=message):
        group_by(make().rows(np.arange(3)), by, columns)


def test_too_many_groups():
    test = make()
    with pytest.raises(ValueError, match=r'300 different values.*--by patient=40,65'):
        group_by(test, 'patient', dict(patient=test.patients))
    assert parse_by('patient=40') == ('patient', (40.0,))


def test_views_of_studies():
    test = make(studies=np.arange(len(make().images)).astype(str)).per_study()
    with pytest.raises(ValueError, match="no column 'view'.*take --unit image"):
        group_by(test, 'view')


# --- values and replicates ---------------------------------------------------------------------


def test_values_are_scikit_learns():
    test = make()
    test.labels[::7, 1] = np.nan
    thresholds, p = np.array([0.4, 0.5, 0.6]), test.scores.astype(float)
    (found,) = compare_groups(test, [group_by(test, 'sex')], thresholds, p, replicates=100)
    for g, sex in enumerate('FM'):
        for k in range(3):
            rows = (test.sexes == sex) & ~np.isnan(test.labels[:, k])
            y, s = test.labels[rows, k], test.scores[rows, k]
            expected = dict(
                auc=roc_auc_score(y, s),
                prevalence=y.mean(),
                sensitivity=recall_score(y, s >= thresholds[k]),
                specificity=recall_score(y, s >= thresholds[k], pos_label=0),
                probability=s.mean(dtype=float),
                excess=s.mean(dtype=float) - y.mean(),
                brier=brier_score_loss(y, s),
            )
            assert {name: m.values[g, k] for name, m in found.measures.items()} == pytest.approx(
                expected, abs=1e-7
            )
            assert found.known[g, k] == rows.sum() and found.positives[g, k] == y.sum()
            owners = test.patients[rows]
            assert found.positive_patients[g, k] == len(set(owners[y == 1]))
            assert found.negative_patients[g, k] == len(set(owners[y == 0]))
        assert found.patients[g] == len(set(test.patients[test.sexes == sex]))
    auc = found.measures['auc'].values
    np.testing.assert_allclose(auc[:, 3], auc[:, :3].mean(1))


def test_replicates_are_those_of_scikit_learn_with_weights():
    test = make(patients=60)
    index, weights = patient_weights(test.patients, 70, seed=3)
    rows = np.flatnonzero(test.views == 'PA')
    positive = test.labels[rows, 0] == 1
    found = drawn_auc(test.scores[rows, 0], positive, index[rows], weight_blocks(weights))
    expected = [
        roc_auc_score(positive, test.scores[rows, 0], sample_weight=row[index[rows]])
        for row in weights
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize('by', ['sex', 'view'])
def test_intervals_are_percentiles_of_paired_replicates(by):
    """By resampling whole rows: patients drawn, their images of both groups at once."""
    test = make(patients=150, most=4)
    thresholds = np.full(3, 0.5)
    grouping = group_by(test, by)
    (found,) = compare_groups(test, [grouping], thresholds, replicates=120, seed=5)
    index, weights = patient_weights(test.patients, 120, seed=5)
    draws = np.empty((120, 2, 2))
    for r, row in enumerate(weights):
        rows = np.repeat(np.arange(len(index)), row[index])
        for g in (0, 1):
            own = rows[grouping.of_image[rows] == g]
            y, s = test.labels[own, 1], test.scores[own, 1]
            draws[r, g] = roc_auc_score(y, s), recall_score(y, s >= 0.5)
    for i, name in enumerate(('auc', 'sensitivity')):
        measure = found.measures[name]
        ends = np.quantile(draws[..., i], [0.025, 0.975], axis=0)
        np.testing.assert_allclose(measure.interval[:, :, 1], ends, atol=1e-9)
        other = 1 - found.reference
        apart = draws[:, other, i] - draws[:, found.reference, i]
        ends = np.quantile(apart, [0.025, 0.975])
        np.testing.assert_allclose(measure.difference_interval[:, other, 1], ends, atol=1e-9)


def test_one_group_of_all_has_the_numbers_of_evaluate():
    test = make()
    whole = Grouping('all', ('all',), np.zeros(len(test.images), int))
    points = operating_points(test, choose_on_test=True, replicates=200)
    (found,) = compare_groups(test, [whole], points.thresholds, replicates=200)
    for name, column in (('sensitivity', 1), ('specificity', 2)):
        measure = found.measures[name]
        np.testing.assert_allclose(measure.values[0, :3], points.values[:, column])
        np.testing.assert_allclose(measure.interval[:, 0, :3], points.intervals[..., column])
    assert np.isnan(found.measures['auc'].p).all()  # nothing to compare


def test_what_is_too_rare_is_not_reported_and_left_out_for_all():
    test = make(patients=400)
    women = test.sexes == 'F'
    owners = np.unique(test.patients[women & (test.labels[:, 0] == 1)])
    keep = ~women | np.isin(test.patients, owners[: LEAST_PATIENTS - 1]) | (test.labels[:, 0] == 0)
    test = test.rows(keep)
    (found,) = compare_groups(test, [group_by(test, 'sex')], replicates=100)
    auc = found.measures['auc']
    assert found.positive_patients[0, 0] == LEAST_PATIENTS - 1
    assert found.reported.tolist() == [[False, True, True], [True, True, True]]
    assert np.isnan(auc.values[0, 0]) and not np.isnan(auc.values[1, 0])
    assert found.common.tolist() == [False, True, True]
    assert np.isnan(auc.p[0]) and np.isnan(auc.difference[:, 0]).all()
    np.testing.assert_allclose(auc.values[:, 3], auc.values[:, 1:3].mean(1))


def test_a_group_too_small_for_any_finding_takes_no_part():
    test = make(patients=300)
    test.sexes[np.isin(test.patients, [str(i) for i in range(8)])] = 'O'
    (found,) = compare_groups(test, [group_by(test, 'sex')], replicates=100)
    assert found.grouping.groups == ('F', 'M', 'O')
    assert found.compared.tolist() == [True, True, False] and found.common.all()
    assert found.measures['auc'].p[0] == pytest.approx(
        compare_groups(
            test.rows(test.sexes != 'O'),
            [group_by(test.rows(test.sexes != 'O'), 'sex')],
            replicates=100,
        )[0]
        .measures['auc']
        .p[0]
    )


def test_a_finding_without_threshold_has_no_sensitivity():
    test = make()
    (found,) = compare_groups(
        test, [group_by(test, 'sex')], np.array([0.5, np.nan, 0.5]), replicates=100
    )
    sensitivity = found.measures['sensitivity'].values
    assert np.isnan(sensitivity[:, 1]).all()
    np.testing.assert_allclose(sensitivity[:, 3], sensitivity[:, [0, 2]].mean(1))
    assert not np.isnan(found.measures['auc'].values).any()


# --- tests of equality -------------------------------------------------------------------------


def test_q_is_cochrans_for_groups_without_common_patients():
    rng = np.random.default_rng(0)
    values, sigma = rng.normal(0.8, 0.1, 4), rng.uniform(0.01, 0.1, 4)
    influence = np.zeros((4, 40))
    for g in range(4):  # variance sigma²
        influence[g, 10 * g : 10 * g + 10] = sigma[g] / np.sqrt(10)
    w = 1 / sigma**2
    expected = (w * (values - (w * values).sum() / w.sum()) ** 2).sum()
    q, df, p = equality_test(values, influence)
    assert q == pytest.approx(expected) and df == 3
    assert p == pytest.approx(chi2.sf(expected, 3))


def test_two_groups_have_the_p_of_their_difference():
    rng = np.random.default_rng(1)
    values, influence = np.array([0.7, 0.9]), rng.normal(0, 0.02, (2, 30))
    _, _, p = equality_test(values, influence)
    assert difference_tests(values, influence, 0)[1] == pytest.approx(p)


def test_the_order_of_groups_does_not_matter():
    rng = np.random.default_rng(2)
    values, influence = rng.normal(0.8, 0.1, 3), rng.normal(0, 0.02, (3, 50))
    order = [2, 0, 1]
    assert equality_test(values, influence) == pytest.approx(
        equality_test(values[order], influence[order])
    )


def test_variances_are_delongs_by_patient():
    test = make(most=4)
    rng = np.random.default_rng(6)  # patients with both labels, too
    test.labels[:, 2] = np.where(
        rng.random(len(test.labels)) < 0.3, 1 - test.labels[:, 2], test.labels[:, 2]
    )
    (found,) = compare_groups(test, [group_by(test, 'sex')], replicates=100)
    theta, variance = [], []
    for sex in 'FM':
        part = test.rows(test.sexes == sex)
        auc = roc_auc_score(part.labels[:, 2], part.scores[:, 2])
        low, high = delong_interval(part.scores, part.labels, part.patients)[:, 2]
        theta.append(np.log(auc / (1 - auc)))
        variance.append(((high - low) / 2 / 1.959964 / (auc * (1 - auc))) ** 2)
    expected = (theta[0] - theta[1]) ** 2 / sum(variance)
    assert found.measures['auc'].q[2] == pytest.approx(expected, rel=1e-5)


def test_shared_patients_are_paired():
    """Each image once in either view, with the other model's score: DeLong's paired test."""
    test = make(patients=200, most=1)
    rng = np.random.default_rng(4)
    other = np.clip(test.scores + rng.normal(0, 0.1, test.scores.shape), 0, 1)
    twice = Predictions(
        **{
            **{name: np.concatenate([v, v]) for name, v in vars(test).items() if name in (
                'labels', 'patients', 'sexes', 'ages')},
            'scores': np.concatenate([test.scores, other.astype(np.float32)]),
            'images': np.arange(2 * len(test.images)).astype(str),
            'views': np.repeat(['PA', 'AP'], len(test.images)),
            'classes': test.classes,
            'stamp': test.stamp,
        }
    )  # fmt: skip
    part = compare_groups(twice, [group_by(twice, 'view')], replicates=100)[0]
    expected = delong_test(test.scores, other, test.labels)
    # on logits here, hence not to the last digit
    np.testing.assert_allclose(part.measures['auc'].p[:3], expected, rtol=0.15, atol=0.01)
    unpaired = np.where(twice.views == 'PA', twice.patients, np.char.add('b', twice.patients))
    apart = Predictions(**{**vars(twice), 'patients': unpaired})
    loose = compare_groups(apart, [group_by(apart, 'view')], replicates=100)[0]
    assert (loose.measures['auc'].q[:3] < part.measures['auc'].q[:3]).all()


def test_ratio_variance_is_rao_and_scotts():
    rng = np.random.default_rng(5)
    below = rng.integers(1, 5, 40).astype(float)
    above = rng.binomial(below.astype(int), 0.4).astype(float)
    r = above.sum() / below.sum()
    expected = 40 / 39 * ((above - r * below) ** 2).sum() / below.sum() ** 2
    influence = ratio_influence(above[:, None], below[:, None])
    assert (influence**2).sum() == pytest.approx(expected)
    single = ratio_influence(np.array([[1.0]]), np.array([[2.0]]))
    assert np.isnan(single).all()


def test_no_test_without_variance():
    values, influence = np.array([1.0, 0.8]), np.array([[0.0, 0.0], [0.1, 0.1]])
    assert np.isnan(equality_test(*on_logits(values, influence))[2])
    assert np.isnan(equality_test(np.array([0.8, 0.8]), np.zeros((2, 5)))[2])
    assert np.isnan(equality_test(np.array([0.8]), np.ones((1, 5)))[2])


def test_holm_is_over_findings_and_groupings():
    test = make(gap=0.8)
    both = compare_groups(test, [group_by(test, by) for by in ('sex', 'view')], replicates=100)
    p = np.concatenate([found.measures['auc'].p[:3] for found in both])
    corrected = np.concatenate([found.measures['auc'].p_holm[:3] for found in both])
    assert corrected[np.argmin(p)] == pytest.approx(min(1, 6 * p.min()))
    assert (corrected >= p).all()


@pytest.mark.parametrize('by', ['sex', 'age=35,50,70', 'view'])
def test_equal_groups_are_seldom_called_different(by):
    """150 test sets of 150 patients, 5 % ± 3.5 %; benchmarks/subgroups_error.py has more."""
    rejected = np.zeros(3)
    for seed in range(50):
        test = make(seed, patients=200, findings=3)
        (found,) = compare_groups(test, [group_by(test, by)], replicates=1)
        rejected += found.measures['auc'].p[:3] < 0.05
    assert rejected.sum() / 150 < 0.12


def test_planted_differences_are_found():
    test = make(gap=1.0, patients=600)
    (found,) = compare_groups(test, [group_by(test, 'sex')], replicates=100)
    auc = found.measures['auc']
    assert (auc.p_holm[:3] < 0.001).all() and auc.p[3] < 0.001
    worse = auc.difference_interval[1 if found.reference == 0 else 0]
    other = 1 - found.reference
    sign = -1 if other == 1 else 1
    assert (sign * auc.difference_interval[:, other] > 0).all(), worse
