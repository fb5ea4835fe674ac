"""The selector's bottleneck against torch's distributions, the integrator against its formula."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nan
from torch.distributions import Normal, kl_divergence
from torch.utils.flop_counter import FlopCounterMode

from mlrfnet_mm.models.necks.select_integrate_neck import divergence_from_normal

BCE = dict(
    type='mlrfnet_mm.MaskedLoss', loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True)
)


def neck(c=32, selected=6):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='mlrfnet_mm.SelectIntegrateNeck', in_channels=(c,), selected=selected)
    )


def head(c=38, k=5, **options):
    return MODELS.build(
        dict(
            type='mlrfnet_mm.BottleneckHead', num_classes=k, in_channels=c,
            **{'loss': BCE, **options},
        )
    )  # fmt: skip


def feats(c=32, n=3, dtype=torch.float32, scale=1.0):
    x = torch.randn(n, c, 5, 4, generator=torch.Generator().manual_seed(1))
    return ((scale * x).to(dtype),)


def conv(layer, x):
    return torch.einsum('nchw,kc->nkhw', x, layer.weight.flatten(1)) + layer.bias[:, None, None]


def samples(target):
    return [DataSample().set_gt_score(y) for y in target]


def test_specified_sizes():
    """With a linear layer 1280 → 14, at 7 x 7 when testing."""
    made, classifier = neck(1024, 256), head(1280, 14)
    parameters = [*made.parameters(), *classifier.parameters()]
    assert sum(p.numel() for p in parameters) == 675_250
    made.to('meta').train()
    with FlopCounterMode(display=False) as counter:
        found = made((torch.empty(1, 1024, 7, 7, device='meta'),))
    assert [tuple(x.shape) for x in found] == [(1,), (1, 1280)]
    assert counter.get_total_flops() / 2 + 1280 * 14 == 25_856_450


def test_the_divergence_is_torch_s():
    mean, std = torch.randn(4, 5), torch.rand(4, 5) + 0.1
    expected = kl_divergence(Normal(mean, std), Normal(0.0, 1.0))
    torch.testing.assert_close(divergence_from_normal(mean, std), expected)
    assert divergence_from_normal(torch.zeros(1), torch.ones(1)) == 0


def test_both_vectors_when_testing():
    made = neck().double().eval()
    (x,) = feats(dtype=torch.float64)
    (out,) = made((x,))
    code = conv(made.mean, x)
    weight = conv(made.attention, code).flatten(2).softmax(-1)
    selected = torch.einsum('ncp,np->nc', code.flatten(2), weight[:, 0])
    hidden = F.relu(conv(made.channel.fc1, x.mean((2, 3), keepdim=True)))
    u = x * conv(made.channel.fc2, hidden).sigmoid()
    summary = torch.stack([u.mean(1), u.max(1).values], 1)
    gate = F.conv2d(F.pad(summary, [3] * 4), made.place.weight, made.place.bias).sigmoid()
    torch.testing.assert_close(out, torch.cat([(u * gate).mean((2, 3)), selected], 1))


def test_training_draws_around_the_mean_and_gives_the_divergence(monkeypatch):
    made = neck().double().train()
    (x,) = feats(dtype=torch.float64)
    with monkeypatch.context() as patch:
        patch.setattr(torch, 'randn_like', lambda like: like.new_full(like.shape, 0.5))
        divergence, out = made((x,))
    mean, std = conv(made.mean, x), F.softplus(conv(made.spread, x) - 5)
    expected = kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).mean((1, 2, 3))
    torch.testing.assert_close(divergence, expected)
    code = mean + std * 0.5
    weight = conv(made.attention, code).flatten(2).softmax(-1)
    torch.testing.assert_close(out[:, 32:], (code.flatten(2) * weight).sum(-1))
    assert not torch.equal(made((x,))[1], made((x,))[1])
    made.eval()
    torch.testing.assert_close(made((x,))[0], made((x,))[0])


def test_the_head_adds_the_divergence_in_training_alone():
    made, classifier = neck(), head(beta=0.5)
    target = (torch.rand(3, 5) < 0.5).float()
    target[0, 0] = nan
    known = ~target.isnan()
    found = made(feats())
    losses = classifier.loss(found, samples(target))
    z = F.linear(found[1], classifier.fc.weight, classifier.fc.bias)
    entries = F.binary_cross_entropy_with_logits(z[known], target[known], reduction='sum')
    torch.testing.assert_close(losses['loss_classes'], entries / 15)
    torch.testing.assert_close(losses['loss_bottleneck'], 0.5 * found[0].mean())
    sum(losses.values()).backward()
    silent = {n for n, p in made.named_parameters() if not p.grad.abs().max() > 1e-7}
    assert silent == {'attention.bias'}  # a softmax does not see it
    assert all(p.grad.any() for p in classifier.parameters())
    made.eval(), classifier.eval()
    found = made(feats())
    assert list(classifier.loss(found, samples(target))) == ['loss_classes']
    scores = torch.stack([s.pred_score for s in classifier.predict(found, samples(target))])
    torch.testing.assert_close(scores, classifier(found).sigmoid())


@pytest.mark.parametrize('spread', [-1e4, 0, 1e4])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_any_spread_stays_finite(spread, dtype):
    made, classifier = neck(), head()
    torch.nn.init.constant_(made.spread.bias, spread)
    with torch.autocast('cpu', torch.bfloat16, enabled=dtype == torch.bfloat16):
        losses = classifier.loss(made(feats(scale=100)), samples(torch.ones(3, 5)))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in made.parameters())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r'takes one level, got in_channels=\(8, 16\)'):
        MODELS.build(dict(type='mlrfnet_mm.SelectIntegrateNeck', in_channels=(8, 16)))
    with pytest.raises(ValueError, match='model.neck expects 32 channels at level 0'):
        neck()(feats(33))
    with pytest.raises(ValueError, match=r'trains on .*got \[\(3, 38\)\]'):
        head().loss((torch.zeros(3, 38),), samples(torch.zeros(3, 5)))
