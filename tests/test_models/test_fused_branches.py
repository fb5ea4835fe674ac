"""Several backbones, the box of the most active part, squeeze and excitation, fused classifiers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nan

from mlrfnet_mm.models import build_model
from mlrfnet_mm.models.backbones.global_local import active_box, cut

RESNET = dict(type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4)
DENSE = dict(type='mmpretrain.TIMMBackbone', features_only=True, out_indices=(4,))
BCE = dict(
    type='mlrfnet_mm.MaskedLoss', loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True)
)


def size(module):
    return sum(p.numel() for p in module.parameters())


def fusion(channels=(6, 8), k=5, **options):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='mlrfnet_mm.FusionHead', num_classes=k, in_channels=channels,
            **{'loss': BCE, **options},
        )
    )  # fmt: skip
    for p in head.parameters():
        torch.nn.init.normal_(p)
    return head


def maps(channels=(6, 8), n=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(n, c, 4, 3, generator=generator).to(dtype) for c in channels)


def samples(target):
    return [DataSample().set_gt_score(y) for y in target]


@pytest.mark.parametrize(
    ('backbone', 'neck', 'expected'),
    [
        pytest.param(
            dict(
                type='mlrfnet_mm.ParallelBackbones',
                branches=[
                    dict(type='mmpretrain.ResNet', depth=50, out_indices=(3,)),
                    dict(DENSE, model_name='densenet121'),
                ],
            ),
            None,
            30_547_946,
            id='resnet50 and densenet121',
        ),
        pytest.param(
            dict(
                type='mlrfnet_mm.GlobalLocalBackbone',
                backbone=dict(DENSE, model_name='densenet169'),
            ),
            dict(type='mlrfnet_mm.SENeck', in_channels=(1664, 1664)),
            25_757_946,
            id='two densenet169 with squeeze and excitation',
        ),
    ],
)
def test_published_and_specified_sizes(backbone, neck, expected):
    channels = (1664, 1664) if neck else (2048, 1024)
    built = size(MODELS.build(backbone)) + size(fusion(channels, 14))
    assert built + (size(MODELS.build(neck)) if neck else 0) == expected


def test_the_last_map_of_each_branch():
    torch.manual_seed(0)
    net = MODELS.build(
        dict(
            type='mlrfnet_mm.ParallelBackbones',
            branches=[RESNET, dict(RESNET, base_channels=8, out_indices=(1, 2))],
            init_cfg=[dict(type='Constant', layer='Conv2d', val=0.5), None],
        )
    )
    net.init_weights()
    assert (net.branches[0].conv1.weight == 0.5).all()
    assert net.branches[1].conv1.weight.std() > 0
    net.eval()
    x = torch.randn(2, 3, 32, 32)
    found = net(x)
    assert len(found) == 2
    torch.testing.assert_close(found[0], net.branches[0](x)[-1])
    torch.testing.assert_close(found[1], net.branches[1](x)[1])


@pytest.mark.parametrize('init_cfg', [[], [None], 3 * [None]])
def test_one_initialization_for_each_branch(init_cfg):
    with pytest.raises(ValueError, match=f'2 branches and {len(init_cfg)} in init_cfg'):
        MODELS.build(
            dict(type='mlrfnet_mm.ParallelBackbones', branches=2 * [RESNET], init_cfg=init_cfg)
        )


BOXES = {
    'one cell': ([[0, 0, 0], [0, 9, 0]], (1, 2, 1, 2)),
    'the larger part, not the higher': ([[9, 0, 8, 8], [0, 0, 0, 8]], (0, 2, 2, 4)),
    'corners do not touch': ([[9, 0, 0], [0, 9, 0], [0, 9, 0]], (1, 3, 1, 2)),
    'equal parts: the first': ([[9, 0, 9]], (0, 1, 0, 1)),
    'the threshold itself counts': ([[0, 7, 10, 6.9]], (0, 1, 1, 3)),
    'constant': ([[2, 2], [2, 2]], (0, 2, 0, 2)),
    'not a number': ([[2, np.nan], [2, 2]], (0, 2, 0, 2)),
    'infinite': ([[2, np.inf], [2, 2]], (0, 2, 0, 2)),
    'negative': ([[-5, -1, -5]], (0, 1, 1, 2)),
}


@pytest.mark.parametrize('name', BOXES)
def test_the_box_of_the_largest_active_part(name):
    heat, box = BOXES[name]
    assert active_box(np.array(heat, float), 0.7) == box


def test_a_cut_is_the_box_s_pixels_enlarged():
    image = torch.arange(2 * 8 * 8, dtype=torch.float32).view(2, 8, 8)
    torch.testing.assert_close(cut(image, (0, 4, 0, 4), (4, 4)), image)
    part = image[:, 2:6, 4:8]
    expected = F.interpolate(part[None], (8, 8), mode='bilinear', align_corners=False)[0]
    torch.testing.assert_close(cut(image, (1, 3, 2, 4), (4, 4)), expected)
    # cells of 8 / 3 pixels: rounded outward
    assert torch.equal(cut(image, (1, 2, 0, 3), (3, 3)).amax((1, 2)), image[:, 5, 7])


def test_the_local_network_sees_the_active_part():
    torch.manual_seed(0)
    net = MODELS.build(dict(type='mlrfnet_mm.GlobalLocalBackbone', backbone=RESNET)).eval()
    seen = []
    net.part.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.randn(2, 3, 32, 32)
    whole, part = net(x)
    torch.testing.assert_close(whole, net.whole(x)[-1])
    heat = whole.abs().amax(1).detach().numpy()
    for image, h, found in zip(x, heat, seen[0], strict=True):
        torch.testing.assert_close(found, cut(image, active_box(h, 0.7), h.shape))
    torch.testing.assert_close(part, net.part(seen[0])[-1])
    assert part.shape == whole.shape and not torch.equal(part, whole)


def test_both_networks_learn_also_in_half_precision():
    net = MODELS.build(dict(type='mlrfnet_mm.GlobalLocalBackbone', backbone=RESNET))
    with torch.autocast('cpu', torch.bfloat16):
        found = net(torch.randn(2, 3, 32, 32))
    sum(x.float().square().mean() for x in found).backward()
    assert all(x.isfinite().all() for x in found)
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize('threshold', [0, -1, 1.1])
def test_other_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match=f'above 0 and at most 1, got {threshold}'):
        MODELS.build(
            dict(type='mlrfnet_mm.GlobalLocalBackbone', backbone=RESNET, threshold=threshold)
        )


def test_squeeze_and_excitation():
    """Hu et al., eqs. 2 to 4."""
    neck = MODELS.build(dict(type='mlrfnet_mm.SENeck', in_channels=(32, 64))).double()
    feats = maps((32, 64), dtype=torch.float64)
    for level, x, out in zip(neck.levels, feats, neck(feats), strict=True):
        assert level.fc1.out_channels == x.shape[1] // 16
        hidden = F.relu(F.linear(x.mean((2, 3)), level.fc1.weight.flatten(1), level.fc1.bias))
        gate = torch.sigmoid(F.linear(hidden, level.fc2.weight.flatten(1), level.fc2.bias))
        torch.testing.assert_close(out, x * gate[..., None, None])
    with pytest.raises(ValueError, match='40 channels do not divide by the ratio 16'):
        MODELS.build(dict(type='mlrfnet_mm.SENeck', in_channels=(40,)))
    with pytest.raises(ValueError, match='model.neck expects 2 levels'):
        neck(feats[:1])


def by_hand(head, feats):
    """Logits of the branches and of all, by numpy."""
    means = [x.double().mean((2, 3)).numpy() for x in feats]
    layers = [*head.branches, head.fused]
    inputs = [*means, np.concatenate(means, 1)]
    return [
        v @ fc.weight.detach().double().numpy().T + fc.bias.detach().double().numpy()
        for fc, v in zip(layers, inputs, strict=True)
    ]


def test_logits_of_branches_and_of_all():
    head, feats = fusion(), maps()
    expected = by_hand(head, feats)
    np.testing.assert_allclose(head.all_logits(feats).detach(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(head(feats).detach(), expected[-1], rtol=1e-4, atol=1e-5)
    mean = (1 / (1 + np.exp(-np.array(expected)))).mean(0)
    scores = torch.sigmoid(fusion(output='mean')(feats)).detach()
    np.testing.assert_allclose(scores, mean, rtol=1e-4)


def test_the_loss_is_the_weighted_sum_and_leaves_unknown_labels_out():
    head, feats = fusion(branch_weight=(0.5, 2), fused_weight=3), maps()
    target = (torch.rand(3, 5) < 0.5).float()
    target[1, 2] = nan
    known = ~target.isnan()
    losses = head.loss(feats, samples(target))
    assert list(losses) == ['loss_branch0', 'loss_branch1', 'loss_fused']
    for weight, z, found in zip((0.5, 2, 3), by_hand(head, feats), losses.values(), strict=True):
        z = torch.tensor(z, dtype=torch.float32)
        entries = F.binary_cross_entropy_with_logits(z[known], target[known], reduction='sum')
        torch.testing.assert_close(found, weight * entries / 15, rtol=1e-4, atol=1e-6)
    sum(losses.values()).backward()
    assert all(p.grad.any() for p in head.parameters())


@pytest.mark.parametrize('output', ['fused', 'mean'])
def test_far_logits_and_half_precision_stay_finite(output):
    head = fusion(output=output)
    feats = tuple((1e4 * x).requires_grad_() for x in maps())
    losses = head.loss(feats, samples(torch.ones(3, 5)))
    sum(losses.values()).backward()
    assert head(feats).isfinite().all() and all(x.grad.isfinite().all() for x in feats)
    with torch.autocast('cpu', torch.bfloat16):
        logits = head(maps())
    assert logits.dtype == torch.float32 and logits.isfinite().all()


def test_a_whole_model_finds_its_channels_and_predicts():
    model = build_model(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='mlrfnet_mm.GlobalLocalBackbone', backbone=RESNET),
            neck=dict(type='mlrfnet_mm.SENeck', in_channels=None, ratio=8),
            head=dict(type='mlrfnet_mm.FusionHead', num_classes=5, in_channels=None, output='mean'),
        ),
        32,
    )
    model.init_weights()
    assert model.head.in_channels == (32, 32)
    x, target = torch.randn(2, 3, 32, 32), torch.zeros(2, 5)
    losses = model(x, samples(target), mode='loss')
    sum(losses.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    model.eval()
    scores = [s.pred_score for s in model(x, samples(target), mode='predict')]
    torch.testing.assert_close(torch.stack(scores), torch.sigmoid(model(x)))


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="output must be one of fused, mean, got 'max'"):
        fusion(output='max')
    with pytest.raises(ValueError, match=r'one branch_weight for each branch, got \(1, 2, 3\)'):
        fusion(branch_weight=(1, 2, 3))
    with pytest.raises(ValueError, match='model.head expects 8 channels at level 1'):
        fusion()(maps((6, 7)))
