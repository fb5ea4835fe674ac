"""PCAN's head against its formulas, written with probabilities."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample

from mlrfnet_mm.models import PixelAttentionHead, ScoreMapHead
from mlrfnet_mm.models.heads.pixel_attention_head import attention_logit


def test_golden_numbers():
    """Of the zoo's specification: p, its logit and the authors' loss on p."""
    scores = torch.tensor([1.5, -0.5, 1.5, -3.5], dtype=torch.float64)
    z = attention_logit(scores, torch.tensor([0.0, 1, 0, -1], dtype=torch.float64))
    assert torch.sigmoid(z).item() == pytest.approx(0.5253853, abs=5e-8)
    assert z.item() == pytest.approx(0.1016284, abs=2e-7)
    loss = F.binary_cross_entropy_with_logits(z, torch.ones_like(z))
    assert loss.item() == pytest.approx(0.6436235, abs=2e-7)


@pytest.mark.parametrize(('classes', 'expected'), [(14, 1_066_012), (5, 1_056_778)])
def test_golden_parameters(classes, expected):
    head = MODELS.build(dict(type='mlrfnet_mm.PixelAttentionHead', num_classes=classes))
    assert sum(p.numel() for p in head.parameters()) == expected


def make_feats(*channels, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, c, 4 - i, 3, generator=generator, dtype=dtype)
        for i, c in enumerate(channels)
    )


def by_hand(head, level, x, heads):
    """The probability, with the attention over places spelled out."""
    part, fc = head.attentions[level], head.classifiers[level]
    c = x.shape[1]
    tokens = x.flatten(2).transpose(1, 2)  # (N, P, C)
    qkv = tokens @ part.attend.in_proj_weight.T + part.attend.in_proj_bias
    q, k, v = (t.unflatten(-1, (heads, c // heads)).transpose(1, 2) for t in qkv.chunk(3, -1))
    weight = torch.softmax(q @ k.transpose(-1, -2) / (c // heads) ** 0.5, -1)
    mixed = (weight @ v).transpose(1, 2).flatten(2)
    mixed = mixed @ part.attend.out_proj.weight.T + part.attend.out_proj.bias
    attended = F.layer_norm(tokens + mixed, (c,), part.norm.weight, part.norm.bias)
    a = torch.softmax(attended @ part.fc.weight.T + part.fc.bias, 1)  # over the places
    q = torch.sigmoid(tokens @ fc.weight.flatten(1).T + fc.bias)  # of what is not attended
    return (a * q).sum(1)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('channels', [(16,), (8, 24)])
def test_against_the_formulas(training, channels):
    head = PixelAttentionHead(5, channels, num_heads=4).double().train(training)
    for part in head.attentions:
        torch.nn.init.normal_(part.attend.in_proj_bias)
        torch.nn.init.normal_(part.fc.weight)
    feats = make_feats(*channels)
    with torch.no_grad():
        expected = sum(torch.logit(by_hand(head, i, x, 4)) for i, x in enumerate(feats))
        torch.testing.assert_close(head(feats), expected)


def test_equal_attention_is_the_mean_of_the_probabilities():
    head = PixelAttentionHead(5, (16,)).double()
    torch.nn.init.zeros_(head.attentions[0].fc.weight)
    plain = ScoreMapHead(5, (16,), 'mean_probability').double()
    plain.classifiers = head.classifiers
    torch.testing.assert_close(head(make_feats(16)), plain(make_feats(16)))
    for mine, its in zip(head.score_maps(make_feats(16)), plain.score_maps(make_feats(16)),
                         strict=True):  # fmt: skip
        assert torch.equal(mine, its)
    assert head.lam == (1.0,)


@pytest.mark.parametrize('height', [-1e4, 0.0, 1e4])
def test_scores_and_attention_of_1e4_stay_finite(height):
    scores = torch.tensor([height, -1e4, 1e4, height], requires_grad=True)
    attention = torch.tensor([0.0, 1e4, -1e4, height], requires_grad=True)
    z = attention_logit(scores, attention)
    z.backward()
    assert z.isfinite()
    assert scores.grad.isfinite().all() and attention.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast(dtype):
    head = PixelAttentionHead(5, (16,))
    feats = make_feats(16, dtype=torch.float32)
    with torch.autocast('cpu', dtype):
        logits = head(feats)
        logits.sum().backward()
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, head(feats), atol=0.05, rtol=0.05)
    assert all(p.grad.isfinite().all() for p in head.parameters())
    whole = head.to(dtype)(tuple(x.to(dtype) for x in feats))
    assert whole.dtype == torch.float32 and whole.isfinite().all()


@pytest.mark.parametrize('classes', [5, 14])
def test_trains_every_parameter_and_masks_unknown_targets(classes):
    head = PixelAttentionHead(classes, (16,))
    head.init_weights()
    assert head.classifiers[0].weight.std().item() == pytest.approx(0.01, rel=0.3)
    target = torch.zeros(classes)
    target[0], target[1] = 1, torch.nan
    samples = [DataSample().set_gt_score(target) for _ in range(2)]
    feats = make_feats(16, dtype=torch.float32)
    loss = head.loss(feats, samples)['loss']
    known = ~target.isnan()
    p = torch.sigmoid(head(feats))[:, known]
    expected = F.binary_cross_entropy(p, target[known].expand_as(p), reduction='sum')
    torch.testing.assert_close(loss, expected / (2 * classes))
    loss.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name
    assert (head.classifiers[0].weight.grad[1] == 0).all()


def test_wrong_levels_and_heads_are_refused():
    with pytest.raises(ValueError, match='num_heads must divide the 20 channels, got 8'):
        PixelAttentionHead(5, (20,))
    with pytest.raises(ValueError, match='model.head expects 16 channels at level 0, the backbone'):
        PixelAttentionHead(5, (16,))(make_feats(8))
