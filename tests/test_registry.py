"""The parts build by name from other projects, with nothing imported by hand."""

import sys

import pytest
from builders import make_predictions
from conftest import ROOT

BUILD = """
from {package} import {registry}
print(type({registry}.build(dict({cfg}))).__name__)
"""

# a data set of two images, each with one finding
TWO = "type('Two', (), dict(__len__=lambda self: 2, get_cat_ids=lambda self, i: [i]))"
PARTS = [
    ('MODELS', "type='mlrfnet_mm.ECANeck', in_channels=(8,)", 'ECANeck'),
    ('MODELS', "type='mlrfnet_mm.MRFCHead'", 'MRFCHead'),
    ('MODELS', "type='mlrfnet_mm.ScoreMapHead', pool='pcam'", 'ScoreMapHead'),
    ('MODELS', "type='mlrfnet_mm.PixelAttentionHead'", 'PixelAttentionHead'),
    ('MODELS', "type='mlrfnet_mm.LSEPooling'", 'LSEPooling'),
    ('MODELS', "type='mlrfnet_mm.TransitionNeck', in_channels=(8,)", 'TransitionNeck'),
    ('MODELS', "type='mlrfnet_mm.TruncatedDenseNet'", 'TruncatedDenseNet'),
    ('MODELS', "type='mlrfnet_mm.BalancedBCELoss'", 'BalancedBCELoss'),
    ('MODELS', "type='mlrfnet_mm.BiasedFocalLoss'", 'BiasedFocalLoss'),
    ('MODELS', "type='mlrfnet_mm.LDAMLoss', class_counts=(5, 2)", 'LDAMLoss'),
    (
        'MODELS',
        "type='mlrfnet_mm.DistributionBalancedLoss', class_counts=(5, 2), images=9",
        'DistributionBalancedLoss',
    ),
    ('DATA_SAMPLERS', f"type='mlrfnet_mm.ClassAwareSampler', dataset={TWO}()", 'ClassAwareSampler'),
    ('TRANSFORMS', "type='mlrfnet_mm.SeededCompose', transforms=[]", 'SeededCompose'),
    ('METRICS', "type='mlrfnet_mm.MultiLabelAUC'", 'MultiLabelAUC'),
    ('METRICS', "type='mlrfnet_mm.MeanLoss'", 'MeanLoss'),
    ('DATASETS', "type='mlrfnet_mm.ChestXray14', data_root='x', lazy_init=True", 'ChestXray14'),
    ('HOOKS', "type='mlrfnet_mm.PlainCheckpointHook'", 'PlainCheckpointHook'),
]


@pytest.mark.parametrize('package', ['mmengine.registry', 'mmpretrain.registry'])
def test_parts_build_without_an_import(package, run, tmp_path):
    script = '\n'.join(BUILD.format(package=package, registry=r, cfg=c) for r, c, _ in PARTS)
    output = run(sys.executable, '-c', script, cwd=tmp_path).stdout
    assert [line for line in output.splitlines() if line][-len(PARTS) :] == [p[2] for p in PARTS]


# A Python that has the base dependencies and no stack: the finders do not find it.
WITHOUT = """
import sys
GONE = {'torch', 'torchvision', 'timm', 'mmengine', 'mmcv', 'mmpretrain'}
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split('.')[0] in GONE else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""
PARTS_ASKED_FOR = [
    'import mlrfnet_mm.registry',
    'from mlrfnet_mm.models import ECANeck',
    'from mlrfnet_mm.models.necks import ECANeck',
    'import mlrfnet_mm.datasets',
    'import mlrfnet_mm.engine',
    'import mlrfnet_mm.inference.heatmaps',
    'import mlrfnet_mm.inference.export',
    'import mlrfnet_mm.datasets.phantom',
    'import mlrfnet_mm.evaluation.metrics',
    'import mlrfnet_mm.reports.ablation',
    'import mlrfnet_mm.reports.run_page',
    'import mlrfnet_mm.reports.shift.robustness',
]
COMMANDS = [
    'train mlrfnet_phantom',
    'test mlrfnet_phantom .',
    'predict . x.png',
    'report .',
    'card .',
    'ablate table9',
    'phantom',
    'complexity mlrfnet_phantom',
    'localise mlrfnet_phantom .',
    'prepare chestxray14 --out-dir x',
    'label-graph mlrfnet_phantom',
]
EVALUATE = """
from mlrfnet_mm.commands import main
main(['evaluate', 'p.npz', '--replicates', '100'])
"""
ASK = """
for line in sys.argv[1:]:
    try:
        exec(line)
        print('no error')
    except ImportError as error:
        print(error)
"""
CALL = """
from mlrfnet_mm.commands import main
for line in sys.argv[1:]:
    try:
        main(line.split())
        print('no error')
    except SystemExit as stop:
        assert stop.code == 2, (line, stop.code)
"""


def test_a_part_without_a_stack_says_which_to_install(run, tmp_path):
    path = dict(PYTHONPATH=str(ROOT))
    lines = run(
        sys.executable, '-c', WITHOUT + ASK, *PARTS_ASKED_FOR, cwd=tmp_path, env=path
    ).stdout.splitlines()
    for ask, line in zip(PARTS_ASKED_FOR, lines, strict=True):
        assert 'torch, mmengine, mmcv, mmpretrain cannot be found' in line, ask
        assert "'mlrfnet-mm[openmmlab]'" in line and "'mlrfnet-mm[onedl]'" in line


def test_a_command_without_a_stack_says_which_to_install(run, tmp_path):
    path = dict(PYTHONPATH=str(ROOT))
    (tmp_path / 'x.png').write_bytes(b'')
    process = run(sys.executable, '-c', WITHOUT + CALL, *COMMANDS, cwd=tmp_path, env=path)
    for command, line in zip(COMMANDS, process.stderr.splitlines(), strict=True):
        assert line.startswith(f'mlrfnet {command.split()[0]}: '), line
        assert "'mlrfnet-mm[openmmlab]'" in line and "'mlrfnet-mm[onedl]'" in line
    assert not process.stdout


def test_an_inferencer_without_a_stack_takes_bundles(run, tmp_path):
    ask = "from mlrfnet_mm import CXRInferencer\nCXRInferencer(model='x')"
    path = dict(PYTHONPATH=str(ROOT))
    process = run(sys.executable, '-c', WITHOUT + ask, cwd=tmp_path, env=path, check=False)
    assert 'no bundle.json in x: mlrfnet export writes one' in process.stderr


def test_statistics_without_a_stack(run, tmp_path):
    make_predictions().save(tmp_path / 'p.npz')
    path = dict(PYTHONPATH=str(ROOT))
    printed = run(sys.executable, '-c', WITHOUT + EVALUATE, cwd=tmp_path, env=path).stdout
    assert 'mean' in printed
