"""A coupling of the logits around another head."""

import math

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample

from mlrfnet_mm.models import MRFCHead, build_model
from mlrfnet_mm.models.heads.labels.label_coupling import LabelCoupling, couple


def make_head(k=5):
    torch.manual_seed(0)
    return LabelCoupling(MRFCHead(k, (6,), 0.3))


def make_feats(scale=1.0):
    return (scale * torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0)),)


def test_the_formula():
    rng = np.random.default_rng(0)
    z, coupling = rng.standard_normal((4, 5)), rng.standard_normal((5, 5))
    expected = [row + coupling @ (1 / (1 + np.exp(-row))) for row in z]
    found = couple(torch.from_numpy(z), torch.from_numpy(coupling))
    np.testing.assert_allclose(found, expected)


def test_it_has_196_parameters_and_begins_as_the_head_alone():
    head = LabelCoupling(MRFCHead())
    assert head.coupling.numel() == 196 and head.num_classes == 14
    head = make_head()
    assert torch.equal(head(make_feats()), head.head(make_feats()))


def test_loss_and_scores_are_of_the_coupled_logits():
    head = make_head()
    head.coupling.data.normal_()
    target = torch.tensor([[1.0, 0, math.nan, 0, 1], [0, 1, 1, 0, 0]])
    samples = [DataSample().set_gt_score(row) for row in target]
    logits = couple(head.head(make_feats()), head.coupling)
    loss = head.loss(make_feats(), samples)['loss']
    torch.testing.assert_close(loss, head.head.loss_module(logits, target))
    predicted = head.predict(make_feats(), samples)
    torch.testing.assert_close(predicted[1].pred_score, logits[1].sigmoid())
    loss.backward()
    for name, p in head.named_parameters():
        assert p.grad.isfinite().all() and p.grad.abs().max() > 0, name


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('sign', [-1, 1])
def test_finite_at_any_logit(sign, dtype):
    z = torch.full((1, 5), sign * 1e4).to(dtype).requires_grad_()
    found = couple(z, torch.randn(5, 5))
    found.sum().backward()
    assert found.dtype == torch.float32 and found.isfinite().all() and z.grad.isfinite().all()


def test_permuting_the_labels_permutes_the_logits():
    z, coupling, order = torch.randn(3, 5), torch.randn(5, 5), [3, 0, 4, 1, 2]
    permuted = couple(z[:, order], coupling[order][:, order])
    torch.testing.assert_close(permuted, couple(z, coupling)[:, order])


def test_built_from_the_bare_registry_and_by_looking_at_the_backbone():
    inner = dict(type='mlrfnet_mm.MRFCHead', num_classes=5, in_channels=(4,), lam=0.1)
    head = MODELS.build(dict(type='mlrfnet_mm.LabelCoupling', head=inner))
    assert head((torch.randn(1, 4, 2, 2),)).shape == (1, 5)
    backbone = dict(type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4)
    inner = {**inner, 'in_channels': None}
    model = build_model(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=backbone,
            head=dict(type='mlrfnet_mm.LabelCoupling', head=inner),
        ),
        size=32,
    )
    assert model.head.head.in_channels == (32,)
