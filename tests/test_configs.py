"""Every config loads, names only what exists, and builds."""

import numpy as np
import pytest
from conftest import ROOT
from mmengine.config import Config
from mmpretrain.registry import MODELS, TRANSFORMS
from scipy.stats import kstest, uniform

from mlrfnet_mm.engine.launch import check_keys

CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)


def flatten(value, prefix=''):
    """Yield (dotted key, value) of every leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f'{prefix}{key}.')
    else:
        yield prefix[:-1], value


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_builds(path):
    cfg = Config.fromfile(path)
    check_keys(cfg, (), str(path))
    if cfg.model.backbone.get('init_cfg'):
        assert MODELS.build(cfg.model) is not None  # the weights are read later, by init_weights
        cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    classes = cfg.model.head.num_classes
    assert model.head.num_classes == classes == 14


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_rules_are_explicit(path):
    cfg = Config.fromfile(path)
    assert cfg.default_hooks.checkpoint.rule in ('less', 'greater')
    for hook in cfg.custom_hooks:
        if 'monitor' in hook:
            assert hook.rule in ('less', 'greater')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_leaf_has_a_header_with_its_command(path):
    assert f'python tools/train.py configs/{path.name}' in path.read_text().split('"""')[1]


def test_the_paper_s_recipe():
    """Table 4 and section IV-C of the paper, spec.md's `Training recipe`."""
    cfg = Config.fromfile(ROOT / 'configs/mlrfnet_xray14.py')
    flat = dict(flatten(cfg.to_dict()))
    expected = {
        'optim_wrapper.optimizer.type': 'Adam',
        'optim_wrapper.optimizer.lr': 1e-4,
        'train_dataloader.batch_size': 32,
        'train_cfg.max_epochs': 20,
        'param_scheduler.type': 'StepLR',
        'param_scheduler.step_size': 2,
        'param_scheduler.gamma': 0.9,
        'model.head.lam': (0.5, 0.3, 0.1),
        'model.head.temperature': 99.0,
        'model.head.loss.alpha': 0.4,
        'model.head.loss.gamma': 2.0,
        'model.head.loss.shift': 0.2,
        'model.neck.kernel_size': 3,
        'model.backbone.deep_stem': False,
        'model.backbone.avg_down': False,
    }
    assert {k: flat[k] for k in expected} == expected
    (stop,) = cfg.custom_hooks
    assert (stop.monitor, stop.rule, stop.patience) == ('val/loss', 'less', 3)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_augmentation_draws_what_the_paper_says(path):
    cfg = Config.fromfile(path)
    kinds = {
        t.type.split('.')[1]: TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline
    }
    np.random.seed(0)
    rotate = kinds['Rotate']
    angles = np.array([rotate.random_negative(rotate.random_magnitude()) for _ in range(4000)])
    assert kstest(angles, uniform(-5, 10).cdf).pvalue > 0.01
    assert rotate.prob == 1.0
    contrasts = np.array([kinds['ColorJitter']._rand_params()[2] for _ in range(4000)])
    assert kstest(contrasts, uniform(0.9, 0.2).cdf).pvalue > 0.01
    others = [p for i, p in enumerate(kinds['ColorJitter']._rand_params()) if i in (1, 3, 4)]
    assert others == [None] * 3  # brightness, saturation, hue
    assert kinds['RandomFlip'].prob == 0.5
    assert kinds['RandomFlip'].direction == 'horizontal'


def test_phantom_config_only_sizes_down():
    main = dict(flatten(Config.fromfile(ROOT / 'configs/mlrfnet_xray14.py').to_dict()))
    small = dict(flatten(Config.fromfile(ROOT / 'configs/mlrfnet_phantom.py').to_dict()))
    changed = {k for k in main.keys() | small.keys() if main.get(k) != small.get(k)}
    assert not {k for k in changed if k.startswith(('model.neck', 'model.head', 'test_evaluator'))}
    assert {k for k in changed if k.startswith('model')} <= {
        'model.backbone.init_cfg',
        'model.backbone.init_cfg.type',
        'model.backbone.init_cfg.checkpoint',
    }
