"""Labels one after the other by an LSTM."""

import math

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch.utils.flop_counter import FlopCounterMode

from mlrfnet_mm.models.heads.labels.label_sequence_head import LabelSequenceHead

CHANNELS = (6, 8)
TARGET = torch.tensor([[1.0, 0, math.nan, 0, 1], [0, 1, 1, math.nan, 0]])


def make_feats(n=2, dtype=torch.float32, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    return tuple(
        scale * torch.randn(n, c, s, s + 1, generator=generator).to(dtype)
        for c, s in zip(CHANNELS, (6, 4), strict=True)
    )


def make_head(**options):
    torch.manual_seed(0)
    head = LabelSequenceHead(5, CHANNELS, hidden=7, **options)
    for p in head.parameters():
        p.data.add_(0.5 * torch.randn_like(p))
    return head


def samples(target):
    return [DataSample().set_gt_score(row) for row in target]


@pytest.mark.parametrize(('hidden', 'expected'), [(256, 1_842_190), (100, 657_214)])
def test_parameters(hidden, expected):
    head = LabelSequenceHead(14, (1024,), hidden)
    assert sum(p.numel() for p in head.parameters()) == expected


def test_multiply_adds():
    head = LabelSequenceHead()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        head((torch.randn(1, 1024, 7, 7),))
    assert counter.get_total_flops() == 2 * 18_892_288


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(head, feats, n, target=None):
    """The formula and the LSTM's own equations in numpy, for one image."""
    p = {name: value.detach().numpy() for name, value in head.named_parameters()}
    f = np.concatenate([x[n].mean((1, 2)).numpy() for x in feats])
    h = np.tanh(p['first_hidden.weight'] @ f + p['first_hidden.bias'])
    c = np.tanh(p['first_cell.weight'] @ f + p['first_cell.bias'])
    fed, logits = 0.0, []
    for k in range(5):
        x = np.append(f, fed)
        gates = p['lstm.weight_ih'] @ x + p['lstm.bias_ih'] + p['lstm.weight_hh'] @ h
        i, forget, g, o = np.split(gates + p['lstm.bias_hh'], 4)
        c = sigmoid(forget) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        logits.append(p['weight'][k] @ h + p['bias'][k])
        fed = sigmoid(logits[-1])
        if target is not None and not np.isnan(target[k]):
            fed = target[k]
    return logits


@pytest.mark.parametrize('target', [None, TARGET], ids=['test', 'training'])
def test_the_formula(target):
    head, feats = make_head().double(), make_feats(dtype=torch.float64)
    found = head(feats, target).detach().numpy()
    for n in range(2):
        wanted = reference(head, feats, n, None if target is None else target[n].numpy())
        np.testing.assert_allclose(found[n], wanted, rtol=1e-6)


def test_a_label_changes_what_comes_after_it_only():
    head = make_head()
    other = TARGET.clone()
    other[:, 1] = 1 - other[:, 1]
    before, after = head(make_feats(), TARGET), head(make_feats(), other)
    assert torch.equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] != after[:, 2:]).all()
    head.lstm.weight_ih.data[:, -1] = 0  # the weights of what is fed
    assert torch.equal(head(make_feats(), TARGET), head(make_feats(), other))
    assert torch.equal(head(make_feats(), TARGET), head(make_feats()))


def test_training_feeds_the_labels_and_testing_does_not():
    head = make_head()
    losses = head.loss(make_feats(), samples(TARGET))
    expected = head.loss_module(head(make_feats(), TARGET), TARGET)
    torch.testing.assert_close(losses['loss'], expected)
    head.eval()
    losses = head.loss(make_feats(), samples(TARGET))
    torch.testing.assert_close(losses['loss'], head.loss_module(head(make_feats()), TARGET))
    assert (losses['loss'] - expected).abs() > 1e-4
    predicted = head.predict(make_feats(), [DataSample(), DataSample()])
    torch.testing.assert_close(predicted[1].pred_score, head(make_feats())[1].sigmoid())


def test_what_is_fed_takes_no_gradient():
    """The second logit depends on the first one's score, and its gradient does not."""
    head = make_head()
    head(make_feats())[:, 1].sum().backward()
    assert head.weight.grad[0].abs().max() == 0 and head.weight.grad[1].abs().max() > 0


def test_gradients_reach_every_trainable_tensor_with_unknown_targets():
    head = make_head()
    target = TARGET.clone()
    target[1] = math.nan
    loss = head.loss(make_feats(), samples(target))['loss']
    loss.backward()
    assert loss.isfinite()
    for name, p in head.named_parameters():
        assert p.grad.isfinite().all() and p.grad.abs().max() > 0, name


def test_finite_for_huge_logits_and_in_half_precision():
    head = make_head()
    head.weight.data.mul_(1e5)
    for feats in (make_feats(), make_feats(scale=1e4)):
        assert head(feats).isfinite().all()
    assert head(make_feats()).abs().max() > 1e4
    loss = head.loss(make_feats(), samples(TARGET))['loss']
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in head.parameters())
    with torch.autocast('cpu', torch.bfloat16):
        low = head(make_feats(), TARGET)
    assert low.dtype == torch.float32 and low.isfinite().all()
    assert head.bfloat16()(make_feats(dtype=torch.bfloat16)).isfinite().all()


def test_built_from_the_bare_registry():
    head = MODELS.build(dict(type='mlrfnet_mm.LabelSequenceHead', num_classes=5,
                             in_channels=(4,), hidden=3))  # fmt: skip
    assert head((torch.randn(1, 4, 2, 2),)).shape == (1, 5)


def test_other_labels_and_levels_are_refused():
    head = make_head()
    with pytest.raises(ValueError, match=r'labels of \(2, 3\) for 2 images and 5 findings'):
        head(make_feats(), TARGET[:, :3])
    with pytest.raises(ValueError, match='model.head expects 2 levels, the backbone gives 1'):
        head(make_feats()[:1])
    with pytest.raises(ValueError, match='at least one level'):
        LabelSequenceHead(5, ())
