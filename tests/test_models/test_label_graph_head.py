"""Classifiers out of a label graph: the two formulas, the identities, what is made once."""

import json
import math

import numpy as np
import pytest
import torch
from builders import make_graph, permuted_graph
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlrfnet_mm.models import MRFCHead, build_model
from mlrfnet_mm.models.heads.labels.label_graph import make_counts
from mlrfnet_mm.models.heads.labels.label_graph_head import LabelGraphHead, draw_vectors

SHIPPED = 'graphs/xray14_official_train.json'
CHANNELS = (6, 8, 10)
SMALL = dict(num_classes=5, in_channels=CHANNELS, hidden=16)
LAYERS = pytest.mark.parametrize('layer', ['gcn', 'gat'])


def make_feats(n=2, dtype=torch.float32, scale=1.0, channels=CHANNELS):
    generator = torch.Generator().manual_seed(0)
    return tuple(
        scale * torch.randn(n, c, s, s + 1, generator=generator).to(dtype)
        for c, s in zip(channels, (6, 4, 2), strict=False)
    )


def make_head(layer='gcn', graph=None, **options):
    torch.manual_seed(0)
    return LabelGraphHead(graph or make_graph(), layer, **{**SMALL, **options})


@pytest.fixture
def unit_vectors(tmp_path):
    path = tmp_path / 'vectors.npz'
    np.savez(path, classes=make_graph()['classes'], vectors=np.eye(5))
    return str(path)


GOLDEN = [  # layer, hidden, channels, parameters, multiply-adds
    ('gcn', 1024, (1664,), 2_011_136, 28_682_752),
    ('gcn', 1024, (2048,), 2_404_352, None),
    ('gcn', 1024, (512, 1024, 2048), 3_977_216, 56_584_192),
    ('gcn', 256, (512, 1024, 2048), 994_304, None),
    ('gat', 1024, (1024,), 1_359_872, 19_382_272),
]


@pytest.mark.parametrize(('layer', 'hidden', 'channels', 'parameters', 'macs'), GOLDEN)
def test_golden_values(layer, hidden, channels, parameters, macs):
    head = LabelGraphHead(SHIPPED, layer, hidden, in_channels=channels, lam=0.0)
    assert sum(p.numel() for p in head.parameters()) == parameters
    with FlopCounterMode(display=False) as counter:
        head.weights()
    if macs:
        assert counter.get_total_flops() == 2 * macs


def gcn(head, z, graph):
    """The formula in numpy."""
    if head.first is not None:
        z = graph @ z @ head.first.weight.detach().numpy()
        z = np.where(z > 0, z, 0.2 * z)
    return [graph @ z @ layer.weight.detach().numpy() for layer in head.last]


def attention(layer, z, graph):
    """Graph attention in loops."""
    w, (a1, a2) = layer.weight.detach().numpy(), layer.ends.detach().numpy()
    heads, width = a1.shape
    found = []
    for n in range(heads):
        h = z @ w[:, n * width : (n + 1) * width]
        out = np.zeros_like(h)
        for i in range(len(z)):
            near = [j for j in range(len(z)) if j == i or graph[i, j] > 0]
            e = np.array([a1[n] @ h[i] + a2[n] @ h[j] for j in near])
            e = np.exp(np.where(e > 0, e, 0.2 * e))
            out[i] = sum(share * h[j] for share, j in zip(e / e.sum(), near, strict=True))
        found.append(out)
    return np.concatenate(found, 1)


def gat(head, z, graph):
    z = attention(head.first, z, graph)
    z = np.where(z > 0, z, np.expm1(z))
    return [attention(layer, z, graph) for layer in head.last]


@pytest.mark.parametrize('options', [{}, dict(threshold=0.4), dict(soft=True)], ids=str)
@LAYERS
def test_the_weights_are_those_of_the_formula(layer, options):
    head = make_head(layer, **options).double()
    graph = make_counts(make_graph()).propagation(**options)
    z = draw_vectors(5, 0).double().numpy()
    for p in head.parameters():
        p.data.add_(0.3 * torch.randn_like(p))  # attention that differs from place to place
    expected = (gcn if layer == 'gcn' else gat)(head, z, graph)
    for weight, wanted in zip(head.weights(), expected, strict=True):
        np.testing.assert_allclose(weight.detach(), wanted, rtol=1e-5, atol=1e-7)


