import re

import pytest
import timm
import torch
from conftest import ROOT, Evil
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from safetensors.torch import save_file

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import TimmPretrained

pytestmark = pytest.mark.slow

RES2NET = dict(
    type='mmpretrain.Res2Net', depth=50, deep_stem=False, avg_down=False, out_indices=(1, 2, 3)
)


@pytest.fixture(scope='module')
def timm_model():
    torch.manual_seed(0)
    model = timm.create_model('res2net50_26w_4s', pretrained=False)
    for (
        module
    ) in model.modules():  # statistics and scales as a trained network has them, not 0 and 1
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
    return model.eval()


def build(checkpoint, backbone=RES2NET):
    net = MODELS.build(
        dict(backbone, init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint=str(checkpoint)))
    )
    net.init_weights()
    net.eval()  # mmpretrain's ResNet.eval() returns None
    return net


@pytest.mark.parametrize('suffix', ['.safetensors', '.pth'])
def test_file_gives_timms_features(timm_model, tmp_path, suffix):
    path = tmp_path / f'w{suffix}'
    if suffix == '.pth':
        torch.save(timm_model.state_dict(), path)
    else:
        save_file(timm_model.state_dict(), path)
    net = build(path)
    weights = timm_model.state_dict()
    ours = net.state_dict()
    assert len(ours) == 510
    assert all(torch.equal(ours[k], weights[k]) for k in ours)  # nothing zeroed after the loading
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        levels = net(x)
        theirs = timm_model.forward_intermediates(x, indices=(2, 3, 4), intermediates_only=True)
    for u, v, shape in zip(levels, theirs, [(512, 12), (1024, 6), (2048, 3)], strict=True):
        assert u.shape == (2, shape[0], shape[1], shape[1])
        torch.testing.assert_close(u, v)


def test_name_finds_the_file_in_the_weights_folder(timm_model, tmp_path, monkeypatch):
    monkeypatch.setenv('MLRFNET_WEIGHTS', str(tmp_path))
    save_file(timm_model.state_dict(), tmp_path / 'res2net50_26w_4s.in1k.safetensors')
    net = build('res2net50_26w_4s.in1k')
    assert torch.equal(net.conv1.weight, timm_model.conv1.weight)


def test_other_backbones_load_too(tmp_path, monkeypatch):
    monkeypatch.setenv('MLRFNET_WEIGHTS', str(tmp_path))
    model = timm.create_model('resnet50').eval()
    weights = {k: v for k, v in model.state_dict().items() if 'num_batches' not in k}  # an old file
    torch.save(weights, tmp_path / 'resnet50.tv_in1k.pth')
    net = build('resnet50.tv_in1k', dict(type='mmpretrain.ResNet', depth=50))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net(x)[-1], model.forward_features(x))


@pytest.mark.parametrize('fault', ['missing', 'unexpected', 'shape'])
def test_weights_that_do_not_fit_are_refused(timm_model, tmp_path, fault):
    weights = dict(timm_model.state_dict())
    if fault == 'missing':
        del weights['layer3.2.convs.1.weight']
    elif fault == 'unexpected':
        weights['layer3.2.convs.7.weight'] = torch.zeros(1)
    else:
        weights['layer3.2.convs.1.weight'] = torch.zeros(3, 3)
    torch.save(weights, tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'do not fit Res2Net[\s\S]*layer3\.2\.convs'):
        build(tmp_path / 'w.pth')


def test_mmpretrains_default_res2net_is_another_network(timm_model, tmp_path):
    torch.save(timm_model.state_dict(), tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'do not fit Res2Net[\s\S]*stem'):
        build(tmp_path / 'w.pth', dict(type='mmpretrain.Res2Net', depth=50))


def test_no_network_names_the_file_to_put_where(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError('no route to host')

    monkeypatch.setattr(timm, 'create_model', no_network)
    monkeypatch.setenv('MLRFNET_WEIGHTS', str(tmp_path / 'weights'))
    with pytest.raises(FileNotFoundError, match='no route to host') as error:
        build('res2net50_26w_4s.in1k')
    assert str(tmp_path / 'weights' / 'res2net50_26w_4s.in1k.safetensors') in str(error.value)
    assert 'model.safetensors of timm/res2net50_26w_4s.in1k' in str(error.value)
    assert 'model.backbone.init_cfg=None' in str(error.value)


def test_other_initializers_next_to_it_are_refused():
    ours = dict(type='mlrfnet_mm.TimmPretrained', checkpoint='resnet50.tv_in1k')
    net = MODELS.build(dict(RES2NET, init_cfg=[ours, dict(type='Kaiming', layer='Conv2d')]))
    with pytest.raises(ValueError, match=r'must be this one dict[\s\S]*Kaiming'):
        net.init_weights()


def test_missing_file_and_unknown_name():
    with pytest.raises(FileNotFoundError, match='no weights file .*nowhere.pth'):
        build('nowhere.pth')
    with pytest.raises(ValueError, match="'res3net50' is neither a file"):
        build('res3net50')


@pytest.mark.parametrize('name', ['resnet50.tv_in1k', None])
def test_a_pickle_that_calls_something_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv('MLRFNET_WEIGHTS', str(tmp_path))
    file = tmp_path / f'{name or "evil"}.pth'
    torch.save({'conv1.weight': Evil(tmp_path / 'called')}, file)
    with pytest.raises(Exception, match='[Ww]eights.only'):
        TimmPretrained(name or str(file))(torch.nn.Identity())
    assert not (tmp_path / 'called').exists()


def test_children_with_an_init_cfg_keep_the_weights(tmp_path):
    class Child(BaseModule):
        def __init__(self):
            super().__init__(init_cfg=dict(type='Constant', layer='Linear', val=7.0))
            self.linear = torch.nn.Linear(2, 2)

    class Net(BaseModule):
        def __init__(self, checkpoint):
            super().__init__(init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint=checkpoint))
            self.child = Child()

    weights = {'child.linear.weight': torch.eye(2), 'child.linear.bias': torch.ones(2)}
    torch.save(weights, tmp_path / 'w.pth')
    net = Net(str(tmp_path / 'w.pth'))
    net.init_weights()
    assert torch.equal(net.child.linear.weight, torch.eye(2))


