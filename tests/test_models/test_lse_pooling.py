import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from scipy.special import logsumexp

from mlrfnet_mm.models import LSEPooling, TransitionNeck


@pytest.mark.parametrize(('r', 'expected'), [(0.5, 1.8020886), (10.0, 2.8613751), (None, 3.0)])
def test_golden_numbers(r, expected):
    """u = (0, 1, 2, 3), of the zoo's specification; r of jfhealthcare and of Wang et al."""
    u = torch.arange(4, dtype=torch.float64).view(1, 1, 2, 2)
    (pooled,) = LSEPooling(r)((u,))
    assert pooled.item() == pytest.approx(expected, abs=5e-8)


def test_levels_against_scipy():
    feats = tuple(torch.randn(2, c, 5, 4, dtype=torch.float64) for c in (3, 7))
    for pooled, x in zip(LSEPooling(2.5)(feats), feats, strict=True):
        flat = x.numpy().reshape(2, -1, 20)
        expected = (logsumexp(2.5 * flat, -1) - np.log(20)) / 2.5
        np.testing.assert_allclose(pooled, expected, rtol=1e-12)


def test_none_is_the_limit_and_nothing_is_trained():
    (x,) = feats = (torch.randn(2, 3, 5, 4, dtype=torch.float64),)
    torch.testing.assert_close(LSEPooling(1e7)(feats), LSEPooling(None)(feats), atol=1e-5, rtol=0)
    torch.testing.assert_close(LSEPooling(1e-7)(feats)[0], x.mean((2, 3)), atol=1e-5, rtol=0)
    assert not list(LSEPooling().parameters())


@pytest.mark.parametrize('r', [0.5, 10.0, None])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_features_of_1e4_stay_finite(r, dtype):
    x = torch.tensor([-1e4, 0, 1e4, 1e4], dtype=dtype).view(1, 1, 2, 2).requires_grad_()
    (pooled,) = MODELS.build(dict(type='mlrfnet_mm.LSEPooling', r=r))((x,))
    pooled.sum().backward()
    assert pooled.dtype == torch.float32 and pooled.item() == pytest.approx(1e4, rel=1e-2)
    assert x.grad.isfinite().all() and (x.grad.flatten()[2:] == 0.5).all()


@pytest.mark.parametrize('r', [0, -1.0, float('nan')])
def test_r_out_of_range_is_refused(r):
    with pytest.raises(ValueError, match='r must be positive or None'):
        LSEPooling(r)


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r'level 0 is \(2, 5\): switch the final pooling'):
        LSEPooling()((torch.zeros(2, 5),))


def test_transition_is_a_linear_layer_at_every_place():
    neck = MODELS.build(dict(type='mlrfnet_mm.TransitionNeck', in_channels=(4, 6), out_channels=3))
    neck.init_weights()
    feats = tuple(torch.randn(2, c, 3, 2) for c in (4, 6))
    for out, conv, x in zip(neck(feats), neck.convs, feats, strict=True):
        expected = torch.einsum('oc,nchw->nohw', conv.weight[:, :, 0, 0], x)
        torch.testing.assert_close(out, (expected + conv.bias.view(1, -1, 1, 1)).clamp(min=0))
    (kept,) = TransitionNeck((5,))((torch.randn(1, 5, 2, 2),))
    assert kept.shape == (1, 5, 2, 2)
    assert sum(p.numel() for p in TransitionNeck().parameters()) == 2048 * 2048 + 2048
    with pytest.raises(ValueError, match='model.neck expects 2 levels, the backbone gives 1'):
        neck(feats[:1])
