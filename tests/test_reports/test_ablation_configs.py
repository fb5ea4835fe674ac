"""Every row of configs/ablations changes what it names and nothing else, and its model computes."""

import json
import re

import pytest
import torch
from conftest import ROOT
from mmpretrain.structures import DataSample

from mlrfnet_mm.engine.launch import RUNNER_KEYS, check_keys, read_config
from mlrfnet_mm.models import build_model
from mlrfnet_mm.reports.ablation.plan import build_plan

pytestmark = pytest.mark.slow

TABLES = sorted(path.parent for path in (ROOT / 'configs/ablations').glob('*/table.json'))
FILES = sorted((ROOT / 'configs/ablations').glob('*/*.py'))
BACKBONE = {
    f'model.backbone.{key}' for key in ('type', 'scales', 'base_width', 'deep_stem', 'avg_down')
}
DEPTHLESS = BACKBONE | {'model.backbone.depth', 'model.backbone.init_cfg.checkpoint'}
TOP = {'model.backbone.out_indices'}
TIMM = {'model.backbone.model_name', 'model.backbone.features_only'} | TOP
HEAD = {f'model.head.{key}' for key in ('type', 'in_channels', 'lam', 'temperature')}
NECK = {f'model.neck.{key}' for key in ('type', 'in_channels', 'kernel_size')}
POOLED = {f'model.head.{key}' for key in ('type', 'pool', 'lam', 'temperature')} | {'model.neck'}
WEIGHTS = {'model.backbone.init_cfg.checkpoint'}
LAM = {'model.head.lam', 'model.head.temperature'}
GRAPH = {'model.head.graph'}
QUERIES = {'model.head.dim', 'model.head.hidden'}
LOSS = {f'model.head.loss.{key}' for key in ('type', 'alpha', 'gamma', 'shift', 'loss.type')}
POLICY = {f'{part}_dataloader.dataset.policy' for part in ('train', 'val')}
# A wrapper: the head's keys, each one level deeper.
COUPLED = {'model.head.type'} | {
    f'model.head.{at}{key}'
    for at in ('', 'head.')
    for key in ('num_classes', 'in_channels', 'lam', 'temperature')
}
COUPLED |= {'model.head.head.type'} | {
    f'model.head.{at}loss.{key}'
    for at in ('', 'head.')
    for key in ('type', 'alpha', 'gamma', 'shift')
}
LITE = DEPTHLESS | TIMM | {'model.backbone.init_cfg.type'}
LITE |= {f'model.data_preprocessor.{key}' for key in ('mean', 'std')}
SYSTEM = {  # in the tables 5 and 6
    'chexnet': DEPTHLESS | TIMM | NECK | POOLED,
    'pcam': BACKBONE | {'model.backbone.depth'} | TOP | WEIGHTS | NECK | POOLED,
    'pcan': DEPTHLESS
    | TOP
    | NECK
    | {f'model.backbone.init_cfg.{key}' for key in ('drop', 'new')}
    | POOLED - {'model.head.pool'},
}
CHANGES = {
    **{f'table5/{row}': SYSTEM[row] for row in SYSTEM},
    'table5/dcnn': BACKBONE | TOP | WEIGHTS | NECK | {'model.neck.r'} | HEAD,
    'table5/label_gcn': DEPTHLESS | TIMM | NECK | POOLED - LAM | GRAPH,
    'table5/label_gat': DEPTHLESS | TIMM | NECK | POOLED - LAM | GRAPH | {'model.head.layer'},
    'table5/label_lstm': DEPTHLESS | TIMM | NECK | POOLED - {'model.head.pool'},
    'table5/finding_graph': DEPTHLESS | TIMM | NECK | POOLED - {'model.head.pool'} | GRAPH,
    'table5/pvt_query': DEPTHLESS | TIMM | NECK | POOLED - {'model.head.pool'} | QUERIES,
    'table5/mrfc_label_graph': GRAPH | {'model.head.type', 'model.head.hidden'},
    'table5/mrfc_label_graph_shuffled': GRAPH | {'model.head.type', 'model.head.hidden'},
    'table5/mrfc_query': LAM | QUERIES | {'model.head.type'},
    'table5/mrfc_coupling': COUPLED,
    'table5/pcsanet': DEPTHLESS | {'model.backbone.init_cfg.type'} | TOP | NECK | POOLED,
    'table5/similarity_graph': DEPTHLESS | TIMM | NECK | POOLED - {'model.head.pool'},
    'table6/u_ones': POLICY,
    **{f'table6/{row}': SYSTEM[row] for row in SYSTEM},
    'table6/u_zeros': POLICY,
    'table9/no_eca': NECK | {'model.neck'},
    'table9/no_mrfc': TOP | HEAD | NECK | {'model.neck'},
    'table9/no_eca_no_mrfc': TOP | HEAD | NECK,
    'table10/resnet50': BACKBONE | {'model.backbone.init_cfg.checkpoint'},
    'table10/densenet121': DEPTHLESS | TIMM,
    'table11/bce': LOSS | {'model.head.loss.loss.use_sigmoid'},
    'table11/focal': LOSS | {f'model.head.loss.loss.{key}' for key in ('alpha', 'gamma')},
    'heads/csra_head': TOP | HEAD | {'model.head.num_heads'},
    'backbones/convnext': DEPTHLESS | TIMM - TOP,
    'backbones/swin': DEPTHLESS
    | TIMM - TOP
    | {'model.backbone.feature_cls', 'model.backbone.strict_img_size'},
    'backbones/efficientnet': DEPTHLESS | TIMM,
    'backbones/efficientnet_lite0': LITE,
    'backbones/efficientnet_lite1': LITE | {'model.backbone.init_cfg.size'},
    'backbones/efficientnet_lite2': LITE | {'model.backbone.init_cfg.size'},
    'lite0_heads/mean': TOP | POOLED - {'model.neck'},
    'lite0_heads/pcam': TOP | POOLED - {'model.neck'},
    'lite0_heads/lse': TOP | LAM | {f'model.head.{key}' for key in ('type', 'pool.name', 'pool.r')},
    'lite0_heads/pixel_attention': TOP | LAM | {'model.head.type'},
    'lite0_heads/mrfc_label_graph': GRAPH | {'model.head.type', 'model.head.hidden'},
    'fig7_lr/lr_1e_3': {'optim_wrapper.optimizer.lr'},
    'fig7_lr/lr_1e_5': {'optim_wrapper.optimizer.lr'},
}


