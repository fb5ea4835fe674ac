"""Distribution-balanced loss and LDAM, against their formulas in numpy; counts; all heads."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from builders import make_graph, small_runner
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nan

from mlrfnet_mm.models import DistributionBalancedLoss, LDAMLoss, MaskedLoss
from mlrfnet_mm.models.losses.ldam_loss import effective_weights

COUNTS, IMAGES = (500, 40, 8, 120, 2), 1000
GRAPH = 'graphs/xray14_official_train.json'
LOSSES = {
    'distribution-balanced': dict(
        type='mlrfnet_mm.DistributionBalancedLoss', class_counts=COUNTS, images=IMAGES
    ),
    'no focal factor': dict(
        type='mlrfnet_mm.DistributionBalancedLoss', class_counts=COUNTS, images=IMAGES, gamma=0.0
    ),
    'ldam': dict(type='mlrfnet_mm.LDAMLoss', class_counts=COUNTS),
    'ldam-drw': dict(type='mlrfnet_mm.LDAMLoss', class_counts=COUNTS, beta=0.999, scale=3.0),
    'asymmetric': dict(
        type='mlrfnet_mm.MaskedLoss', loss=dict(type='mmpretrain.AsymmetricLoss', gamma_pos=1.0)
    ),
}


def draw(unknown=True):
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(9, 5, generator=generator, dtype=torch.float64)
    target = (torch.rand(9, 5, generator=generator) < 0.4).double()
    target[0] = 0  # no finding
    target[1, 1] = 0.3  # soft
    if unknown:
        target[2:4, 0] = target[5, 3] = nan
    return logits, target


def by_hand_db(z, y, alpha=0.1, beta=10.0, mu=0.2, kappa=0.05, lam=2.0, gamma=2.0):
    """Entry by entry, from the paper's equations and probabilities."""
    n = np.array(COUNTS, float)
    loss = np.zeros_like(z)
    for (i, k), label in np.ndenumerate(y):
        if np.isnan(label):
            continue
        rate = sum(y[i, j] / n[j] for j in range(len(n)) if not np.isnan(y[i, j])) / len(n)
        wanted = 1 / n[k] / len(n)
        squashed = 1.0 if rate == 0 else 1 / (1 + np.exp(-beta * (wanted / rate - mu)))
        b = -np.log(IMAGES / n[k] - 1)  # the best constant logit
        nu = -kappa * b
        p, q = 1 / (1 + np.exp(-(z[i, k] - nu))), 1 / (1 + np.exp(-lam * (z[i, k] - nu)))
        positive, negative = -((1 - p) ** gamma) * np.log(p), -(q**gamma) * np.log(1 - q) / lam
        loss[i, k] = (alpha + squashed) * (label * positive + (1 - label) * negative)
    return loss


def by_hand_ldam(z, y, most=0.5, scale=1.0, beta=0.0):
    n = np.array(COUNTS, float)
    margin = most * n**-0.25 / (n**-0.25).max()
    weight = (1 - beta) / (1 - beta**n)
    weight *= len(n) / weight.sum()
    loss = np.zeros_like(z)
    for (i, k), label in np.ndenumerate(y):
        if not np.isnan(label):
            p = 1 / (1 + np.exp(-scale * (z[i, k] - label * margin[k])))
            loss[i, k] = -weight[k] * (label * np.log(p) + (1 - label) * np.log(1 - p))
    return loss


