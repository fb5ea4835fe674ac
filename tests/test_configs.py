"""Every config loads, names only what exists, and builds."""

import cv2
import numpy as np
import pytest
import torch
from builders import flatten
from conftest import ROOT
from mmengine.dataset import default_collate
from mmengine.registry import DATASETS
from mmpretrain.registry import MODELS, TRANSFORMS
from scipy.stats import kstest, uniform

from mlrfnet_mm.datasets.phantom import write_chexpert_phantom
from mlrfnet_mm.engine.launch import build_runner, check_keys, read_config
from mlrfnet_mm.models import build_model

CONFIGS = sorted(
    p
    for p in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in p.parts and not (p.parent / 'table.json').is_file()
)


@pytest.fixture(scope='module')
def folders(phantom, tmp_path_factory):
    """A generated folder for each data set class."""
    chexpert = tmp_path_factory.mktemp('phantom') / 'chexpert'
    write_chexpert_phantom(chexpert, patients=54, size=32, seed=0, workers=1)  # 54 validates
    return {'mlrfnet_mm.ChestXray14': phantom, 'mlrfnet_mm.CheXpert': chexpert}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_builds(path):
    cfg = read_config(path)
    check_keys(cfg, (), str(path))
    if cfg.model.backbone.get('init_cfg'):
        assert build_model(cfg.model) is not None  # the weights are read later, by init_weights
        cfg.model.backbone.init_cfg = None
    model = build_model(cfg.model)
    data = cfg.train_dataloader.dataset
    expected = 5 if data.get('classes') == 'scored' else 14
    head = cfg.model.head
    head = head.get('head', head)  # of a head around a head
    assert model.head.num_classes == head.num_classes == expected


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_rules_are_explicit(path):
    cfg = read_config(path)
    assert cfg.default_hooks.checkpoint.rule in ('less', 'greater')
    for hook in cfg.custom_hooks:
        if 'monitor' in hook:
            assert hook.rule in ('less', 'greater')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_leaf_has_a_header_with_its_command(path):
    assert f'mlrfnet train {path.relative_to(ROOT).as_posix()}' in path.read_text().split('"""')[1]


def test_the_paper_s_recipe():
    """Table 4 and section IV-C of the paper, spec.md's `Training recipe`."""
    cfg = read_config(ROOT / 'configs/mlrfnet_xray14.py')
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
        'model.data_preprocessor.mean': [123.675, 116.28, 103.53],
        'model.data_preprocessor.std': [58.395, 57.12, 57.375],
        'val_cfg.type': 'mlrfnet_mm.LossValLoop',
        'default_hooks.checkpoint.save_best': 'val/loss',
        'train_dataloader.dataset.protocol': 'official',
        'train_dataloader.sampler.shuffle': True,
        'val_dataloader.sampler.shuffle': False,
        'test_dataloader.sampler.shuffle': False,
        **{f'{part}_dataloader.dataset.split': part for part in ('train', 'val', 'test')},
        'model.backbone.init_cfg.type': 'mlrfnet_mm.TimmPretrained',
        'model.backbone.init_cfg.checkpoint': 'res2net50_26w_4s.in1k',
        'default_hooks.sync_buffers.type': 'SyncBuffersHook',
        'randomness.seed': 0,
        'param_scheduler.by_epoch': True,
    }
    assert {k: flat[k] for k in expected} == expected
    (stop,) = cfg.custom_hooks
    assert (stop.monitor, stop.rule, stop.patience) == ('val/loss', 'less', 3)


def test_chexpert_differs_from_xray14_in_the_data_only():
    """The same recipe; protocol and policy are spec.md's, the data are carved by the class."""
    first = dict(flatten(read_config(ROOT / 'configs/mlrfnet_xray14.py').to_dict()))
    flat = dict(flatten(read_config(ROOT / 'configs/mlrfnet_chexpert.py').to_dict()))
    parts = ('train', 'val', 'test')
    names = ('type', 'protocol', 'policy', 'views', 'classes')
    expected = {f'{p}_dataloader.dataset.{name}' for p in parts for name in names}
    expected |= {f'{p}_dataloader.dataset.pipeline' for p in parts}  # meta_keys
    expected |= {'test_dataloader.dataset.split', 'val_evaluator', 'test_evaluator'}
    expected |= {'train_pipeline', 'test_pipeline'}
    changed = {k for k in first.keys() | flat.keys() if first.get(k) != flat.get(k)}
    assert changed == expected
    for part, split in dict(train='train', val='val', test='valid').items():
        found = [flat[f'{part}_dataloader.dataset.{name}'] for name in (*names, 'split')]
        assert found == ['mlrfnet_mm.CheXpert', 'held-out', 'U-O&U-Z', 'all', 'all', split]
        pair = [
            [{k: v for k, v in step.items() if k != 'meta_keys'} for step in flattened]
            for flattened in (
                first[f'{part}_dataloader.dataset.pipeline'],
                flat[f'{part}_dataloader.dataset.pipeline'],
            )
        ]
        assert pair[0] == pair[1]