def name(path):
    return f'{path.parent.name}/{path.stem}'


def leaves(value, prefix=''):
    """(dotted key, value); lists are one leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f'{prefix}{key}.')
    else:
        yield prefix[:-1], value


def changed(config, base):
    a, b = (
        dict(leaves({k: v for k, v in c.to_dict().items() if k in RUNNER_KEYS}))
        for c in (config, base)
    )
    return {key for key in a.keys() | b.keys() if a.get(key, 'absent') != b.get(key, 'absent')}


def own_base(path):
    base = re.search("_base_ = '(.+)'", path.read_text())[1]
    return read_config(path.parent / base)


def test_every_row_is_listed_here():
    assert {name(path) for path in FILES} == set(CHANGES)


@pytest.mark.parametrize('path', FILES, ids=name)
def test_row_changes_exactly_what_it_names(path):
    config = read_config(path)
    check_keys(config, (), str(path))
    assert set(config) == set(own_base(path))  # no helper variable
    assert changed(config, own_base(path)) == CHANGES[name(path)]
    assert len([line for line in path.read_text().splitlines() if line]) <= 7


@pytest.mark.parametrize('path', FILES, ids=name)
def test_row_changes_the_same_over_another_base(path):
    """--on: the difference to the phantom's config is that to the own base, but for weights."""
    chexpert = 'chexpert' in path.read_text()
    on = ROOT / 'configs' / f'mlrfnet_phantom{"_chexpert" if chexpert else ""}.py'
    plan = build_plan(path.parent, on, ['model.backbone.init_cfg=None'])
    row = next(row for row in plan.rows if row.name == path.stem)
    expected = {key for key in CHANGES[name(path)] if 'init_cfg' not in key}
    assert changed(row.config, plan.rows[0].config) == expected