@pytest.mark.parametrize('reduction', ['none', 'sum', 'mean'])
@pytest.mark.parametrize(
    ('kind', 'by_hand', 'options', 'same'),
    [
        ('distribution-balanced', by_hand_db, {}, {}),
        ('distribution-balanced', by_hand_db, dict(alpha=0.3, beta=4.0, mu=0.5), {}),
        ('distribution-balanced', by_hand_db, dict(kappa=0.2, lam=5.0, gamma=1.5), {}),
        ('no focal factor', by_hand_db, {}, dict(gamma=0.0)),
        ('ldam', by_hand_ldam, {}, {}),
        ('ldam-drw', by_hand_ldam, {}, dict(beta=0.999, scale=3.0)),
    ],
)
def test_against_the_formula(kind, by_hand, options, same, reduction):
    logits, target = draw()
    expected = by_hand(logits.numpy(), target.numpy(), **options, **same)
    expected = dict(none=expected, sum=expected.sum(), mean=expected.mean())[reduction]
    loss = MODELS.build(dict(LOSSES[kind], **options, reduction=reduction))(logits, target)
    np.testing.assert_allclose(loss, expected, rtol=1e-10, atol=1e-15)  # numpy's log(1 - q)


def test_limits_are_binary_cross_entropy():
    logits, target = draw(unknown=False)
    plain = F.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(LDAMLoss(COUNTS, max_margin=0)(logits, target), plain)
    torch.testing.assert_close(LDAMLoss((7,) * 5, 0, beta=0.99)(logits, target), plain)
    uniform = DistributionBalancedLoss(
        COUNTS, IMAGES, alpha=0.5, beta=0, kappa=0, lam=1, gamma=0
    )  # sigmoid(0) = 1 / 2
    torch.testing.assert_close(uniform(logits, target), plain)


def test_one_finding_of_its_own_weighs_most_and_the_common_one_with_it_least():
    """The paper's point: a common finding that comes along with a rare one is not drawn for it."""
    logits, target = torch.zeros(3, 5), torch.zeros(3, 5)
    target[0, 4] = 1  # rare alone
    target[1, [0, 4]] = 1  # common with rare
    loss = DistributionBalancedLoss(
        COUNTS, IMAGES, kappa=0, lam=1, gamma=0, reduction='none'
    )  # all entries log 2 times their weight
    weights = loss(logits, target) / np.log(2)
    assert weights[0, 4] == pytest.approx(0.1 + 1 / (1 + np.exp(-10 * 0.8)))  # ratio 1
    assert weights[1, 0] == pytest.approx(0.1 + 1 / (1 + np.exp(-10 * (2 / 502 - 0.2))), rel=1e-5)
    np.testing.assert_allclose(weights[2], 1.1, rtol=1e-6)  # no finding


def test_margins_and_weights_of_known_counts():
    loss = LDAMLoss((16, 1, 256), max_margin=0.8)
    np.testing.assert_allclose(loss.margins, (0.4, 0.8, 0.2))
    n = torch.tensor([1.0, 4, 8], dtype=torch.float64)
    near_one = effective_weights(n, 1 - 1e-9)
    torch.testing.assert_close(near_one, (1 / n) / (1 / n).mean(), rtol=1e-6, atol=0)
    assert effective_weights(n, 0.0).tolist() == [1, 1, 1]
    big = effective_weights(torch.tensor([1e6, 1e6], dtype=torch.float64), 0.9)
    assert big.tolist() == [1, 1]


@pytest.mark.parametrize('kind', LOSSES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_any_logit_and_unknown_targets_leave_all_finite(kind, dtype):
    logits = torch.tensor([-1e4, -100, 0, 100, 1e4], dtype=dtype).repeat(3, 1).requires_grad_()
    target = torch.tensor([[1.0], [0], [nan]]).expand(3, 5).clone()
    target[:, 0] = nan  # a class that is unknown everywhere
    loss = MODELS.build(LOSSES[kind])(logits, target)
    loss.backward()
    assert loss.isfinite() and loss.dtype == torch.float32
    assert logits.grad.isfinite().all()
    assert (logits.grad[target.isnan()] == 0).all() and (logits.grad[:2, 1:] != 0).any()


@pytest.mark.parametrize('kind', [k for k in LOSSES if k != 'asymmetric'])
def test_gradients_are_those_of_the_differences(kind):
    logits, target = draw(unknown=False)
    loss = MODELS.build(dict(LOSSES[kind], reduction='none'))
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_())


