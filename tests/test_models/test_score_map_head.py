"""Pools against golden numbers, numpy and their limits; the head against a linear layer."""

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from scipy import special
from torch import nn

from mlrfnet_mm.models import ScoreMapHead
from mlrfnet_mm.models.heads.pools import make_pool

LOGIT = special.logit
POOLS = [
    'mean',
    'max',
    'pcam',
    'mean_probability',
    'mil',
    dict(name='lse', r=0.5),
    dict(name='lse', r=10.0),
    dict(name='softmax', temperature=1.0),
    dict(name='residual', lam=0.3, temperature=99.0),
]


def ident(pool):
    return '-'.join(map(str, pool.values())) if isinstance(pool, dict) else str(pool)


@pytest.mark.parametrize(
    ('pool', 'expected'),
    zip(
        POOLS,
        [
            -0.25,
            1.5,
            1.0584517,
            LOGIT(0.5105004),
            LOGIT(0.0403043),
            0.5195583,
            1.4306853,
            1.3579132,
            0.2,
        ],
        strict=True,
    ),
    ids=ident,
)
def test_golden_numbers(pool, expected):
    """Of the zoo's specification, where they were computed apart from this code."""
    scores = torch.tensor([[1.5, -0.5, 1.5, -3.5]], dtype=torch.float64)
    assert make_pool(pool)(scores).item() == pytest.approx(
        expected, abs=5e-6
    )  # of probabilities to 7 digits


def test_pools_against_numpy():
    s = np.random.default_rng(0).normal(0, 2, (2, 3, 20))
    p = 1 / (1 + np.exp(-s))
    e = np.exp(1.5 * s)
    expected = {
        'mean': s.mean(-1),
        'max': s.max(-1),
        'pcam': (p * s).sum(-1) / p.sum(-1),
        'mean_probability': special.logit(p.mean(-1)),
        'mil': special.logit(1 - np.prod(0.98 + 0.02 * (1 - p), -1)),
        'lse': np.log(np.exp(1.5 * s).mean(-1)) / 1.5,
        'softmax': (e * s).sum(-1) / e.sum(-1),
    }
    more = dict(lse=dict(r=1.5), softmax=dict(temperature=1.5))
    for name, value in expected.items():
        found = make_pool(dict(name=name, **more.get(name, {})))(torch.from_numpy(s))
        np.testing.assert_allclose(found, value, rtol=1e-12)