# The systems of table 5 compute in tests/test_zoo_configs.py.
@pytest.mark.parametrize('path', [p for p in FILES if p.parent.name != 'table5'], ids=name)
def test_row_s_model_computes(path):
    cfg = read_config(path).model
    cfg.backbone.init_cfg = None
    torch.manual_seed(0)
    model = build_model(cfg)
    sample = DataSample()
    sample.set_gt_score(torch.tensor([1.0, 0.0] * 7))
    batch = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=batch, data_samples=[sample, sample]), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.shape == () and torch.isfinite(loss)
    unused = [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not any(key.startswith(('neck', 'head')) for key in unused)  # DDP would stop on them
    model.eval()
    with torch.no_grad():
        scores = [sample.pred_score for sample in model(**data, mode='predict')]
    assert torch.stack(scores).shape == (2, 14)


def test_levels_that_do_not_fit_are_named():
    cfg = read_config(ROOT / 'configs/ablations/table10/densenet121.py').model
    cfg.backbone.init_cfg = None
    cfg.neck.in_channels = (512, 1024, 2048)
    with pytest.raises(ValueError, match='neck expects 2048 channels at level 2.* gives 1024'):
        build_model(cfg)


@pytest.mark.parametrize('folder', TABLES, ids=lambda p: p.name)
def test_table_can_be_planned(folder):
    plan = build_plan(folder)
    assert plan.rows[0].name == 'base'
    assert len({row.name for row in plan.rows}) == len(plan.rows)


def test_fig6_sweeps_all_combinations():
    plan = build_plan(ROOT / 'configs/ablations/fig6_lam')
    values = {row.config.model.head.lam for row in plan.rows[1:]}
    assert len(values) == len(plan.rows) - 1 == 27
    assert {v for value in values for v in value} == {0.1, 0.3, 0.5}
    assert all(changed(r.config, plan.rows[0].config) <= {'model.head.lam'} for r in plan.rows)


def test_the_paper_s_values():
    """Tables 6, 9, 10 and 11 of the paper: ChestX-ray14 (chexnet lists), CheXpert."""
    expected = {
        'table6': {'base': (None, 0.904), 'u_ones': (None, 0.897), 'u_zeros': (None, 0.892)},
        'table9': {'base': (0.853, 0.904), 'no_mrfc': (0.845, 0.882), 'no_eca': (0.848, 0.900)},
        'table10': {
            'base': (0.853, 0.904),
            'resnet50': (0.844, 0.885),
            'densenet121': (0.846, 0.892),
        },
        'table11': {'base': (0.853, 0.904), 'bce': (0.846, 0.884), 'focal': (0.849, 0.894)},
    }
    keys = 'ChestX-ray14 chexnet', 'CheXpert select-on-valid'
    for table, rows in expected.items():
        content = json.loads((ROOT / f'configs/ablations/{table}/table.json').read_text())
        papers = {'base': content['base'].get('paper', {})}
        papers |= {key: row['paper'] for key, row in content['rows'].items() if 'paper' in row}
        found = {row: tuple(paper.get(key) for key in keys) for row, paper in papers.items()}
        assert found == rows
        assert all(set(paper) <= set(keys) for paper in papers.values())


def test_a_row_that_the_description_forgets_is_named(tmp_path):
    base = dict(label='base', config=str(ROOT / 'configs/mlrfnet_xray14.py'))
    (tmp_path / 'table.json').write_text(json.dumps(dict(title='T', base=base)))
    (tmp_path / 'row.py').write_text("_base_ = 'x.py'\n")
    with pytest.raises(ValueError, match=r'row\.py is in the folder and is not a row'):
        build_plan(tmp_path)


def test_an_option_may_drop_all_weights_and_not_name_others():
    with pytest.raises(ValueError, match='sets what row'):
        build_plan(ROOT / 'configs/ablations/table10', None, ['model.backbone.init_cfg=Kaiming'])


@pytest.mark.parametrize('size', ['dict(scale=144,crop_size=128)', '128'])
def test_every_row_gets_the_image_size_of_the_command_line(size):
    plan = build_plan(ROOT / 'configs/ablations/lite0_heads', None, [f'image_size={size}'])
    crops = {
        step.crop_size
        for row in plan.rows
        for part in ('train', 'val', 'test')
        for step in row.config[f'{part}_dataloader'].dataset.pipeline
        if 'crop_size' in step
    }
    assert crops == {128}