@pytest.mark.parametrize('kind', LOSSES)
def test_weights_and_images_are_those_of_the_other_losses(kind):
    logits, target = draw()
    loss = MODELS.build(LOSSES[kind])
    entries = loss(logits, target, reduction_override='none')
    image = torch.arange(9.0, dtype=torch.float64)
    weighted = loss(logits, target, weight=image, avg_factor=4)
    torch.testing.assert_close(weighted, (entries * image[:, None]).sum() / (4 * 5))
    torch.testing.assert_close(loss(logits, target, reduction_override='sum'), entries.sum())
    if kind != 'asymmetric':
        doubled = MODELS.build(dict(LOSSES[kind], loss_weight=2.0))
        torch.testing.assert_close(doubled(logits, target), 2 * entries.mean())


@pytest.mark.parametrize('kind', ['AsymmetricLoss', 'FocalLoss'])
@pytest.mark.parametrize('value', [0.0, 1.0])
def test_one_class_is_not_taken_for_indices(kind, value):
    """mmpretrain's take a column of targets for class indices, and train negatives as positives."""
    logits, target = torch.randn(6, 1), torch.full((6, 1), value)
    inner = dict(type=f'mmpretrain.{kind}')
    of_two = MaskedLoss(inner)(logits.repeat(1, 2), target.repeat(1, 2), reduction_override='none')
    of_one = MaskedLoss(inner)(logits, target, reduction_override='none')
    torch.testing.assert_close(of_one, of_two[:, :1])


HEADS = {
    'MRFCHead': dict(in_channels=(8,), lam=0.3),
    'ScoreMapHead': dict(in_channels=(8,), pool='pcam'),
    'PixelAttentionHead': dict(in_channels=(8,)),
    'LabelGraphHead': dict(in_channels=(8,), lam=0.3, graph=make_graph(), hidden=4),
    'FindingGraphHead': dict(in_channels=(8,), graph=make_graph()),
    'LabelQueryHead': dict(in_channels=(8,), dim=8, hidden=8, heads=2),
    'LabelSequenceHead': dict(in_channels=(8,), hidden=4),
    'BatchGraphHead': dict(in_channels=(8,), hidden=4),
    'BottleneckHead': dict(in_channels=8),
    'FusionHead': dict(in_channels=(8, 8)),
    'TreeLogits': dict(head='MRFCHead'),
    'LabelCoupling': dict(head='MRFCHead'),
}


def build_head(name, loss):
    options = dict(HEADS[name])
    if inner := options.get('head'):
        options['head'] = dict(type=f'mlrfnet_mm.{inner}', **HEADS[inner], num_classes=5, loss=loss)
        if name == 'TreeLogits':
            options.update(classes=('A', 'B', 'C', 'D', 'E'), parents=dict(B='A'))
    else:
        options.update(num_classes=5, loss=loss)
    torch.manual_seed(0)
    return MODELS.build(dict(type=f'mlrfnet_mm.{name}', **options))


def head_feats(name):
    maps = torch.randn(4, 8, 3, 3, generator=torch.Generator().manual_seed(1))
    vectors = maps.mean((2, 3))
    return {
        'BottleneckHead': (vectors[:, 0].exp(), vectors),
        'FusionHead': (maps, 2 * maps),
    }.get(name, (maps,))


@pytest.mark.parametrize('kind', ['asymmetric', 'distribution-balanced', 'ldam-drw'])
@pytest.mark.parametrize('name', HEADS)
def test_every_head_trains_with_it_on_unknown_targets(name, kind):
    head = build_head(name, LOSSES[kind])
    target = torch.tensor([[1.0, nan, 0, 0, 1], [nan] * 5, [0, 0, 0, 0, 0], [0.5, 1, 0, 1, nan]])
    losses = head.loss(head_feats(name), [DataSample().set_gt_score(y) for y in target])
    total = sum(losses.values())
    total.backward()
    assert total.isfinite() and total > 0
    grads = [p.grad for p in head.parameters() if p.grad is not None]
    assert grads and all(g.isfinite().all() for g in grads) and any(g.any() for g in grads)


