"""The chain rule of a label tree in logits, against products of probabilities in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from scipy.special import expit, logit
from torch import nan

from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS
from mlrfnet_mm.datasets.published.chexpert.tree import PARENTS
from mlrfnet_mm.models import build_model
from mlrfnet_mm.models.heads.tree_logits import tree_logits

CHAIN = (None, 0, 1)
BCE = dict(
    type='mlrfnet_mm.MaskedLoss', loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True)
)


def linear(k=14, c=6):
    return dict(type='mmpretrain.MultiLabelLinearClsHead', num_classes=k, in_channels=c, loss=BCE)


def tree_head(**options):
    return MODELS.build(dict(type='mlrfnet_mm.TreeLogits', **{'head': linear(), **options}))


def samples(target):
    return [DataSample().set_gt_score(row) for row in target]


def test_the_golden_path():
    """σ = .8, .5, .4: the products are .8, .4, .16."""
    z = torch.tensor(logit([[0.8, 0.5, 0.4]]))
    found = tree_logits(z, CHAIN)[0]
    np.testing.assert_allclose(found[1:], [-0.4054651, -1.6582281], atol=1e-7)
    assert found[0] == z[0, 0]


def test_products_along_chexpert_s_tree():
    z = torch.randn(7, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
    parents = [FINDINGS.index(PARENTS[n]) if n in PARENTS else None for n in FINDINGS]
    found = torch.sigmoid(tree_logits(z, parents)).numpy()
    p = expit(z.numpy())
    for k, name in enumerate(FINDINGS):
        expected, at = p[:, k].copy(), name
        while at in PARENTS:
            at = PARENTS[at]
            expected *= p[:, FINDINGS.index(at)]
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-12)


def test_a_child_before_its_parent():
    z = torch.randn(3, 3)
    torch.testing.assert_close(
        tree_logits(z[:, [2, 1, 0]], (1, 2, None)), tree_logits(z, CHAIN)[:, [2, 1, 0]]
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('signs', [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, -1), (1, 1, -1)])
def test_finite_with_finite_gradients_at_any_logit(signs, dtype):
    z = (1e4 * torch.tensor([signs])).to(dtype).requires_grad_()
    found = tree_logits(z, CHAIN)
    F.binary_cross_entropy_with_logits(found, torch.ones_like(found)).backward()
    assert found.dtype == torch.float32
    assert found.isfinite().all() and z.grad.isfinite().all()


@pytest.mark.parametrize('loss_on', ['factors', 'products'])
def test_the_loss_is_on_what_it_says_and_scores_are_products(loss_on):
    head = tree_head(loss_on=loss_on)
    x = torch.randn(4, 6)
    target = (torch.rand(4, 14) < 0.5).float()
    target[0, FINDINGS.index('Pneumonia')] = nan
    z = head.head((x,))
    logits = head((x,))
    torch.testing.assert_close(logits, tree_logits(z, head.parents))
    shown = z if loss_on == 'factors' else logits
    known = ~target.isnan()
    expected = F.binary_cross_entropy_with_logits(shown[known], target[known], reduction='sum')
    found = head.loss((x,), samples(target))['loss']
    torch.testing.assert_close(found, expected / target.numel())
    found.backward()
    assert all(p.grad.any() for p in head.parameters())
    scores = torch.stack([s.pred_score for s in head.predict((x,), samples(target))])
    torch.testing.assert_close(scores, torch.sigmoid(logits))
    for child, parent in PARENTS.items():
        assert (scores[:, FINDINGS.index(child)] <= scores[:, FINDINGS.index(parent)]).all()
    # the validation loop's halves
    torch.testing.assert_close(
        head._get_loss(logits, samples(target))['loss'],
        F.binary_cross_entropy_with_logits(logits[known], target[known], reduction='sum')
        / target.numel(),
    )


def test_without_parents_it_is_the_head():
    head = tree_head(parents={}, classes=tuple('abcde'), head=linear(k=5))
    x = torch.randn(2, 6)
    torch.testing.assert_close(head((x,)), head.head((x,)))


def test_a_head_of_levels_finds_its_channels():
    model = dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(type='mmpretrain.ResNet', depth=18, out_indices=(2, 3)),
        head=dict(
            type='mlrfnet_mm.TreeLogits',
            head=dict(type='mlrfnet_mm.MRFCHead', in_channels=None, lam=0.1),
        ),
    )
    built = build_model(model, 64)
    assert built.head.head.in_channels == (256, 512)
    assert built.head.num_classes == 14
    assert model['head']['head']['in_channels'] is None  # the config stays as it was
    assert built(torch.randn(2, 3, 64, 64)).shape == (2, 14)


def test_wrong_trees_are_refused():
    with pytest.raises(ValueError, match="has 'b', which is not among the classes: a, c"):
        tree_head(classes=('a', 'c'), parents={'a': 'b'})
    with pytest.raises(ValueError, match='circle'):
        tree_head(classes=('a', 'b'), parents={'a': 'b', 'b': 'a'})
    with pytest.raises(ValueError, match="loss_on must be one of factors, products, got 'both'"):
        tree_head(loss_on='both')
    with pytest.raises(ValueError, match='gives 5 logits, the label tree has 14'):
        tree_head(head=linear(k=5))((torch.zeros(1, 6),))
