"""A graph over PCAM's features of the findings."""

import math

import numpy as np
import pytest
import torch
from builders import make_graph, permuted_graph
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample

from mlrfnet_mm.models import ScoreMapHead
from mlrfnet_mm.models.heads.labels.finding_graph_head import FindingGraphHead
from mlrfnet_mm.models.heads.labels.label_graph import make_counts

CHANNELS = (6, 8)
GRAPHS = pytest.mark.parametrize('graph', [make_graph(), None], ids=['given', 'learned'])


def make_feats(n=2, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    return tuple(
        scale * torch.randn(n, c, s, s + 1, generator=generator).to(dtype)
        for c, s in zip(CHANNELS, (6, 4), strict=True)
    )


def make_head(graph=None, **options):
    torch.manual_seed(0)
    head = FindingGraphHead(graph, num_classes=5, in_channels=CHANNELS, **options)
    for p in head.parameters():
        p.data.add_(0.3 * torch.randn_like(p))
    return head


@pytest.mark.parametrize(('graph', 'more'), [('graphs/xray14_official_train.json', 0), (None, 196)])
def test_parameters(graph, more):
    head = FindingGraphHead(graph)
    assert sum(p.numel() for p in head.parameters()) == 14_350 + 1_048_576 + more


@GRAPHS
def test_the_formula_in_loops(graph):
    head = make_head(graph).double()
    if graph:
        a = make_counts(graph).propagation()
    else:
        a = np.exp(head.affinity.detach().numpy())
        a /= a.sum(1, keepdims=True)
    feats = make_feats(dtype=torch.float64)
    logits = head(feats).detach().numpy()
    for n in range(2):
        expected = np.zeros(5)
        for x, fc, layer in zip(feats, head.classifiers, head.graph_layers, strict=True):
            u = x[n].flatten(1).T.numpy()  # (P, C)
            w, b = fc.weight.detach().numpy()[:, :, 0, 0], fc.bias.detach().numpy()
            sigma = 1 / (1 + np.exp(-(u @ w.T + b)))
            f = np.stack([(s[:, None] * u).sum(0) / s.sum() for s in sigma.T])
            message = a @ f @ layer.detach().numpy()
            f = f + np.where(message > 0, message, 0.2 * message)
            expected += (w * f).sum(1) + b
        np.testing.assert_allclose(logits[n], expected, rtol=1e-6)


@GRAPHS
def test_without_messages_it_is_pcam(graph):
    head = make_head(graph)
    for layer in head.graph_layers:
        layer.data.zero_()
    pcam = ScoreMapHead(5, CHANNELS, 'pcam')
    pcam.classifiers.load_state_dict(head.classifiers.state_dict())
    torch.testing.assert_close(head(make_feats()), pcam(make_feats()))
    for ours, theirs in zip(head.score_maps(make_feats()), pcam.score_maps(make_feats()),
                            strict=True):  # fmt: skip
        assert torch.equal(ours, theirs)


def test_permuting_the_labels_permutes_the_logits():
    order = [3, 0, 4, 1, 2]
    head, other = make_head(make_graph()), make_head(permuted_graph(make_graph(), order))
    other.graph_layers.load_state_dict(head.graph_layers.state_dict())
    for mine, theirs in zip(other.classifiers, head.classifiers, strict=True):
        mine.weight.data.copy_(theirs.weight[order])
        mine.bias.data.copy_(theirs.bias[order])
    torch.testing.assert_close(other(make_feats()), head(make_feats())[:, order])


@GRAPHS
def test_gradients_reach_every_trainable_tensor_with_unknown_targets(graph):
    head = make_head(graph)
    target = torch.tensor([[1.0, 0, math.nan, 0, 1], [math.nan] * 5])
    loss = head.loss(make_feats(), [DataSample().set_gt_score(row) for row in target])['loss']
    loss.backward()
    assert loss.isfinite()
    for name, p in head.named_parameters():
        assert p.grad.isfinite().all() and p.grad.abs().max() > 0, name


@GRAPHS
def test_finite_for_huge_features_and_in_half_precision(graph):
    head = make_head(graph).eval()
    logits = head(make_feats(scale=1e5))
    assert logits.isfinite().all() and logits.abs().max() > 1e4
    with torch.autocast('cpu', torch.bfloat16):
        low = head(make_feats())
    assert low.dtype == torch.float32 and low.isfinite().all()
    assert head.bfloat16()(make_feats(dtype=torch.bfloat16)).dtype == torch.float32


def test_built_from_the_bare_registry():
    head = MODELS.build(dict(type='mlrfnet_mm.FindingGraphHead', graph=make_graph(),
                             num_classes=5, in_channels=(4,)))  # fmt: skip
    assert head((torch.randn(1, 4, 2, 2),)).shape == (1, 5)
    assert 'propagation' in head.state_dict() and head.label_classes == tuple('ABCDE')
    assert 'propagation' not in make_head().state_dict()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(graph=None, soft=True), 'of a graph file, and graph is None'),
        (dict(graph=None, threshold=0.2), 'of a graph file, and graph is None'),
        (dict(graph=make_graph(4)), 'num_classes is 5, the label graph of made none/train has 4'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_head(**options)
