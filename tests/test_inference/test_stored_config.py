"""A checkpoint's config is read as data: equal to mmengine's reading, and nothing of it runs."""

import math

import pytest
import torch
from builders import flatten
from conftest import ROOT, Evil
from mmengine.config import Config

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.inference.loaded_model import load_model
from mlrfnet_mm.inference.pipeline import placing_pipeline
from mlrfnet_mm.inference.stored_config import check_types, parse_config
from mlrfnet_mm.models import build_model

CONFIGS = [
    *sorted((ROOT / 'configs').glob('*.py')),
    *sorted((ROOT / 'configs/recipes').glob('*.py')),
    *sorted((ROOT / 'configs/ablations').rglob('*.py')),
]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: str(p.relative_to(ROOT / 'configs')))
def test_reads_what_mmengine_writes(path):
    text = Config.fromfile(path).pretty_text
    expected = Config.fromstring(text, '.py')
    found = parse_config(text)
    assert dict(flatten(found.to_dict())) == dict(flatten(expected.to_dict()))
    check_types(found.model)


def test_plain_values():
    text = "a = -1.5\nb = {'x': (1, None, True)}\nc = dict(d=[inf, -inf], **{})\n"
    with pytest.raises(ValueError, match='dict'):
        parse_config(text)
    cfg = parse_config(text.replace(', **{}', '') + 'e = {1, 2}\n')
    assert cfg.a == -1.5 and cfg.b.x == (1, None, True)
    assert cfg.c.d == [math.inf, -math.inf] and cfg.e == {1, 2}
    assert parse_config("f = dict({'.g': dict(h=1)})\n").f == {'.g': {'h': 1}}


@pytest.mark.parametrize(
    'text',
    [
        "__import__('os').system('touch X')",
        "a = __import__('os').system('touch X')",
        'import os',
        "a = dict(b=open('X', 'w'))",
        "a = dict({'b': open('X', 'w')})",
        "a = dict({'b': 1}, c=2)",
        'a = dict([(1, 2)])',
        'a = [x for x in (1, 2)]',
        'a = b = 1',
        'a = (1).__class__',
        'a.b = 1',
        "a = f'{1}'",
        "_base_ = 'x'\nprint(1)",
        'a = (',
    ],
)
def test_anything_else_is_refused_and_not_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='config in the checkpoint'):
        parse_config(text)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'name',
    [
        'os.system',
        'mmengine.load',
        'mmengine.runner.Runner',
        'antigravity',
        'torch.load',
        3,
        'mmpretrain.HuggingFaceClassifier',
        'mmpretrain.TimmClassifier',
        'mmpretrain.Llava',
        'mmpretrain.torchvision/ConvertImageDtype',
    ],
)
def test_types_that_are_no_parts_are_refused(name):
    with pytest.raises(ValueError, match='not a network or loss of'):
        check_types(dict(type='mmpretrain.ImageClassifier', neck=[dict(type=name)]))


@pytest.mark.parametrize('more', [dict(model_name='hf-hub:a/b'), dict(checkpoint_path='x.pth')])
@pytest.mark.parametrize('kind', ['mmpretrain.TIMMBackbone', 'mlrfnet_mm.TimmFeatures'])
def test_timm_s_models_come_from_timm(kind, more):
    backbone = dict(type=kind, model_name='resnet18')
    check_types(dict(backbone=backbone))
    with pytest.raises(ValueError, match=f'{kind} from elsewhere'):
        check_types(dict(backbone=backbone | more))


@pytest.mark.parametrize(
    'steps',
    [
        # mmpretrain evaluates the string
        [dict(type='mmpretrain.torchvision/ConvertImageDtype', dtype='float32')],
        [dict(type='mmpretrain.RandomFlip', prob=1.0)],  # moves pixels, and no geometry says so
        [dict(type='mlrfnet_mm.XrayContrast')],
    ],
)
def test_a_pipeline_of_other_steps_is_not_built(steps):
    cfg = Config.fromfile(ROOT / 'configs/mlrfnet_xray14.py')
    pipeline = cfg.test_dataloader.dataset.pipeline
    names = [step['type'].__name__ for step in placing_pipeline(cfg)]
    assert names == [step.type.split('.')[1] for step in pipeline]
    cfg.test_dataloader.dataset.pipeline = [*pipeline[:2], *steps, pipeline[2]]
    with pytest.raises(ValueError, match='test pipeline must be mlrfnet_mm.LoadXray'):
        placing_pipeline(cfg)