def test_one_layer_without_a_graph_is_mrfc(unit_vectors):
    graph = make_graph() | dict(pairs=[[0] * 5] * 5)
    head = LabelGraphHead(graph, vectors=unit_vectors, **{**SMALL, 'hidden': None}).eval()
    mrfc = MRFCHead(5, CHANNELS)
    for layer, fc in zip(head.last, mrfc.classifiers, strict=True):
        fc.weight.data.copy_(layer.weight[:, :, None, None])
    torch.testing.assert_close(head(make_feats()), mrfc(make_feats()))
    head.normalize_weight = mrfc.normalize_weight = True
    torch.testing.assert_close(head(make_feats()), mrfc(make_feats()))


@pytest.mark.parametrize('pool', ['mean', 'pcam', dict(name='lse', r=2.0)], ids=str)
def test_any_pool_takes_mrfc_s_place(pool):
    head = make_head(pool=pool)
    logits = sum(p(s.flatten(2)) for p, s in zip(head.pools, head.score_maps(make_feats()),
                                                strict=True))  # fmt: skip
    torch.testing.assert_close(head(make_feats()), logits)
    assert head.lam == (1, 1, 1)  # heat maps weigh all levels alike
    if pool == 'mean':
        expected = sum(
            x.mean((2, 3)) @ w.T for x, w in zip(make_feats(), head.weights(), strict=True)
        )
        torch.testing.assert_close(logits, expected)
    assert make_head().lam == (0.5, 0.3, 0.1)


@LAYERS
def test_permuting_the_labels_permutes_the_logits(layer):
    order = [3, 0, 4, 1, 2]
    head, other = make_head(layer), make_head(layer, permuted_graph(make_graph(), order))
    other.load_state_dict(
        head.state_dict() | {k: getattr(other, k) for k in ('vectors', 'propagation')}
    )
    other.vectors.copy_(head.vectors[order])
    torch.testing.assert_close(other(make_feats()), head(make_feats())[:, order])


@LAYERS
def test_weights_begin_with_mrfc_s_std(layer):
    head = LabelGraphHead(SHIPPED, layer)
    for weight in head.weights():
        assert weight.std().item() == pytest.approx(0.01, rel=0.02)
    head.init_weights()  # of mmengine: nothing is drawn again
    assert head.weights()[0].std().item() == pytest.approx(0.01, rel=0.02)


@LAYERS
def test_evaluation_makes_the_weights_once_and_never_keeps_old_ones(layer):
    head, feats = make_head(layer).eval(), make_feats()
    expected = head(feats).detach()
    with torch.no_grad():
        torch.testing.assert_close(head(feats), expected)
        with FlopCounterMode(display=False) as counter:
            head(feats)
        places = sum(c * x.shape[2] * x.shape[3] for c, x in zip(CHANNELS, feats, strict=True))
        assert counter.get_total_flops() == 2 * 2 * 5 * places  # MRFC's own
        head.load_state_dict({k: 2 * v if 'weight' in k else v
                              for k, v in head.state_dict().items()})  # fmt: skip
        assert (head(feats) - expected).abs().max() > 1e-4
        loaded = head(feats)
        head.train()
        head.last[0].get_parameter('weight').mul_(3)
        assert (head.eval()(feats) - loaded).abs().max() > 1e-4
        assert head.double()(make_feats(dtype=torch.float64)).dtype == torch.float64


def test_what_was_made_without_gradients_takes_none():
    """Grad-CAM needs them through the head, and a training in evaluation mode its own."""
    head = make_head().eval()
    with torch.no_grad():
        head(make_feats())
    head(make_feats()).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in head.parameters())
    with torch.inference_mode():
        head.eval()(make_feats())
    head(make_feats()).sum().backward()


