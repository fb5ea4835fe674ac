"""A backbone is swapped by one assignment; the image size stands in one place."""

import pytest
import torch
from builders import flatten
from conftest import ROOT
from mmengine.config import Config
from mmpretrain.registry import MODELS

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.engine.parts import crop_size, leaf_datasets, set_image_size
from mlrfnet_mm.models import build_model, fill_in_channels

CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: str(p.relative_to(ROOT / 'configs')))
def test_channels_are_those_that_the_backbone_gives(path):
    cfg = read_config(path)
    model = fill_in_channels(cfg.model, crop_size(cfg))
    assert not [key for key, value in flatten(model) if key.endswith('in_channels') and not value]
    built = build_model(cfg.model, crop_size(cfg)).to('meta').eval()
    with torch.no_grad():  # check_levels raises where a number is wrong
        logits = built(torch.zeros(2, 3, crop_size(cfg), crop_size(cfg), device='meta'))
    head = cfg.model.head.get('head', cfg.model.head)  # of a head around a head
    assert logits.shape == (2, head.num_classes)


def test_another_backbone_by_one_assignment():
    cfg = read_config('mlrfnet_xray14')
    cfg.model.backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(2, 3))
    cfg.model.head.lam = 0.1
    model = fill_in_channels(cfg.model)
    assert model['neck']['in_channels'] == model['head']['in_channels'] == (256, 512)
    assert cfg.model.neck.in_channels is None  # the config that was given stays


def test_random_numbers_stay():
    cfg = read_config('mlrfnet_phantom')
    torch.manual_seed(3)
    fill_in_channels(cfg.model, 64)
    after = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(3))


def test_numbers_are_checked():
    cfg = read_config('mlrfnet_phantom')
    cfg.model.head.in_channels = (512, 1024, 999)
    model = build_model(cfg.model)
    with pytest.raises(ValueError, match='expects 999 channels at level 2, the backbone'):
        model(torch.zeros(1, 3, 64, 64))


def test_vectors_have_no_channels_to_be_found():
    cfg = read_config('mlrfnet_phantom')
    cfg.model.neck = dict(type='mmpretrain.GlobalAveragePooling')
    with pytest.raises(ValueError, match=r'head.in_channels=None needs levels .* \[\(1, 512\), '):
        build_model(cfg.model, 64)


@pytest.mark.parametrize('kind', ['ECANeck', 'MRFCHead'])
def test_none_elsewhere_says_the_way_out(kind):
    with pytest.raises(ValueError, match='in_channels=None is filled in by mlrfnet_mm.SafeRunner'):
        MODELS.build(dict(type=f'mlrfnet_mm.{kind}', in_channels=None))


def sizes(cfg):
    loaders = [cfg[f'{part}_dataloader'] for part in ('train', 'val', 'test')]
    steps = [leaf.pipeline[1] for loader in loaders for leaf in leaf_datasets(loader.dataset)]
    return [(step.get('scale'), step.get('crop_size')) for step in steps]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: str(p.relative_to(ROOT / 'configs')))
def test_every_config_has_its_size_in_one_place(path):
    text = path.read_text()
    assert 'crop_size' not in text or 'image_size = dict(scale' in text
    cfg = read_config(path)
    if path.parent.name in ('zoo', 'recipes'):  # its own size, the same for all loaders
        assert len(set(sizes(cfg))) == 1
    else:
        assert set(sizes(cfg)) == {(72, 64) if 'phantom' in path.name else (256, 224)}
    cfg.image_size = 128
    set_image_size(cfg, override=True)
    assert set(sizes(cfg)) == {(146, 128)} and crop_size(cfg) == 128


def test_a_pipeline_s_own_size_stands_unless_overridden():
    cfg = read_config('mlrfnet_xray14')
    cfg.test_dataloader.dataset.pipeline[1].crop_size = 200
    set_image_size(cfg)
    assert sizes(cfg)[2] == (256, 200)


@pytest.mark.parametrize('size', [0, -1, True, '128', dict(scale=72), 1.5])
def test_other_forms_of_the_size_are_refused(size):
    cfg = Config(dict(image_size=size))
    with pytest.raises(ValueError, match='image_size must be a positive int or dict'):
        set_image_size(cfg)


PROJECT = """
_base_ = __import__('mlrfnet_mm').config_file('mlrfnet_xray14')

_base_.model.backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(1, 2, 3))
_base_.image_size = 64
"""


def test_another_project_inherits_a_config_and_trains_by_mmengine(phantom, tmp_path):
    """As mmpretrain's tools/train.py does: Config.fromfile, then the registry of runners."""
    from mmengine.registry import RUNNERS

    (tmp_path / 'ours.py').write_text(PROJECT)
    cfg = Config.fromfile(tmp_path / 'ours.py')
    cfg.work_dir = str(tmp_path)
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        loader.update(batch_size=4, num_workers=0)
        loader.dataset.update(data_root=str(phantom), indices=8)
    cfg.train_cfg.max_epochs = 1
    runner = RUNNERS.build(cfg)
    runner.train()
    assert sizes(runner.cfg)[0] == (73, 64)
    assert runner.cfg.model.head.in_channels == (128, 256, 512)  # as the checkpoint stores it
    stored = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['meta']['cfg']
    assert 'in_channels=None' not in stored and 'crop_size=64' in stored
