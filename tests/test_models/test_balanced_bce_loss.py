"""Weights of the batch, against the formula in numpy and torch's pos_weight."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import nan

from mlrfnet_mm.models import BalancedBCELoss
from mlrfnet_mm.models.losses.balanced_bce_loss import balance_weights

FORMS = [(s, b) for s in ('batch', 'class') for b in ('both', 'positive')]
Y = torch.tensor([[1.0, 0, 0], [0, 0, 1]], dtype=torch.float64)
Z = torch.tensor([[0.5, -1, 2], [0, -0.5, 1]], dtype=torch.float64)


def draw(dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(8, 5, generator=generator, dtype=dtype)
    target = (torch.rand(8, 5, generator=generator) < 0.3).to(dtype)
    target[:, 3] = 0
    target[:, 4] = 1
    return logits, target


def test_golden_numbers():
    """Of the zoo's specification."""
    assert [w.item() for w in balance_weights(Y, 'batch', 'both')] == [3, 1.5]
    assert BalancedBCELoss()(Z, Y).item() == pytest.approx(1.2955228, abs=5e-8)
    plain = F.binary_cross_entropy_with_logits(Z, Y).item()
    assert plain == pytest.approx(0.7324588, abs=5e-8)


def by_hand(z, y, scope, balance):
    """The sum over the entries, each with the weights of its batch or column."""
    loss = np.zeros_like(z)
    for (i, k), label in np.ndenumerate(y):
        if np.isnan(label):
            continue
        counted = y if scope == 'batch' else y[:, k]
        positives, negatives = np.sum(counted == 1), np.sum(counted == 0)
        if label == 1:
            total = negatives + (positives if balance == 'both' else 0)
            loss[i, k] = total / positives * np.log1p(np.exp(-z[i, k]))
        else:
            beta = (positives + negatives) / negatives if balance == 'both' else 1
            loss[i, k] = beta * np.log1p(np.exp(z[i, k]))
    return loss


@pytest.mark.parametrize(('scope', 'balance'), FORMS)
@pytest.mark.parametrize('reduction', ['none', 'sum', 'mean'])
@pytest.mark.parametrize('unknown', [False, True])
def test_against_the_formula(scope, balance, reduction, unknown):
    logits, target = draw()
    if unknown:
        target[:3, 0] = target[:, 1] = nan
    expected = by_hand(logits.numpy(), target.numpy(), scope, balance)
    expected = dict(none=expected, sum=expected.sum(), mean=expected.mean())[reduction]
    loss = BalancedBCELoss(scope, balance, reduction)(logits, target)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_positive_by_class_is_torch_s_pos_weight():
    logits, target = draw()
    weight = torch.nan_to_num((1 - target).sum(0) / target.sum(0), posinf=0.0)
    expected = F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)
    torch.testing.assert_close(BalancedBCELoss('class', 'positive')(logits, target), expected)


def test_equally_many_are_weighted_alike():
    logits, _ = draw()
    target = (torch.arange(40).view(8, 5) % 2).double()
    plain = F.binary_cross_entropy_with_logits(logits, target)
    for scope in ('batch', 'class'):
        torch.testing.assert_close(BalancedBCELoss(scope)(logits, target), 2 * plain)
        torch.testing.assert_close(BalancedBCELoss(scope, 'positive')(logits, target), plain)


@pytest.mark.parametrize('value', [0.0, 1.0])
@pytest.mark.parametrize('scope', ['batch', 'class'])
def test_of_one_kind_only_its_own_term_remains(value, scope):
    logits, target = draw()
    target.fill_(value)
    expected = F.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(BalancedBCELoss(scope)(logits, target), expected)
    positive = BalancedBCELoss(scope, 'positive')(logits, target)
    torch.testing.assert_close(positive, expected * (1 - value))  # |N| / |P| = 0


@pytest.mark.parametrize(('scope', 'balance'), FORMS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_any_logit_and_unknown_targets_leave_all_finite(scope, balance, dtype):
    logits = torch.tensor([-1e4, -100, 0, 100, 1e4], dtype=dtype).repeat(3, 1).requires_grad_()
    target = torch.tensor([[1.0], [0], [nan]]).expand(3, 5).clone()
    target[:, 0] = nan  # a class that is unknown everywhere
    loss = MODELS.build(dict(type='mlrfnet_mm.BalancedBCELoss', scope=scope, balance=balance))(
        logits, target
    )
    loss.backward()
    assert loss.isfinite() and loss.dtype == torch.float32
    assert logits.grad.isfinite().all()
    assert (logits.grad[target.isnan()] == 0).all() and (logits.grad[:2, 1:] != 0).any()


def test_weights_and_images_are_those_of_the_other_losses():
    logits, target = draw()
    entries = BalancedBCELoss(reduction='none')(logits, target)
    image = torch.arange(8.0, dtype=torch.float64)
    weighted = BalancedBCELoss(loss_weight=2.0)(logits, target, weight=image, avg_factor=4)
    torch.testing.assert_close(weighted, 2 * (entries * image[:, None]).sum() / (4 * 5))
    total = BalancedBCELoss()(logits, target, reduction_override='sum')
    torch.testing.assert_close(total, entries.sum())


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(scope='image'), "scope must be one of .'batch', 'class'.*'image'"),
        (dict(balance='negative'), "balance must be one of .*'negative'"),
        (dict(reduction='median'), "reduction='median' must be one of"),
    ],
)
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        BalancedBCELoss(**kwargs)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r'differ in shape: \(2, 3\) and \(2, 2\)'):
        BalancedBCELoss()(Z, Y[:, :2])
