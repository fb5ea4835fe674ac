"""Channel, element and scale attention, each against its formula."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

from mlrfnet_mm.models.necks.triple_attention_neck import weigh_levels


def neck(channels=(32, 64, 64), **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='mlrfnet_mm.TripleAttentionNeck', in_channels=channels, **options)
    )


def feats(channels=(32, 64, 64), sides=(8, 4, 2), n=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    pairs = zip(channels, sides, strict=True)
    return tuple(torch.randn(n, c, s, s, generator=generator).to(dtype) for c, s in pairs)


def test_specified_sizes():
    """With a linear layer 256 → 14."""
    made = neck((512, 1024, 1024))
    assert sum(p.numel() for p in made.parameters()) + 256 * 14 + 14 == 960_177
    maps = feats((512, 1024, 1024), (28, 14, 7), 1)
    with FlopCounterMode(display=False) as counter:
        (out,) = made.to('meta')([x.to('meta') for x in maps])
    assert out.shape == (1, 256, 14, 14)
    assert counter.get_total_flops() / 2 + 256 * 14 == 167_936_512


def test_the_formula():
    made = neck(out_channels=5).double()
    torch.nn.init.normal_(made.query)
    maps = feats(dtype=torch.float64)
    levels = []
    for i, x in enumerate(maps):
        se = made.channel[i]
        hidden = F.relu(F.linear(x.mean((2, 3)), se.fc1.weight.flatten(1), se.fc1.bias))
        x = x * F.linear(hidden, se.fc2.weight.flatten(1), se.fc2.bias).sigmoid()[..., None, None]
        w, b = made.element[i].weight.flatten(), made.element[i].bias
        gate = 1 + torch.sigmoid(torch.einsum('nchw,c->nhw', x, w) + b)
        x = x * gate[:, None]
        w, b = made.reduce[i].weight.flatten(1), made.reduce[i].bias
        levels.append(torch.einsum('nchw,kc->nkhw', x, w) + b[:, None, None])
    levels[0] = levels[0].unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
    levels[2] = F.interpolate(levels[2], scale_factor=2, mode='bilinear')
    energy = torch.stack([v.mean((2, 3)) @ made.query for v in levels], 1)  # (N, L)
    alpha = energy.softmax(1)
    expected = sum(alpha[:, i, None, None, None] * v for i, v in enumerate(levels))
    (out,) = made(maps)
    torch.testing.assert_close(out, expected)


def test_scale_attention_s_limits():
    levels = torch.randn(3, 2, 5, 4, 4)
    torch.testing.assert_close(weigh_levels(levels, torch.zeros(5)), levels.mean(0))
    levels[1] += 1  # by far the largest mean
    torch.testing.assert_close(weigh_levels(levels, torch.full((5,), 1e4)), levels[1])


@pytest.mark.parametrize('sides', [(8, 4, 2), (9, 5, 3), (7, 7, 7), (2, 4, 8)])
def test_every_size_comes_to_the_middle_one(sides):
    (out,) = neck()(feats(sides=sides))
    assert out.shape == (2, 256, sides[1], sides[1])


@pytest.mark.parametrize('count', [1, 2])
def test_fewer_levels(count):
    (out,) = neck((32, 64)[:count])(feats()[:count])
    assert out.shape[2] == (8, 4)[count - 1]


def test_gradients_reach_every_tensor_and_stay_finite():
    for scale, half in ((1.0, False), (1.0, True), (1e4, False)):
        made = neck()
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            (out,) = made([scale * x for x in feats()])
        out.float().square().mean().backward()
        assert out.isfinite().all()
        assert all(p.grad.isfinite().all() for p in made.parameters())
        if scale == 1:
            assert all(p.grad.any() for p in made.parameters())


def test_other_levels_are_refused():
    with pytest.raises(ValueError, match='model.neck expects 3 levels, the backbone gives 2'):
        neck()(feats()[:2])
