"""PyConv and shuffle attention against their formulas, the network against published sizes."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.analysis import get_model_complexity_info
from mmengine.registry import MODELS
from mmpretrain.models import ResNet
from torch.utils.flop_counter import FlopCounterMode

from mlrfnet_mm.models.backbones.pyconv_resnet import PYRAMIDS, PyConv, ShuffleAttention


def backbone(**options):
    return MODELS.build(dict(type='mlrfnet_mm.PyConvResNet', **options))


def size(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope='module')
def pcsanet():
    return MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='mlrfnet_mm.PyConvResNet'),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(type='mmpretrain.MultiLabelLinearClsHead', num_classes=14, in_channels=2048),
        )
    ).eval()


def test_published_sizes(pcsanet):
    """PCSANet's module has 22,828,114; Duta et al. give 24.85 M for PyConvResNet-50, K = 1000."""
    assert size(pcsanet) == 22_828_114
    plain = size(backbone(shuffle_attention=False))
    assert plain + 2048 * 14 + 14 == 22_827_406
    assert plain + 2048 * 1000 + 1000 == 24_847_720


def test_multiply_adds(pcsanet):
    info = get_model_complexity_info(pcsanet, (3, 224, 224), show_table=False, show_arch=False)
    assert info['flops'] / 1e9 == pytest.approx(3.8585, abs=5e-5)
    with FlopCounterMode(display=False) as counter:
        backbone().to('meta')(torch.empty(1, 3, 224, 224, device='meta'))
    assert (counter.get_total_flops() / 2 + 2048 * 14) / 1e9 == pytest.approx(3.8184, abs=5e-5)


def test_stages_halve_the_map_and_fit_the_house_s_neck():
    maps = backbone(out_indices=(0, 1, 2, 3)).to('meta')(torch.empty(2, 3, 224, 224, device='meta'))
    shapes = [(256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]
    assert [tuple(x.shape) for x in maps] == [(2, *shape) for shape in shapes]


def test_resnet_s_names_but_for_the_pyramids_and_the_attention():
    theirs, ours = ResNet(50).state_dict(), backbone().state_dict()
    lost = {key for key in theirs if key not in ours}
    assert len(lost) == 13 and all(key.endswith('conv2.weight') for key in lost)
    assert all(ours[key].shape == theirs[key].shape for key in theirs.keys() - lost)
    assert {key.split('.')[2] for key in ours.keys() - theirs.keys()} == {'conv2', 'attention'}


@pytest.mark.parametrize('stage', range(3))
def test_a_pyramid_is_its_convolutions_side_by_side(stage):
    channels = 64 << stage
    conv = PyConv(channels, PYRAMIDS[stage], stride=2).double()
    kernels, groups, shares = zip(*PYRAMIDS[stage], strict=True)
    assert (kernels, groups, shares) == [  # Duta et al., PyConvResNet-50
        ((3, 5, 7, 9), (1, 4, 8, 16), (2, 2, 2, 2)),
        ((3, 5, 7), (1, 4, 8), (2, 2, 4)),
        ((3, 5), (1, 4), (4, 4)),
    ][stage]
    x = torch.randn(2, channels, 9, 9, dtype=torch.float64)
    expected = []
    for level, g in zip(conv.levels, groups, strict=True):
        parts = zip(x.chunk(g, 1), level.weight.chunk(g, 0), strict=True)
        pad = level.weight.shape[-1] // 2
        expected.append(torch.cat([F.conv2d(F.pad(u, [pad] * 4), w)[..., ::2, ::2]
                                   for u, w in parts], 1))  # fmt: skip
    torch.testing.assert_close(conv(x), torch.cat(expected, 1))


def test_shuffle_attention_channel_by_channel():
    """Zhang and Yang's eqs. 1 to 4 in loops; C = 12 in G = 2 groups of halves of 3."""
    channels, groups = 12, 2
    half = channels // (2 * groups)
    attention = ShuffleAttention(channels, groups).double()
    for p in attention.parameters():
        torch.nn.init.normal_(p)
    x = torch.randn(3, channels, 4, 5, dtype=torch.float64)
    w_c, b_c = attention.channel_weight.flatten(), attention.channel_bias.flatten()
    w_s, b_s = attention.place_weight.flatten(), attention.place_bias.flatten()
    gates = []
    for c in range(channels):
        u, k = x[:, c], c % half
        if c // half % 2 == 0:
            gates.append(u * torch.sigmoid(w_c[k] * u.mean((1, 2), keepdim=True) + b_c[k]))
            continue
        centered = u - u.mean((1, 2), keepdim=True)
        normed = centered / (centered.square().mean((1, 2), keepdim=True) + 1e-5).sqrt()
        normed = normed * attention.norm.weight[k] + attention.norm.bias[k]
        gates.append(u * torch.sigmoid(w_s[k] * normed + b_s[k]))
    # the two halves of all channels are dealt out in turn
    expected = torch.stack([gates[c // 2 + c % 2 * channels // 2] for c in range(channels)], 1)
    torch.testing.assert_close(attention(x), expected)


def test_shuffle_attention_starts_as_a_factor_and_a_shuffle():
    x = torch.arange(256.0).view(1, 256, 1, 1).expand(1, 256, 2, 2)
    out = ShuffleAttention(256)(x)
    expected = torch.stack([x[:, :128], x[:, 128:]], 2).flatten(1, 2) * torch.sigmoid(
        torch.tensor(1.0)
    )
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize('shuffle_attention', [True, False])
def test_gradients_reach_every_tensor_also_in_half_precision(shuffle_attention):
    net = backbone(shuffle_attention=shuffle_attention, out_indices=(1, 2, 3))
    net.init_weights()
    for name, p in net.named_parameters():
        if name.endswith('place_weight'):  # it starts at 0: what feeds it would learn later
            torch.nn.init.normal_(p)
    with torch.autocast('cpu', torch.bfloat16):
        maps = net(torch.randn(2, 3, 64, 64))
    sum(x.float().square().mean() for x in maps).backward()
    assert all(x.isfinite().all() for x in maps)
    lost = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not lost
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match=r'one of \(50, 101, 152\), got 18'):
        backbone(depth=18)
    with pytest.raises(ValueError, match='192 channels .* needs a multiple of 128'):
        ShuffleAttention(192)
    with pytest.raises(TypeError, match='shufle'):
        backbone(shufle_attention=True)
