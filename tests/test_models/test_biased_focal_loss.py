import numpy as np
import pytest
import reference
import torch
import torch.nn.functional as F
from mmpretrain.models import FocalLoss
from torch import nan

from mlrfnet_mm.models.losses import BiasedFocalLoss, biased_focal_loss


def draw(n=6, k=14, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(n, k, generator=generator, dtype=dtype)
    target = (torch.rand(n, k, generator=generator) < 0.3).to(dtype)
    return logits, target


@pytest.mark.parametrize('alpha', [0.0, 0.4, 1.0])
@pytest.mark.parametrize('gamma', [0.0, 0.5, 1.0, 2.0, 3.5])
@pytest.mark.parametrize('shift', [0.0, 0.2, 0.5])
def test_equals_equations_3_and_4(alpha, gamma, shift):
    logits, target = draw()
    loss = biased_focal_loss(logits, target, alpha, gamma, shift)
    p = reference.sigmoid(logits.numpy())
    np.testing.assert_allclose(
        loss.numpy(), reference.biased_focal(p, target.numpy(), alpha, gamma, shift), rtol=1e-9
    )


def test_soft_targets_mix_the_two_terms_linearly():
    logits, _ = draw()
    y = torch.rand_like(logits)
    one, zero = torch.ones_like(y), torch.zeros_like(y)
    torch.testing.assert_close(
        biased_focal_loss(logits, y),
        y * biased_focal_loss(logits, one) + (1 - y) * biased_focal_loss(logits, zero),
    )


def test_limit_is_half_of_binary_cross_entropy():
    logits, target = draw()
    loss = BiasedFocalLoss(alpha=0.5, gamma=0, shift=0)(logits, target)
    torch.testing.assert_close(loss, 0.5 * F.binary_cross_entropy_with_logits(logits, target))


def test_limit_without_shift_is_mmpretrains_focal_loss():
    logits, target = draw()
    ours = BiasedFocalLoss(alpha=0.25, gamma=2, shift=0)(logits, target)
    torch.testing.assert_close(ours, FocalLoss(gamma=2.0, alpha=0.25)(logits, target))


def test_shifted_logarithm_is_that_of_asymmetric_loss():
    logits, _ = draw()
    zero = torch.zeros_like(logits)
    p = torch.sigmoid(logits)
    ps = (p - 0.2).clamp(min=0)
    expected = -0.6 * ps**2 * torch.log(1 - ps)
    torch.testing.assert_close(biased_focal_loss(logits, zero, shift_log=True), expected)


def test_easy_negatives_get_no_gradient():
    logits = torch.logit(torch.tensor([0.05, 0.19, 0.21, 0.9])).requires_grad_()
    biased_focal_loss(logits, torch.zeros(4)).sum().backward()
    assert (logits.grad[:2] == 0).all()
    assert (logits.grad[2:] > 0).all()


@pytest.mark.parametrize('gamma', [0.0, 0.05, 0.5, 1.0, 2.0])
@pytest.mark.parametrize('shift_log', [False, True])
@pytest.mark.parametrize('shift', [0.0, 0.2])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_finite_with_finite_gradients_at_extreme_logits(gamma, shift_log, shift, dtype):
    values = torch.tensor([-1e4, -100, -20, 0, 20, 100, 1e4], dtype=dtype)
    logits = values.repeat(3, 1).requires_grad_()
    target = torch.tensor([0.0, 1.0, 0.5]).view(3, 1).expand(3, 7)
    loss = biased_focal_loss(logits, target, gamma=gamma, shift=shift, shift_log=shift_log)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert loss.isfinite().all()
    assert (loss >= 0).all()
    loss.sum().backward()
    assert logits.grad.isfinite().all()
    # a positive that is missed by far: -alpha * log p = 0.4 * 1e4
    torch.testing.assert_close(loss[1, 0].item(), 4000.0, rtol=1e-2, atol=0)


@pytest.mark.parametrize('shift_log', [False, True])
@pytest.mark.parametrize('gamma', [0.0, 1.0, 2.0, 3.0])
def test_gradcheck(gamma, shift_log):
    logits, target = draw(2, 5)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: biased_focal_loss(x, target, gamma=gamma, shift_log=shift_log), logits
    )


def test_unknown_entries_have_no_loss_and_no_gradient():
    logits, target = draw()
    masked = target.clone()
    masked[0, :3] = nan
    logits.requires_grad_()
    loss = biased_focal_loss(logits, masked)
    known = ~masked.isnan()
    torch.testing.assert_close(loss[known], biased_focal_loss(logits, target)[known])
    assert (loss[~known] == 0).all()
    loss.sum().backward()
    assert (logits.grad[~known] == 0).all()
    assert logits.grad.isfinite().all()


def test_mean_is_over_all_entries_with_or_without_avg_factor():
    logits, target = draw(n=6)
    entries = biased_focal_loss(logits, target)
    loss = BiasedFocalLoss()
    torch.testing.assert_close(loss(logits, target), entries.mean())
    torch.testing.assert_close(loss(logits, target, avg_factor=6), entries.mean())
    torch.testing.assert_close(loss(logits, target, avg_factor=3), entries.sum() / (3 * 14))
    weight = torch.rand(6).double()
    torch.testing.assert_close(loss(logits, target, weight), (entries * weight[:, None]).mean())
    # the mean of the parts is the mean of the whole, masks or not
    target[2, 1:4] = nan
    parts = torch.stack([loss(logits[i : i + 1], target[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(parts.mean(), loss(logits, target))


def test_reductions_and_weights():
    logits, target = draw()
    entries = biased_focal_loss(logits, target)
    torch.testing.assert_close(BiasedFocalLoss(reduction='none')(logits, target), entries)
    torch.testing.assert_close(BiasedFocalLoss(reduction='sum')(logits, target), entries.sum())
    torch.testing.assert_close(
        BiasedFocalLoss(loss_weight=3)(logits, target, reduction_override='none'), 3 * entries
    )
    by_image, by_entry = torch.rand(6).double(), torch.rand(6, 14).double()
    none = BiasedFocalLoss(reduction='none')
    torch.testing.assert_close(none(logits, target, by_image), entries * by_image[:, None])
    torch.testing.assert_close(none(logits, target, by_entry), entries * by_entry)


@pytest.mark.parametrize(
    'kwargs', [dict(alpha=1.5), dict(gamma=-1), dict(shift=1.0), dict(reduction='avg')]
)
def test_bad_parameters_are_named(kwargs):
    (name, value), *_ = kwargs.items()
    with pytest.raises(ValueError, match=f'{name}={value!r}'):
        BiasedFocalLoss(**kwargs)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r'\(2, 3\) and \(2, 4\)'):
        biased_focal_loss(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize('gamma', [0.05, 0.5, 1.0, 2.0])
def test_a_negative_at_the_shift_itself_has_no_loss(gamma):
    logits = torch.zeros(1, requires_grad=True)
    loss = biased_focal_loss(logits, torch.zeros(1), gamma=gamma, shift=0.5)
    loss.sum().backward()
    assert loss.item() == logits.grad.item() == 0
