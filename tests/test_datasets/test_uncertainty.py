"""Policies for uncertain labels: targets, named mixes, draws that can be repeated."""

import numpy as np
import pytest
from scipy.stats import kstest, uniform

from mlrfnet_mm.datasets.published.chexpert.tables import (
    BLANK,
    FINDINGS,
    NEGATIVE,
    POSITIVE,
    SCORED,
    UNCERTAIN,
    encode_labels,
)
from mlrfnet_mm.datasets.uncertainty import POLICIES, limits, policy_by_class, policy_name, targets

CODES = np.array([POSITIVE, NEGATIVE, UNCERTAIN, BLANK] * 4, np.uint8)[:14]
FIXED = {'U-Ones': 1, 'U-Zeros': 0, 'U-Ignore': np.nan}


@pytest.mark.parametrize('policy', FIXED)
@pytest.mark.parametrize('item', [None, dict(draw=(0, 0, 0))], ids=['evaluation', 'training'])
def test_only_uncertain_labels_depend_on_the_policy(policy, item):
    found = targets(CODES, limits(policy), item)
    expected = np.where(CODES == POSITIVE, 1.0, 0.0)  # a blank is a negative
    expected[CODES == UNCERTAIN] = FIXED[policy]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32 and found.shape == (14,)


@pytest.mark.parametrize(
    ('policy', 'low', 'high'), [('LSR-Ones', 0.55, 0.85), ('LSR-Zeros', 0, 0.3)]
)
def test_soft_labels_are_uniform_and_leave_known_ones_alone(policy, low, high):
    codes = np.full(14, UNCERTAIN, np.uint8)
    codes[:2] = POSITIVE, NEGATIVE
    drawn = np.stack([targets(codes, limits(policy), dict(draw=(3, 1, i))) for i in range(400)])
    assert (drawn[:, 0] == 1).all() and (drawn[:, 1] == 0).all()
    assert kstest(drawn[:, 2:].ravel(), uniform(low, high - low).cdf).pvalue > 0.01
    assert len(np.unique(drawn[0, 2:])) == 12  # each class its own


@pytest.mark.parametrize('policy', ['LSR-Ones', 'LSR-Zeros'])
def test_a_draw_is_that_of_seed_epoch_and_image(policy):
    codes = np.full(14, UNCERTAIN, np.uint8)
    keys = [(0, 0, 5), (1, 0, 5), (0, 1, 5), (0, 0, 6)]
    once, again = (
        [targets(codes, limits(policy), dict(draw=key)).tolist() for key in keys] for _ in range(2)
    )
    assert once == again
    assert len({tuple(values) for values in once}) == len(keys)


@pytest.mark.parametrize('policy', ['LSR-Ones', 'LSR-Zeros'])
def test_what_would_have_to_be_drawn_is_unknown_in_evaluation(policy):
    np.testing.assert_array_equal(
        targets(CODES, limits(policy), None), targets(CODES, limits('U-Ignore'), None)
    )


def test_the_paper_s_mix():
    ones = {name for name, policy in policy_by_class('U-O&U-Z').items() if policy == 'U-Ones'}
    assert ones == {'Atelectasis', 'Edema'}
    assert set(policy_by_class('U-O&U-Z').values()) == {'U-Ones', 'U-Zeros'}
    codes = np.full(14, UNCERTAIN, np.uint8)
    found = targets(codes, limits('U-O&U-Z'), None)
    assert {name for name, y in zip(FINDINGS, found, strict=True) if y == 1} == ones


def test_a_mapping_with_a_default():
    policy = {'default': 'U-Ignore', 'Edema': 'U-Ones', 'Pneumonia': 'LSR-Ones'}
    by_class = policy_by_class(policy)
    assert list(by_class) == list(FINDINGS)
    assert by_class['Edema'] == 'U-Ones' and by_class['Pneumonia'] == 'LSR-Ones'
    assert [v for k, v in by_class.items() if k not in policy] == 12 * ['U-Ignore']
    found = targets(np.full(5, UNCERTAIN, np.uint8), limits(policy, SCORED), None)
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 1, np.nan])  # Edema is fourth
    assert policy_name(policy) == 'default U-Ignore, Edema U-Ones, Pneumonia LSR-Ones'


def test_a_mapping_of_all_classes_needs_no_default():
    assert policy_by_class(dict.fromkeys(FINDINGS, 'U-Ones')) == policy_by_class('U-Ones')


@pytest.mark.parametrize(
    ('policy', 'message'),
    [
        ('ones', r"policy must be one of U-Ones, .*U-O&U-Z.*got 'ones'"),
        (
            {'default': 'U-Zeros', 'Edema': 'ones'},
            r"policy for 'Edema' must be one of .*got 'ones'",
        ),
        ({'default': 'U-O&U-Z'}, r"policy for 'default' must be one of .*got 'U-O&U-Z'"),
        ({'default': 'U-Zeros', 'Oedema': 'U-Ones'}, r"policy has a key 'Oedema'; keys are"),
        ({'Edema': 'U-Ones'}, r"policy has none for 'No Finding'; add it, or a 'default'"),
    ],
)
def test_unknown_policies_are_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        policy_by_class(policy)


def test_policies_are_those_of_the_papers():
    assert {k: v for k, v in POLICIES.items() if k != 'U-Ignore'} == {
        'U-Ones': (1, 1), 'U-Zeros': (0, 0), 'LSR-Ones': (0.55, 0.85), 'LSR-Zeros': (0, 0.3),
    }  # fmt: skip


@pytest.mark.parametrize(
    'policy', [None, 7, ['U-Ones'], {'default': ['U-Ones']}, {'default': None}]
)
def test_a_policy_of_another_type_says_what_it_must_be(policy):
    with pytest.raises(ValueError, match='policy .*must be'):
        policy_by_class(policy)


@pytest.mark.parametrize('style', ['1.0 0.0 -1.0', '1 0 -1'])
def test_codes_of_a_row(style):
    one, zero, minus = style.split()
    assert list(encode_labels(one, zero, minus, '', *10 * ['']))[:4] == [
        POSITIVE, NEGATIVE, UNCERTAIN, BLANK,
    ]  # fmt: skip


@pytest.mark.parametrize('value', ['2.0', 'nan', '-1.00', ' ', 'yes'])
def test_another_value_names_its_column(value):
    with pytest.raises(ValueError, match=f"has {value!r} in column 'Edema', a label is 1.0"):
        encode_labels(*5 * ['1.0'], value, *8 * [''])


def test_a_mix_draws_its_soft_classes_only():
    edema, codes = FINDINGS.index('Edema'), np.full(14, UNCERTAIN, np.uint8)
    policy = limits({'default': 'U-Zeros', 'Edema': 'LSR-Ones'})
    drawn = np.stack([targets(codes, policy, dict(draw=(0, 0, i))) for i in range(20)])
    assert len(set(drawn[:, edema])) == 20
    assert (np.delete(drawn, edema, 1) == 0).all()
    unknown = np.isnan(targets(codes, policy, None))
    assert unknown[edema] and unknown.sum() == 1