@LAYERS
def test_gradients_reach_every_trainable_tensor_with_unknown_targets(layer):
    head = make_head(layer)
    target = torch.tensor([[1.0, 0, math.nan, 0, 1], [math.nan] * 5])
    loss = head.loss(make_feats(), [DataSample().set_gt_score(row) for row in target])['loss']
    loss.backward()
    assert loss.isfinite()
    for name, p in head.named_parameters():
        assert p.grad.isfinite().all() and p.grad.abs().max() > 0, name


@LAYERS
def test_finite_for_huge_features_and_in_half_precision(layer):
    head = make_head(layer).eval()
    logits = head(make_feats(scale=1e6))
    assert logits.isfinite().all() and logits.abs().max() > 1e4
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        low = head(make_feats())
    assert low.dtype == torch.float32 and low.isfinite().all()
    with torch.no_grad():
        torch.testing.assert_close(head(make_feats()), head.eval()(make_feats()))  # none in half
    assert head.bfloat16()(make_feats(dtype=torch.bfloat16)).isfinite().all()


def test_the_seed_draws_the_same_vectors_everywhere():
    assert torch.equal(make_head(seed=1).vectors, draw_vectors(5, 1))
    assert not torch.equal(draw_vectors(5, 1), draw_vectors(5, 2))
    assert draw_vectors(50, 0).norm(dim=1).mean().item() == pytest.approx(1, rel=0.02)
    names = dict(make_head().named_buffers())
    assert set(names) == {'vectors', 'propagation'} <= set(make_head().state_dict())


def test_the_shipped_graph_is_found_by_name_and_a_file_by_its_path(tmp_path):
    counts = make_counts(make_graph())
    (tmp_path / 'graph.json').write_text(counts.text())
    head = make_head(graph=str(tmp_path / 'graph.json'))
    np.testing.assert_allclose(head.propagation, counts.propagation(), rtol=1e-6)
    assert head.label_classes == counts.classes
    assert LabelGraphHead(SHIPPED, hidden=8).label_classes[3] == 'Infiltration'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(layer='gin'), "layer must be one of gcn, gat, got 'gin'"),
        (dict(layer='gat', hidden=10), 'heads must divide hidden, got heads=4 and hidden=10'),
        (dict(layer='gat', hidden=18), 'heads must divide hidden'),
        (dict(num_classes=4), 'num_classes is 4, the label graph of made none/train has 5'),
        (dict(threshold=1.5), r'must be in \(0, 1\], got 1.5'),
        (dict(graph='graphs/none.json'), "no label graph 'graphs/none.json': mlrfnet label-graph"),
        (dict(graph=dict(pairs=[])), 'a label graph holds the keys'),
        (dict(lam=(0.1,)), 'one lam for each level'),
        (dict(pool='min'), 'pool must be one of'),
        (dict(hiden=3), 'hiden'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        make_head(**options)


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        (dict(vectors=np.eye(5)), r"must hold the arrays classes and vectors, got \['vectors'\]"),
        (dict(classes=list('ABCED'), vectors=np.eye(5)), "is of .*'E', 'D'.*, the label graph of"),
        (dict(classes=list('ABCDE'), vectors=np.eye(4)), r'finite numbers \(5, E\), got \(4, 4\)'),
        (dict(classes=list('ABCDE'), vectors=np.full((5, 3), np.nan)), 'finite numbers'),
    ],
)
def test_wrong_vectors_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / 'vectors.npz', **arrays)
    with pytest.raises(ValueError, match=message):
        make_head(vectors=str(tmp_path / 'vectors.npz'))


def test_built_from_the_bare_registry_and_by_looking_at_the_backbone():
    head = MODELS.build(dict(type='mlrfnet_mm.LabelGraphHead', graph=json.loads(
        json.dumps(make_graph())), num_classes=5, in_channels=(4,), lam=0.0))  # fmt: skip
    assert isinstance(head, nn.Module) and head((torch.randn(1, 4, 2, 2),)).shape == (1, 5)
    model = build_model(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=4,
                          base_channels=4, out_indices=(2, 3)),
            head=dict(type='mlrfnet_mm.LabelGraphHead', graph=make_graph(), num_classes=5,
                      in_channels=None, lam=0.3, hidden=8),
        ),
        size=32,
    )  # fmt: skip
    assert model.head.in_channels == (16, 32)