def test_limits():
    scores = torch.randn(2, 3, 20, dtype=torch.float64)
    for kind, key in (('lse', 'r'), ('softmax', 'temperature')):
        low, high = (make_pool({'name': kind, key: value})(scores) for value in (1e-6, 1e6))
        torch.testing.assert_close(low, scores.mean(-1), atol=1e-5, rtol=0)
        torch.testing.assert_close(high, scores.amax(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize('pool', POOLS, ids=ident)
@pytest.mark.parametrize('value', [-1e4, -12.0, -3.0, 0.0, 2.0, 1e4])
def test_a_constant_map_gives_the_constant(pool, value):
    found = make_pool(pool)(torch.full((1, 1, 49), value))
    if pool == 'mil':  # 1 - (1 - 0.02 p)^49
        expected = np.log(np.expm1(-49 * np.log1p(-0.02 * special.expit(value))))
        expected = np.log(0.02 * 49) + value if value < -9e3 else expected
    else:
        expected = 1.3 * value if ident(pool).startswith('residual') else value
    torch.testing.assert_close(found.item(), float(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('pool', POOLS, ids=ident)
@pytest.mark.parametrize('low', [-1e4, 0.0])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_scores_of_1e4_stay_finite(pool, low, dtype):
    """Within the head, which brings half precision to single."""
    if dtype == torch.float16 and torch.__version__ < '2.3':
        pytest.skip('torch before 2.3 has no convolution of half precision on CPUs')
    head = ScoreMapHead(1, (1,), pool, bias=False).to(dtype)
    nn.init.ones_(head.classifiers[0].weight)
    x = torch.tensor([low, 1e4, low, -1e4], dtype=dtype).view(1, 1, 2, 2).requires_grad_()
    logits = head((x,))
    logits.sum().backward()
    assert logits.dtype == torch.float32 and logits.isfinite().all() and logits.abs() < 2e4
    saturated = pool in ('mean_probability', 'mil') and low < 0  # every probability is 0 or 1
    assert x.grad.isfinite().all() and (x.grad.abs().sum() > 0) != saturated
    assert head.classifiers[0].weight.grad.isfinite().all()


def make_feats(*channels):
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, c, 6 - 2 * i, 5 - i, generator=generator) for i, c in enumerate(channels)
    )


def test_mean_is_global_average_pooling_and_a_linear_layer():
    head = ScoreMapHead(5, (8,))
    linear = nn.Linear(8, 5)
    linear.load_state_dict(
        {k: v.view(5, -1)[:, 0] if v.ndim == 1 else v.flatten(1) for k, v in (
            ('weight', head.classifiers[0].weight), ('bias', head.classifiers[0].bias))}
    )  # fmt: skip
    (x,) = make_feats(8)
    torch.testing.assert_close(head((x,)), linear(x.mean((2, 3))))


def test_pcam_pools_the_features_with_the_class_s_weights():
    """As its authors write it: features by place weights, then the same classifier."""
    head = ScoreMapHead(5, (8,), 'pcam')
    nn.init.normal_(head.classifiers[0].weight)
    nn.init.normal_(head.classifiers[0].bias)
    (x,) = make_feats(8)
    a = torch.sigmoid(head.classifiers[0](x)).flatten(2)  # (N, K, P)
    a = a / a.sum(-1, keepdim=True)
    f = torch.einsum('nkp,ncp->nkc', a, x.flatten(2))
    w = head.classifiers[0].weight.flatten(1)
    expected = (f * w).sum(-1) + head.classifiers[0].bias
    torch.testing.assert_close(head((x,)), expected, rtol=1e-5, atol=1e-5)


def test_levels_are_summed_each_by_its_pool():
    pools = ['max', dict(name='lse', r=2.0), 'mean']
    head = ScoreMapHead(5, (6, 8, 10), pools)
    feats = make_feats(6, 8, 10)
    singles = []
    for i, (pool, x) in enumerate(zip(pools, feats, strict=True)):
        single = ScoreMapHead(5, (x.shape[1],), pool)
        single.classifiers[0] = head.classifiers[i]
        singles.append(single((x,)))
    torch.testing.assert_close(head(feats), sum(singles))
    assert head.lam == (1.0, 1.0, 1.0)
    mixed = [dict(name='residual', lam=0.5, temperature=None), 'max']
    assert ScoreMapHead(5, (6, 8), mixed).lam == (0.5, 1.0)


@pytest.mark.parametrize(
    ('pool', 'message'),
    [
        ('median', "pool must be one of mean, max.*got 'median'"),
        (dict(type='lse', r=10.0), "dict.name='lse'.*got {'type': 'lse'"),
        ('lse', "pool 'lse' takes r, got 'lse'"),
        (dict(name='max', r=1.0), "pool 'max' takes no parameters, got"),
        (dict(name='lse', r=0.0), 'r must be positive, got 0.0'),
        (dict(name='lse', r=None), 'r must be positive, got None'),
        (dict(name='softmax', temperature=-1.0), 'temperature must be positive, got -1.0'),
        (dict(name='residual', lam=0.1, temperature=0), r'positive or None \(maximum\), got 0'),
        (['mean', 'max'], r'one pool for all levels or one for each, got 2 for 3 levels'),
        ([], 'got 0 for 3 levels'),
    ],
)
def test_pools_that_do_not_fit_are_refused(pool, message):
    with pytest.raises(ValueError, match=message):
        ScoreMapHead(pool=pool)


@pytest.mark.parametrize('pool', POOLS, ids=ident)
@pytest.mark.parametrize('classes', [5, 14])
def test_trains_with_unknown_targets_from_the_bare_registry(pool, classes):
    head = MODELS.build(
        dict(type='mlrfnet_mm.ScoreMapHead', num_classes=classes, in_channels=(6, 8), pool=pool)
    )
    head.init_weights()
    assert sum(p.numel() for p in head.parameters()) == 14 * classes + 2 * classes
    assert all((fc.bias == 0).all() for fc in head.classifiers)
    assert head.classifiers[1].weight.std().item() == pytest.approx(0.01, rel=0.5)
    target = torch.zeros(classes)
    target[0], target[1] = 1, torch.nan
    samples = [DataSample().set_gt_score(target) for _ in range(2)]
    feats = make_feats(6, 8)
    loss = head.loss(feats, samples)['loss']
    logits = head(feats).detach()
    known = ~target.isnan()
    bce = nn.functional.binary_cross_entropy_with_logits(
        logits[:, known], target[known].expand(2, -1), reduction='sum'
    )
    torch.testing.assert_close(loss, bce / (2 * classes))  # unknown ones stay in the divisor
    loss.backward()
    for p in head.parameters():
        assert p.grad.isfinite().all()
        assert (p.grad[1] == 0).all() and (p.grad[0] != 0).all()


def test_autocast_pools_in_single_precision():
    head = ScoreMapHead(5, (6, 8), 'pcam')
    with torch.autocast('cpu', torch.bfloat16):
        logits = head(make_feats(6, 8))
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, head(make_feats(6, 8)), rtol=0.05, atol=0.05)


def test_thresholds_and_topk_are_mmpretrain_s():
    head = ScoreMapHead(3, (4,), bias=False, topk=1)
    for i in range(3):
        head.classifiers[0].weight.data[i] = i / 4
    (sample,) = head.predict((torch.ones(1, 4, 2, 2),), [DataSample()])
    assert sample.pred_label.tolist() == [2]