@pytest.mark.parametrize('prefix', ['fc.', 'head.fc.', 'classifier.'])
def test_classifiers_of_all_names_are_left_out(tmp_path, prefix):
    net = torch.nn.Sequential(torch.nn.Linear(2, 2))
    weights = {k: v + 1 for k, v in net.state_dict().items()}
    torch.save({**weights, f'{prefix}weight': torch.zeros(1)}, tmp_path / 'w.pth')
    TimmPretrained(str(tmp_path / 'w.pth'))(net)
    assert torch.equal(net[0].weight, weights['0.weight'])


CONFIGS = [p for p in sorted((ROOT / 'configs').rglob('*.py')) if '_base_' not in p.parts]
MORE = {'convnext': (1, 2, 3), 'swin': (1, 2, 3), 'efficientnet': (2, 3, 4)}  # levels, of timm's


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: f'{p.parent.name}/{p.stem}')
def test_weights_come_from_timm_strictly_or_from_a_package(path):
    starts = read_config(path).model.backbone.get('init_cfg')  # of several branches: a list
    for init_cfg in starts if isinstance(starts, list) else [starts] if starts else []:
        assert init_cfg.type in ('mlrfnet_mm.TimmPretrained', 'mlrfnet_mm.LitePretrained')
        assert init_cfg.get('checkpoint') in [*timm.list_pretrained(), None]
    assert '://' not in path.read_text()


def publish(name, folder, change=lambda weights: weights):
    """A file of a published name, with timm's own random weights."""
    torch.manual_seed(3)
    donor = timm.create_model(name).eval()
    for module in donor.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    save_file(change(donor.state_dict()), folder / f'{name}.safetensors')
    return donor


def as_microsoft_has_it(weights):
    """Swin as its authors publish it: a stage ends with its downsampling, timm's begins with it."""
    weights = {k.replace('head.fc.', 'head.'): v for k, v in weights.items()}
    moved = {}
    for key, value in weights.items():
        stage = re.fullmatch(r'layers\.(\d)\.(downsample\..*)', key)
        moved[f'layers.{int(stage[1]) - 1}.{stage[2]}' if stage else key] = value
    return moved | {'layers.0.blocks.1.attn_mask': torch.zeros(64, 49, 49)}


@pytest.mark.parametrize('row', MORE)
def test_the_other_backbones_have_timm_s_weights_and_features(row, tmp_path, monkeypatch):
    monkeypatch.setenv('MLRFNET_WEIGHTS', str(tmp_path))
    config = read_config(ROOT / f'configs/ablations/backbones/{row}.py').model.backbone
    changes = [dict, as_microsoft_has_it] if row == 'swin' else [dict]
    x = torch.randn(2, 3, 224, 224)
    for change in changes:
        donor = publish(config.init_cfg.checkpoint, tmp_path, change)
        net = MODELS.build(config)
        net.init_weights()
        net.eval()
        with torch.no_grad():
            theirs = donor.forward_intermediates(x, indices=MORE[row], intermediates_only=True)
            for ours, expected in zip(net(x), theirs, strict=True):
                torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('row', MORE)
@pytest.mark.parametrize('fault', ['missing', 'unexpected', 'shape'])
def test_a_published_file_that_does_not_fit_is_refused(row, fault, tmp_path, monkeypatch):
    monkeypatch.setenv('MLRFNET_WEIGHTS', str(tmp_path))
    config = read_config(ROOT / f'configs/ablations/backbones/{row}.py').model.backbone

    def spoil(weights):
        key = next(
            key for key in reversed(weights) if re.match(r'(stages|layers|blocks)\..*weight', key)
        )
        if fault == 'unexpected':
            return {**weights, f'{key}s': torch.zeros(1)}
        value = weights.pop(key)
        return weights if fault == 'missing' else {**weights, key: value.new_zeros(3, 5)}

    publish(config.init_cfg.checkpoint, tmp_path, spoil)
    with pytest.raises(
        ValueError, match=r"\.safetensors does not fit timm's[\s\S]*(stag|lay|block)"
    ):
        MODELS.build(config).init_weights()
