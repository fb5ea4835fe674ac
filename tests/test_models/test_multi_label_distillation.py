"""Multi-label distillation against torch's divergence of Bernoulli distributions."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch.distributions import Bernoulli, kl_divergence

from mlrfnet_mm.models.losses import multi_label_distillation

STUDENT = torch.tensor([[0.5, -1.0], [2.0, 0.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, -2.0], [1.0, 0.5]], dtype=torch.float64)


def loss(**options):
    return MODELS.build(dict(type='mlrfnet_mm.MultiLabelDistillationLoss', **options))


def test_the_golden_values():
    """Sum over labels and mean over images, as L2D has it; the house's mean of all."""
    assert loss(reduction='none')(STUDENT, TEACHER).sum(1).mean().item() == pytest.approx(
        0.1031914, abs=1e-7
    )
    assert loss()(STUDENT, TEACHER).item() == pytest.approx(0.0515957, abs=1e-7)


def test_it_is_the_divergence_of_bernoulli_distributions():
    generator = torch.Generator().manual_seed(0)
    s, t = (4 * torch.randn(5, 7, dtype=torch.float64, generator=generator) for _ in range(2))
    expected = kl_divergence(Bernoulli(logits=t), Bernoulli(logits=s))
    torch.testing.assert_close(multi_label_distillation(s, t), expected)
    p = t.sigmoid()
    entropy = Bernoulli(logits=t).entropy()
    soft = F.binary_cross_entropy_with_logits(s, p, reduction='none')
    torch.testing.assert_close(multi_label_distillation(s, t), soft - entropy)


def test_equal_logits_give_nothing():
    z = (3 * torch.randn(4, 5)).requires_grad_()
    value = loss()(z, z.detach().clone())
    value.backward()
    assert value.item() == 0
    torch.testing.assert_close(z.grad, torch.zeros_like(z), atol=1e-7, rtol=0)


def test_the_teacher_gets_no_gradient():
    s, t = (torch.randn(2, 3, requires_grad=True) for _ in range(2))
    loss()(s, t).backward()
    assert t.grad is None and s.grad.all()


@pytest.mark.parametrize('temperature', [0.5, 1.0, 4.0])
@pytest.mark.parametrize('weight', [1.0, 10.0])
def test_temperature_and_weight(temperature, weight):
    expected = (
        weight
        * temperature**2
        * kl_divergence(
            Bernoulli(logits=TEACHER / temperature), Bernoulli(logits=STUDENT / temperature)
        )
    )
    for reduction, value in dict(none=expected, sum=expected.sum(), mean=expected.mean()).items():
        made = loss(temperature=temperature, loss_weight=weight, reduction=reduction)
        torch.testing.assert_close(made(STUDENT, TEACHER), value)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_finite_with_finite_gradients_at_any_logits(dtype):
    values = torch.tensor([-1e4, -100, 0, 100, 1e4], dtype=dtype)
    s, t = torch.meshgrid(values, values, indexing='ij')
    s = s.clone().requires_grad_()
    value = loss(reduction='sum')(s, t)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite() and s.grad.isfinite().all()
    assert (multi_label_distillation(s, t) >= -1e-30).all()


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match='temperature must be positive, got 0'):
        loss(temperature=0)
    with pytest.raises(ValueError, match="reduction must be one of .*'median'"):
        loss(reduction='median')
    with pytest.raises(ValueError, match=r'differ in shape: \(2, 2\) and \(2, 3\)'):
        loss()(torch.zeros(2, 2), torch.zeros(2, 3))
