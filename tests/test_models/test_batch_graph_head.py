"""The graph over a batch, against its formula in numpy; the student alone predicts."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nan
from torch.distributions import Bernoulli, kl_divergence

from mlrfnet_mm.models.heads.batch_graph_head import similarity_graph

Y = torch.tensor([[1.0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]])
BCE = dict(
    type='mlrfnet_mm.MaskedLoss', loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True)
)


def graph_head(c=6, k=3, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mlrfnet_mm.BatchGraphHead', num_classes=k, in_channels=(c,),
            **{'hidden': 7, 'loss': BCE, **options},
        )
    )  # fmt: skip


def size(module):
    return sum(p.numel() for p in module.parameters())


def feats(c=6, n=4, scale=1.0):
    return (scale * torch.randn(n, c, 3, 3, generator=torch.Generator().manual_seed(1)),)


def samples(target):
    return [DataSample().set_gt_score(y) for y in target]


def test_specified_sizes():
    head = graph_head(1664, 14, hidden=1024)
    assert size(head.student) == 23_310 and size(head.teacher) == 1_718_272
    backbone = dict(type='mmpretrain.TIMMBackbone', model_name='densenet169', features_only=True)
    densenet = size(MODELS.build(dict(backbone, out_indices=(4,))))
    assert densenet + size(head.student) == 12_507_790
    assert densenet + size(head) == 14_226_062


def test_the_graph_by_hand():
    """Images 0 and 1 share a finding of two and one; 2 has none; 3 has another."""
    s = np.eye(4)
    s[0, 1] = s[1, 0] = 1 / np.sqrt(2)
    d = s.sum(1)
    expected = s / np.sqrt(d[:, None] * d[None])
    np.testing.assert_allclose(similarity_graph(Y), expected, rtol=1e-6)
    soft = torch.tensor([[0.5, 0.25], [0.0, 0.0]])  # rows (.5, .25, .5) and (0, 0, 1)
    found = similarity_graph(soft)
    cos = 0.5 / np.sqrt(0.5**2 + 0.25**2 + 0.5**2)
    np.testing.assert_allclose(found[0, 1], cos / (1 + cos), rtol=1e-6)


def test_images_without_a_finding_are_alike_and_unknown_is_absent():
    found = similarity_graph(torch.tensor([[0.0, 0, 0], [nan, 0, nan], [nan, nan, nan]]))
    torch.testing.assert_close(found, torch.full((3, 3), 1 / 3))


def test_losses_of_student_teacher_and_distillation():
    head, x, gamma = graph_head(gamma=2.0), feats(), 2.0
    target = Y.clone()
    target[0, 1] = nan
    losses = head.loss(x, samples(target))
    v = x[0].mean((2, 3))
    z_s = v @ head.student.weight.T + head.student.bias
    w1, w2 = (layer.weight.T for layer in head.teacher)
    s = similarity_graph(target)
    z_t = s @ torch.relu(s @ v @ w1) @ w2
    known = ~target.isnan()
    for name, z in dict(student=z_s, teacher=z_t).items():
        entries = F.binary_cross_entropy_with_logits(z[known], target[known], reduction='sum')
        torch.testing.assert_close(losses[f'loss_{name}'], entries / 12)
    expected = gamma * kl_divergence(Bernoulli(logits=z_t), Bernoulli(logits=z_s)).mean()
    torch.testing.assert_close(losses['loss_distillation'], expected)
    assert len(losses) == 3


def test_no_gradient_from_the_distillation_to_the_teacher():
    head = graph_head()
    head.loss(feats(), samples(Y))['loss_distillation'].backward()
    assert all(p.grad is None for p in head.teacher.parameters())
    assert all(p.grad.any() for p in head.student.parameters())
    sum(head.loss(feats(), samples(Y)).values()).backward()
    assert all(p.grad.any() for p in head.parameters())


def test_prediction_is_the_student_s_and_of_each_image_alone():
    head, x = graph_head(), feats()
    logits = head(x)
    torch.testing.assert_close(logits[1:2], head((x[0][1:2],)))
    for p in head.teacher.parameters():
        torch.nn.init.constant_(p, nan)
    scores = torch.stack([s.pred_score for s in head.predict(x, samples(Y))])
    torch.testing.assert_close(scores, torch.sigmoid(logits))


def test_a_batch_of_one_and_far_features_stay_finite():
    head = graph_head()
    for x, y in ((feats(n=1), Y[:1]), (feats(scale=1e5), Y)):
        losses = head.loss(x, samples(y))
        sum(losses.values()).backward()
        assert all(loss.isfinite() for loss in losses.values())
        assert all(p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    head = graph_head(hidden=64)
    with torch.autocast('cpu', dtype):
        losses = head.loss(feats(), samples(Y))
        assert head(feats()).dtype == torch.float32
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    exact = head.loss(feats(), samples(Y))
    torch.testing.assert_close(losses['loss_teacher'], exact['loss_teacher'])


def test_only_the_student_starts_small():
    head = graph_head(512, hidden=64)
    head.init_weights()
    assert head.student.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert head.teacher[0].weight.std().item() == pytest.approx(1 / 512**0.5 / 3**0.5, rel=0.1)


def test_several_levels_are_refused():
    with pytest.raises(ValueError, match=r'takes one level, got in_channels=\(6, 8\)'):
        MODELS.build(dict(type='mlrfnet_mm.BatchGraphHead', num_classes=3, in_channels=(6, 8)))
    with pytest.raises(ValueError, match='model.head expects 6 channels at level 0'):
        graph_head()(feats(7))
