"""PCAN's backbone against timm's DenseNet-121, and the weights that fill it."""

import pytest
import timm
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.registry import MODELS

from mlrfnet_mm.models import TimmPretrained, TruncatedDenseNet

DROP, NEW = ('features.denseblock4', 'features.norm5'), ('norm',)


@pytest.fixture(scope='module')
def donor():
    torch.manual_seed(0)
    model = timm.create_model('densenet121').eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def build(donor, folder, **init):
    torch.save(donor.state_dict(), folder / 'w.pth')
    init_cfg = dict(type='mlrfnet_mm.TimmPretrained', checkpoint=str(folder / 'w.pth'))
    net = MODELS.build(dict(type='mlrfnet_mm.TruncatedDenseNet', init_cfg=init_cfg | init))
    net.init_weights()
    return net.eval()


def test_golden_parameters_and_shape():
    net = TruncatedDenseNet().eval()
    assert sum(p.numel() for p in net.parameters()) == 4_794_752
    with torch.no_grad():
        (level,) = net(torch.zeros(2, 3, 96, 64))
    assert level.shape == (2, 512, 6, 4)


def test_features_are_timm_s_before_the_third_pooling(donor, tmp_path, caplog):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    net = build(donor, tmp_path, drop=DROP, new=NEW)
    left = sum(key.startswith(('features.denseblock4', 'features.norm5')) for key in
               donor.state_dict())  # fmt: skip
    assert f'left out {left} of features.denseblock4, features.norm5' in caplog.text
    assert f'{725 - left} tensors' in caplog.text  # 725 of timm's without its classifier
    assert 'new 5 of norm' in caplog.text
    x = torch.randn(2, 3, 64, 64)
    kept = {}
    donor.features.transition3.conv.register_forward_hook(lambda m, i, o: kept.update(out=o))
    net.norm.running_mean.fill_(0.1)
    with torch.no_grad():
        donor(x)
        norm = F.batch_norm(kept['out'], net.norm.running_mean, net.norm.running_var)
        torch.testing.assert_close(net(x)[0], norm.relu())


@pytest.mark.parametrize(
    ('init', 'message'),
    [
        (dict(), r'do not fit TruncatedDenseNet[\s\S]*norm.weight[\s\S]*denseblock4'),
        (dict(drop=DROP), r'do not fit TruncatedDenseNet[\s\S]*Missing key.*norm.weight'),
        (dict(drop=DROP[:1], new=NEW), r'do not fit[\s\S]*Unexpected key.*features.norm5'),
        (dict(drop=(*DROP, 'features.norm9'), new=NEW), "drop='features.norm9' is not in the wei"),
        (dict(drop=('features.denseblock3',), new=NEW), "drop='features.denseblock3' is also in "),
        (dict(drop=DROP, new=('norm', 'features.conv0')), "new='features.conv0' is also in the we"),
        (dict(drop=DROP, new=('norms',)), "new='norms' is not in the backbone"),
        (dict(drop=DROP, new=('nor',)), "new='nor' is not in the backbone"),  # whole names only
        (dict(drop='features.norm5', new=NEW), r"drop.* is a tuple of names, as .'features.norm5'"),
    ],
)
def test_names_are_taken_strictly(donor, tmp_path, init, message):
    with pytest.raises(ValueError, match=message):
        build(donor, tmp_path, **init)


def test_defaults_of_the_initialiser_drop_nothing():
    plain = TimmPretrained('densenet121.tv_in1k')
    assert plain.drop == plain.new == ()


def test_every_parameter_is_trained():
    net = TruncatedDenseNet('densenet121', in_channels=1)
    (level,) = net(torch.randn(2, 1, 64, 64))
    level.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize('name', ['resnet50', 'densenet'])
def test_other_networks_are_refused(name):
    with pytest.raises(ValueError, match=f"one of timm's DenseNets.*got '{name}'"):
        TruncatedDenseNet(name)
