"""Losses over unknown targets, against torch's formulas on the known ones."""

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import nan, nn

from mlrfnet_mm.models import BiasedFocalLoss, MaskedLoss

N, K = 6, 14


def bce(x, y):
    return F.binary_cross_entropy_with_logits(x, y, reduction='none')


def weighted_bce(x, y):
    return F.binary_cross_entropy_with_logits(
        x, y, pos_weight=torch.arange(1.0, K + 1, dtype=x.dtype), reduction='none'
    )


def focal(x, y):
    """Lin et al., ICCV 2017, eq. 5: -alpha_t (1 - p_t)^gamma log p_t, alpha 0.25, gamma 2."""
    p = torch.sigmoid(x)
    p_t = y * p + (1 - y) * (1 - p)
    return (0.25 * y + 0.75 * (1 - y)) * (1 - p_t) ** 2 * -torch.log(p_t)


def asymmetric(x, y):
    """Ridnik et al., ICCV 2021, eqs. 4-7: gamma+ = 1, gamma- = 4, margin 0.05."""
    p = torch.sigmoid(x)
    p_m = (p - 0.05).clamp(min=0)
    return -y * (1 - p) * torch.log(p) - (1 - y) * p_m**4 * torch.log(1 - p_m)


LOSSES = {
    'bce': (dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True), bce),
    'weighted': (
        dict(
            type='mmpretrain.CrossEntropyLoss',
            use_sigmoid=True,
            pos_weight=list(range(1, K + 1)),
            loss_weight=3.0,
        ),
        lambda x, y: 3 * weighted_bce(x, y),
    ),
    'focal': (dict(type='mmpretrain.FocalLoss'), focal),
    'asymmetric': (dict(type='mmpretrain.AsymmetricLoss', gamma_pos=1.0), asymmetric),
    'biased focal': (dict(type='mlrfnet_mm.BiasedFocalLoss', alpha=0.5, gamma=0, shift=0),
                     lambda x, y: bce(x, y) / 2),
}  # fmt: skip


def draw():
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(N, K, generator=generator, dtype=torch.float64)
    target = (torch.rand(N, K, generator=generator) < 0.3).double()
    target[torch.rand(N, K, generator=generator) < 0.25] = nan
    return logits, target


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('reduction', ['none', 'sum', 'mean'])
def test_known_entries_have_the_formula_s_loss_and_unknown_ones_none(name, reduction):
    config, formula = LOSSES[name]
    logits, target = draw()
    loss = MaskedLoss(dict(config, reduction=reduction))(logits.requires_grad_(), target)
    known = ~target.isnan()
    expected = torch.zeros(N, K, dtype=torch.float64)
    expected[known] = formula(logits, target.nan_to_num())[known].detach()
    expected = dict(none=expected, sum=expected.sum(), mean=expected.sum() / (N * K))[reduction]
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-7)
    loss.sum().backward()
    assert (logits.grad[~known] == 0).all()
    assert (logits.grad[known] != 0).any()


@pytest.mark.parametrize('name', LOSSES)
def test_without_unknown_targets_it_is_torch_s_mean(name):
    config, formula = LOSSES[name]
    logits, target = draw()
    target = target.nan_to_num()
    expected = formula(logits, target).mean()
    # as mmpretrain's heads call it: their own losses give K times this
    loss = MaskedLoss(config)(logits, target, avg_factor=N)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_unknown_targets_at_any_logit_leave_all_finite(name, dtype):
    logits = torch.tensor([-1e4, -100, 0, 100, 1e4] + 9 * [1.0], dtype=dtype).repeat(2, 1)
    target = torch.full((2, K), nan)
    target[1] = 1
    target[1, 0] = nan
    loss = MaskedLoss(LOSSES[name][0])(logits.requires_grad_(), target)
    loss.backward()
    assert loss.isfinite() and loss.dtype == torch.float32
    assert logits.grad.isfinite().all() and (logits.grad[0] == 0).all()