OWN = [p for p in CONFIGS if p.parent.name == 'zoo' or p.stem.endswith('_rare')]  # augmentation


@pytest.mark.parametrize('path', [p for p in CONFIGS if p not in OWN], ids=lambda p: p.stem)
def test_augmentation_draws_what_the_paper_says(path):
    cfg = read_config(path)
    kinds = {
        t.type.split('.')[1]: TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline
    }
    places = [kinds['XrayGeometry'].draw(dict(draw=(0, 0, i))) for i in range(4000)]
    angles = np.array([place.angle for place in places])
    assert kstest(angles, uniform(-5, 10).cdf).pvalue > 0.01
    assert abs(np.mean([place.flip for place in places]) - 0.5) < 0.03
    assert {(p.zoom, p.dx, p.dy) for p in places} == {(1, 0, 0)}
    room = kinds['XrayGeometry'].scale - kinds['XrayGeometry'].crop_size
    assert {p.left for p in places} == {p.top for p in places} == set(range(room + 1))
    # two levels, far apart and far from black and white: their distance tells the factor
    image = np.repeat([[28], [228]], 2, 1).astype(np.uint8)
    jitter = kinds['XrayContrast']
    changed = [jitter(dict(img=image, draw=(0, 0, i)))['img'] for i in range(4000)]
    factors = np.array([int(c[1, 0]) - int(c[0, 0]) for c in changed]) / 200
    assert kstest(factors, uniform(0.9, 0.2).cdf).statistic < 0.05  # gray levels are steps
    means = np.array([c.mean() for c in changed])
    np.testing.assert_allclose(means, 128, atol=1)  # no brightness


@pytest.mark.parametrize('part', ['train', 'val', 'test'])
def test_data_path_of_the_main_config(part, phantom):
    """From the file to the network's input: 224 pixels of a resize to 256, normalized RGB."""
    cfg = read_config(ROOT / 'configs/mlrfnet_xray14.py')
    dataset = DATASETS.build(dict(cfg[f'{part}_dataloader'].dataset, data_root=str(phantom)))
    assert dataset.metainfo['split'] == part
    assert dataset.metainfo['dataset'] == 'generated phantom'  # never passes for the real one
    item = dataset[0]
    assert item['inputs'].shape == (1, 224, 224)  # gray to the device
    assert item['inputs'].dtype == torch.uint8
    assert item['data_samples'].patient_id == dataset.get_data_info(0)['patient_id']
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    batch = preprocessor(default_collate([item]), training=part == 'train')
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (item['inputs'] / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(batch['inputs'][0], expected, atol=1e-4, rtol=1e-4)
    if part != 'train':
        gray = cv2.imread(item['data_samples'].img_path, cv2.IMREAD_GRAYSCALE)
        gray = cv2.resize(gray, (256, 256))[16:240, 16:240]  # 64 pixels: enlarged
        assert (item['inputs'][0].numpy() == gray).all()


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_every_part_of_a_config_builds(path, folders, tmp_path):
    cfg = read_config(path)
    cfg.work_dir = str(tmp_path)
    cfg.model.backbone.init_cfg = None
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.data_root = str(folders[dataset.type])
        if dataset.type == 'mlrfnet_mm.ChestXray14':
            dataset.protocol = 'official'  # the generated folder has no other lists
    runner = build_runner(cfg)
    for part in ('train', 'val', 'test'):
        getattr(runner, f'{part}_loop')
    assert runner.optim_wrapper is not None
    by_study = cfg.test_dataloader.dataset.type == 'mlrfnet_mm.CheXpert'
    (metric,) = runner.test_evaluator.metrics
    assert type(metric).__name__ == ('StudyAUC' if by_study else 'MultiLabelAUC')


@pytest.mark.parametrize(
    ('main', 'small'),
    [('mlrfnet_xray14', 'mlrfnet_phantom'), ('mlrfnet_chexpert', 'mlrfnet_phantom_chexpert')],
)
def test_phantom_config_only_sizes_down(main, small):
    main = dict(flatten(read_config(ROOT / f'configs/{main}.py').to_dict()))
    small = dict(flatten(read_config(ROOT / f'configs/{small}.py').to_dict()))
    changed = {k for k in main.keys() | small.keys() if main.get(k) != small.get(k)}
    sizes = {
        f'{part}_dataloader.{key}'
        for part in ('train', 'val', 'test')
        for key in ('dataset.data_root', 'dataset.pipeline')
    }
    sizes |= {'image_size', 'image_size.scale', 'image_size.crop_size'}
    schedule = {'train_cfg.max_epochs', 'optim_wrapper.optimizer.lr'}
    schedule |= {f'param_scheduler.{k}' for k in ('type', 'step_size', 'gamma')}
    schedule |= {f'param_scheduler.{k}' for k in ('T_max', 'end', 'convert_to_iter_based')}
    weights = {f'model.backbone.init_cfg.{k}' for k in ('type', 'checkpoint')}
    helpers = {'default_hooks.logger.interval'}
    assert changed == sizes | schedule | weights | helpers
