"""ML-Decoder against timm's layer, Query2Label against torch's attention written out."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from timm.layers.ml_decoder import TransformerDecoderLayerOptimal
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlrfnet_mm.models.heads.labels.label_query_head import LabelQueryHead, sine_positions

SMALL = dict(dim=16, hidden=24, heads=4)
Q2L = dict(variant='query2label')


def make_feats(channels, n=2, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    sides = [(6, 5), (4, 3), (2, 3)][-len(channels) :]
    return tuple(
        scale * torch.randn(n, c, *side, generator=generator).to(dtype)
        for c, side in zip(channels, sides, strict=True)
    )


def parameters(head):
    return sum(p.numel() for p in head.parameters())


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(in_channels=(2048,)), 7_110_670),
        (dict(in_channels=(512, 1024, 2048)), 8_294_158),
        (dict(in_channels=(512, 1024, 2048), dim=256, hidden=1024), 1_716_494),
        (dict(in_channels=(512,), dim=256, hidden=1024), 928_782),
        (dict(in_channels=(2048,), dim=2048, hidden=8192, heads=4, **Q2L), 151_136_270),
        (dict(in_channels=(2048,), dim=256, hidden=1024, **Q2L), 2_901_518),
    ],
)
def test_parameters(options, expected):
    with torch.device('meta'):
        assert parameters(LabelQueryHead(14, **options)) == expected


def test_ml_decoder_s_queries_are_frozen_and_query2label_s_are_not():
    with torch.device('meta'):
        frozen = [p.numel() for p in LabelQueryHead(14).parameters() if not p.requires_grad]
        assert frozen == [10_752]
        assert all(p.requires_grad for p in LabelQueryHead(14, **Q2L).parameters())


@pytest.mark.parametrize(
    ('options', 'shapes', 'macs'),
    [
        (dict(in_channels=(2048,)), [(2048, 7)], 196_482_048),
        (dict(in_channels=(512, 1024, 2048)), [(512, 28), (1024, 14), (2048, 7)], 1.836e9),
        (
            dict(in_channels=(512, 1024, 2048), dim=256, hidden=1024),
            [(512, 28), (1024, 14), (2048, 7)],
            0.3313e9,
        ),
    ],
)
def test_multiply_adds(options, shapes, macs):
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        LabelQueryHead(14, **options).eval()(tuple(torch.empty(1, c, s, s) for c, s in shapes))
    assert counter.get_total_flops() / 2 == pytest.approx(macs, rel=0 if macs % 1e5 else 5e-4)


def timm_layer(head):
    """timm's decoder layer with the head's weights."""
    dim, hidden = head.dim, head.layers[0].feed_forward[0].out_features
    theirs = TransformerDecoderLayerOptimal(dim, head.layers[0].attention.num_heads, hidden)
    ours = head.layers[0]
    theirs.multihead_attn.load_state_dict(ours.attention.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward[0].state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward[3].state_dict())
    theirs.norm1.load_state_dict(head.norm.state_dict())
    theirs.norm2.load_state_dict(ours.norm1.state_dict())
    theirs.norm3.load_state_dict(ours.norm2.state_dict())
    return theirs.to(head.weight.dtype).eval()


@pytest.mark.parametrize('channels', [(10,), (8, 10)])
def test_ml_decoder_equals_timm_s_layer(channels):
    head = LabelQueryHead(5, channels, **SMALL).eval()
    for p in head.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    feats = make_feats(channels)
    memory = []
    for level, (x, fc) in enumerate(zip(feats, head.projections, strict=True)):
        tokens = F.relu(fc(x.flatten(2).transpose(1, 2)))
        memory.append(tokens + (head.level_vectors[level] if len(channels) > 1 else 0))
    memory = torch.cat(memory, 1).transpose(0, 1)  # (P, N, D)
    queries = head.queries[:, None].expand(-1, 2, -1)
    with torch.no_grad():
        h = timm_layer(head)(queries, memory).transpose(0, 1)
        expected = torch.stack(
            [h[:, k] @ head.weight[k] + head.bias[k] for k in range(5)], 1
        )  # a linear layer for each label
        torch.testing.assert_close(head(feats), expected, atol=1e-6, rtol=1e-6)


def attend(layer, query, key, value):
    """Multi-head attention written out."""
    attention = layer.attention
    w, b, heads = attention.in_proj_weight, attention.in_proj_bias, attention.num_heads
    q, k, v = (
        F.linear(x, w_, b_).unflatten(-1, (heads, -1)).transpose(1, 2)
        for x, w_, b_ in zip((query, key, value), w.chunk(3), b.chunk(3), strict=True)
    )
    weights = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1)
    return attention.out_proj((weights @ v).transpose(1, 2).flatten(2))


def block(layer, x, query, key, value):
    x = layer.norm1(x + attend(layer, query, key, value))
    first, last = layer.feed_forward[0], layer.feed_forward[3]
    return layer.norm2(x + last(F.relu(first(x))))


@pytest.mark.parametrize('channels', [(16,), (10,), (8, 16)])
def test_query2label_is_what_its_paper_says(channels):
    head = LabelQueryHead(5, channels, **SMALL, **Q2L).double().eval()
    for p in head.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    feats = make_feats(channels, dtype=torch.float64)
    memory, positions = [], []
    for level, x in enumerate(feats):
        c, tokens = x.shape[1], x.flatten(2).mT
        memory.append(tokens if c == 16 else head.projections[level](tokens))
        at = sine_positions(*x.shape[2:], 16).double()
        positions.append(at + (head.level_vectors[level] if len(channels) > 1 else 0))
    memory, positions = torch.cat(memory, 1), torch.cat(positions)
    keys = memory + positions
    memory = block(head.layers[0], memory, keys, keys, memory)
    h = torch.zeros(2, 5, 16, dtype=torch.float64)
    for layer in head.layers[1:]:
        h = block(layer, h, h + head.queries, memory + positions, memory)
    expected = (head.norm(h) * head.weight).sum(-1) + head.bias
    torch.testing.assert_close(head(feats), expected, atol=1e-7, rtol=1e-6)


def test_sine_positions_are_those_of_detr():
    height, width, dim = 3, 5, 8
    found = sine_positions(height, width, dim).reshape(height, width, dim).numpy()
    for i, j in np.ndindex(height, width):
        for side, (at, n) in enumerate(((i, height), (j, width))):
            for c in range(dim // 2):
                angle = 2 * np.pi * (at + 1) / n / 10_000 ** (2 * (c // 2) / (dim // 2))
                expected = np.cos(angle) if c % 2 else np.sin(angle)
                assert found[i, j, side * dim // 2 + c] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('variant', ['ml-decoder', 'query2label'])
def test_permuting_the_labels_permutes_the_logits(variant):
    head = LabelQueryHead(5, (8, 10), variant, **SMALL).eval()
    feats, order = make_feats((8, 10)), [3, 0, 4, 1, 2]
    before = head(feats)
    for p in (head.queries, head.weight, head.bias):
        p.data = p.data[order]
    torch.testing.assert_close(head(feats), before[:, order])


def test_ml_decoder_does_not_know_where_and_query2label_does():
    feats = make_feats((10,))
    flipped = tuple(x.flip(-1) for x in feats)
    plain = LabelQueryHead(5, (10,), **SMALL).eval()
    torch.testing.assert_close(plain(flipped), plain(feats))
    with_places = LabelQueryHead(5, (10,), **SMALL, **Q2L).eval()
    assert (with_places(flipped) - with_places(feats)).abs().max() > 1e-3


@pytest.mark.parametrize('variant', ['ml-decoder', 'query2label'])
@pytest.mark.parametrize('levels', [1, 3])
def test_gradients_reach_every_trainable_tensor_with_unknown_targets(variant, levels):
    channels = (6, 8, 10)[-levels:]
    head = LabelQueryHead(5, channels, variant, **SMALL)
    target = torch.tensor([[1.0, 0, math.nan, 0, 1], [math.nan] * 5])
    samples = [DataSample().set_gt_score(row) for row in target]
    loss = head.loss(make_feats(channels), samples)['loss']
    loss.backward()
    assert loss.isfinite()
    for name, p in head.named_parameters():
        if name != 'queries' or variant == 'query2label':
            assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0, name
        else:
            assert p.grad is None


@pytest.mark.parametrize('variant', ['ml-decoder', 'query2label'])
def test_finite_for_huge_features_and_in_half_precision(variant):
    torch.manual_seed(0)
    head = LabelQueryHead(5, (8, 10), variant, **SMALL).eval()
    assert head(make_feats((8, 10), scale=1e4)).isfinite().all()
    head.weight.data.mul_(1e5)
    logits = head(make_feats((8, 10)))
    assert logits.abs().max() > 1e4
    with torch.autocast('cpu', torch.bfloat16):
        low = head(make_feats((8, 10)))
    assert low.dtype == torch.float32 and low.isfinite().all()
    halves = head.bfloat16()(make_feats((8, 10), dtype=torch.bfloat16))
    assert halves.dtype == torch.float32 and halves.isfinite().all()


def test_predicts_through_mmpretrains_interface():
    head = LabelQueryHead(5, (8, 10), **SMALL).eval()
    feats = make_feats((8, 10))
    predicted = head.predict(feats, [DataSample(), DataSample()])
    torch.testing.assert_close(predicted[1].pred_score, torch.sigmoid(head(feats))[1])


def test_built_from_the_bare_registry():
    head = MODELS.build(dict(type='mlrfnet_mm.LabelQueryHead', num_classes=3, in_channels=(4,)))
    assert isinstance(head, nn.Module) and head((torch.randn(1, 4, 2, 2),)).shape == (1, 3)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(variant='q2l'), "variant must be one of ml-decoder, query2label, got 'q2l'"),
        (dict(dim=30, heads=4), 'heads must divide dim, got heads=4 and dim=30'),
        (dict(in_channels=()), 'at least one level'),
        (dict(in_channels=None), 'in_channels=None is filled in'),
        (dict(lam=0.1), 'lam'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LabelQueryHead(**options)


def test_other_levels_and_odd_channels_are_refused():
    head = LabelQueryHead(5, (8, 10), **SMALL)
    with pytest.raises(ValueError, match='model.head expects 2 levels, the backbone gives 1'):
        head(make_feats((10,)))
    with pytest.raises(ValueError, match='a dim that 4 divides, got 6'):
        sine_positions(2, 2, 6)