def test_the_pipeline_of_wrapped_data():
    cfg = Config.fromfile(ROOT / 'configs/mlrfnet_xray14.py')
    expected = placing_pipeline(cfg)
    one = cfg.test_dataloader.dataset
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[one, one])
    assert placing_pipeline(cfg) == expected


@pytest.mark.parametrize('change', [dict(crop='ten'), dict(crop='random'), dict(flip=0.5)])
def test_a_random_or_tenfold_crop_has_no_one_place(change):
    cfg = Config.fromfile(ROOT / 'configs/mlrfnet_xray14.py')
    cfg.test_dataloader.dataset.pipeline[1].update(change)
    with pytest.raises(ValueError, match="second with crop='center' and without random"):
        placing_pipeline(cfg)


@pytest.mark.parametrize(('content', 'message'), [([1], 'holds a list'), ({}, 'carries no config')])
def test_another_file_is_no_checkpoint(tmp_path, content, message):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / 'x.pth')
    torch.save(dict(meta=dict(cfg='a = 1')), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='no model or no test_dataloader'):
        load_model(tmp_path / 'x.pth')


def test_a_checkpoint_with_an_evil_config_runs_nothing(tmp_path):
    trace = tmp_path / 'trace'
    evil = tmp_path / 'evil.pth'
    text = f"test_dataloader = dict()\nmodel = dict(type='os.system', command='touch {trace}')\n"
    torch.save(dict(meta=dict(cfg=text), state_dict={}), evil)
    with pytest.raises(ValueError, match=r'os\.system.*--config'):
        load_model(evil)
    torch.save(dict(meta=dict(cfg=''), state_dict=Evil(trace)), evil)
    with pytest.raises(RuntimeError, match='more than weights'):
        load_model(evil)
    assert not trace.exists()


def test_a_checkpoint_without_config_says_so(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='carries no config'):
        load_model(tmp_path / 'x.pth')


def test_types_within_tuples_and_dotted_paths_are_looked_at():
    with pytest.raises(ValueError, match=r'os\.system'):
        check_types(dict(type='mmpretrain.ImageClassifier', neck=(dict(type='os.system'),)))
    with pytest.raises(ValueError, match='not a network'):
        check_types(dict(type='mmpretrain.datasets.ImageClassifier'))


def rename(cfg, scope):
    """The config's text with the types of one scope without their prefix."""
    return f"{cfg.pretty_text}default_scope = '{scope}'\n".replace(
        "default_scope = 'mmpretrain'\n", '', 1
    ).replace(f"'{scope}.", "'")


def test_a_checkpoint_fits_wholly_and_names_its_own_classes(tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/mlrfnet_phantom.py')
    cfg.model.backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(1, 2, 3))
    cfg.model.neck.in_channels = cfg.model.head.in_channels = (128, 256, 512)
    own_scope = rename(cfg, 'mlrfnet_mm')
    state = build_model(cfg.model).state_dict()
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=FINDINGS[::-1]))
    torch.save(dict(meta=meta, state_dict=state), tmp_path / 'x.pth')
    assert load_model(tmp_path / 'x.pth').classes == FINDINGS[::-1]
    torch.save(dict(meta=meta | dict(cfg=own_scope), state_dict=state), tmp_path / 'own.pth')
    assert load_model(tmp_path / 'own.pth').classes == FINDINGS[::-1]
    broken = {**state, 'head.classifiers.0.weight': state['head.classifiers.0.weight'] / 0}
    torch.save(dict(meta=meta, state_dict=broken), tmp_path / 'nan.pth')
    with pytest.raises(ValueError, match=r'head.classifiers.0.weight is not finite; take an earl'):
        load_model(tmp_path / 'nan.pth')
    state.popitem()
    torch.save(dict(meta=meta, state_dict=state), tmp_path / 'x.pth')
    with pytest.raises(RuntimeError, match='does not fit the model of its config'):
        load_model(tmp_path / 'x.pth')