def test_weights_and_overrides_are_those_of_the_biased_focal_loss():
    logits, target = draw()
    ours, wrapped = BiasedFocalLoss(), MaskedLoss(BiasedFocalLoss())
    entry = torch.rand(N, K, dtype=torch.float64)
    for kwargs in (
        dict(weight=torch.arange(float(N))),
        dict(weight=entry),
        dict(avg_factor=2.5),
        dict(reduction_override='sum'),
        dict(reduction_override='none', weight=entry),
    ):
        torch.testing.assert_close(
            wrapped(logits, target, **kwargs), ours(logits, target, **kwargs)
        )


def test_a_head_s_loss_masks_its_samples():
    from mmpretrain.structures import DataSample

    config = dict(type='mlrfnet_mm.MaskedLoss', loss=LOSSES['bce'][0])
    head = MODELS.build(
        dict(type='mlrfnet_mm.MRFCHead', num_classes=K, in_channels=(8,), lam=0.1, loss=config)
    )
    logits, target = (x.float() for x in draw())
    samples = [DataSample().set_gt_score(row) for row in target]
    known = ~target.isnan()
    expected = F.binary_cross_entropy_with_logits(logits[known], target[known], reduction='sum')
    torch.testing.assert_close(head._get_loss(logits, samples)['loss'], expected / (N * K))


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='mmpretrain.CrossEntropyLoss', use_soft=True), r'CrossEntropyLoss gives losses'),
        (dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True), r'differ in shape.*\(6, 13\)'),
    ],
)
def test_what_cannot_be_masked_is_refused(config, message):
    logits, target = draw()
    if 'use_sigmoid' in config:
        target = target[:, 1:]
    with pytest.raises(ValueError, match=message):
        MaskedLoss(config)(logits, target)


def test_an_unknown_reduction_is_refused():
    logits, target = draw()
    with pytest.raises(ValueError, match="reduction must be one of .*'median'"):
        MaskedLoss(LOSSES['bce'][0])(logits, target, reduction_override='median')


class Naive(nn.Module):
    """Cross-entropy without care for saturation: its slope at p = 0 and 1 is infinite."""

    def forward(self, x, y, reduction_override=None):
        p = x.sigmoid()
        return -y * p.log() - (1 - y) * (1 - p).log()


class Row(nn.Module):
    def forward(self, x, y, reduction_override=None):
        return (x - y).square().mean(1, keepdim=True)


def test_an_infinite_slope_at_an_unknown_target_is_masked():
    logits = torch.tensor([[200.0, 0.5], [-200.0, 0.5]], requires_grad=True)
    MaskedLoss(Naive())(logits, torch.tensor([[nan, 1.0], [nan, 0.0]])).backward()
    assert (logits.grad[:, 0] == 0).all() and logits.grad.isfinite().all()


def test_a_loss_for_each_row_is_refused():
    with pytest.raises(ValueError, match=r'Row gives losses of shape \(6, 1\)'):
        MaskedLoss(Row())(torch.zeros(N, K), torch.zeros(N, K))


@pytest.mark.parametrize('loss', [BiasedFocalLoss(), MaskedLoss(BiasedFocalLoss())])
def test_the_mean_is_over_the_images_that_avg_factor_counts(loss):
    logits, target = torch.randn(4, 3), torch.randint(0, 2, (4, 3)).float()
    total = loss(logits, target, reduction_override='sum')
    for given, images in ((None, 4), (7, 7), (0.5, 0.5), (torch.tensor(3.0), 3)):
        torch.testing.assert_close(loss(logits, target, avg_factor=given), total / (3 * images))
    for bad in (0, 0.0, -1, float('nan'), torch.tensor(0)):
        with pytest.raises(ValueError, match='avg_factor, the number of images.*above 0'):
            loss(logits, target, avg_factor=bad)