def test_counts_come_from_a_label_graph_file(tmp_path):
    loss = LDAMLoss(GRAPH)
    assert loss.label_classes[-1] == 'Hernia' and loss.margins[-1] == 0.5  # 115 images
    assert loss.margins[3] == pytest.approx(0.5 * (12037 / 115) ** -0.25)  # Infiltration
    graph = make_graph()
    path = tmp_path / 'graph.json'
    path.write_text(json.dumps(graph))
    for given in (str(path), graph):
        found = DistributionBalancedLoss(given)
        odds = graph['images'] / np.array(graph['positives']) - 1
        np.testing.assert_allclose(found.nu, 0.05 * np.log(odds))
        assert found.label_classes == tuple(graph['classes'])
    assert not DistributionBalancedLoss(graph).state_dict()  # a checkpoint is the same without it


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: LDAMLoss((5, 0)), r'from 1 to the number of images, got {0: 5.0, 1: 0.0}'),
        (lambda: LDAMLoss(()), 'one number per class'),
        (lambda: LDAMLoss((5, 1), beta=1.0), r'beta=1.0 is out of range'),
        (lambda: LDAMLoss((5, 1), max_margin=-1), r'max_margin=-1 is out of range'),
        (lambda: LDAMLoss((5, 1), reduction='median'), "reduction='median'"),
        (lambda: DistributionBalancedLoss((5, 1)), r'number of training images .* images=…'),
        (lambda: DistributionBalancedLoss((5, 1), 4), r'from 1 to the 4 images'),
        (lambda: DistributionBalancedLoss((5, 4), 5), r'on all 5 images'),
        (lambda: DistributionBalancedLoss((5, 4), 9, lam=0), r'lam=0 is out of range'),
        (lambda: DistributionBalancedLoss(make_graph(), 9), r'has its own images; leave out 9'),
        (lambda: LDAMLoss((5, 1))(torch.zeros(2, 3), torch.zeros(2, 3)), 'has 2 classes'),
        (lambda: LDAMLoss((5, 1))(torch.zeros(2, 2), torch.zeros(3, 2)), 'differ in shape'),
        (
            lambda: DistributionBalancedLoss((5, 1), 9)(torch.zeros(2, 2), torch.zeros(3, 2)),
            'differ in shape',
        ),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"no label graph 'none.json'.*label-graph CONFIG"):
        LDAMLoss('none.json')


def test_a_training_on_other_classes_is_refused(tmp_path):
    runner = small_runner(tmp_path)
    runner.model.head.loss_module = LDAMLoss(GRAPH)
    with pytest.raises(
        ValueError, match=r'label graph of LDAMLoss is of Atelectasis, .*Edema, Mas'
    ):
        runner.train()


@pytest.mark.slow
def test_reweighting_is_deferred_also_after_a_resume(tmp_path):
    ldam = dict(type='mlrfnet_mm.LDAMLoss', class_counts=(10, 2))
    switch = dict(
        type='mmpretrain.SwitchRecipeHook',
        schedule=[dict(action_epoch=2, loss=dict(ldam, beta=0.9))],
    )

    def trained(epochs, **options):
        options.update({'model.head.loss': ldam, 'train_cfg.max_epochs': epochs})
        runner = small_runner(tmp_path, [switch], **options)
        runner.train()
        return runner.model.head.loss_module

    assert trained(1).weights.tolist() == [1, 1]
    assert trained(2, resume=True).weights[1] > 1
    assert trained(3, resume=True).weights[1] > 1  # the switch was before
