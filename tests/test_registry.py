"""The parts build by name from other projects, with nothing imported by hand."""

import sys

import pytest
from conftest import ROOT

BUILD = """
from {package} import {registry}
print(type({registry}.build(dict({cfg}))).__name__)
"""

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


def test_import_without_a_stack_says_which_to_install(run, tmp_path):
    # a Python that sees the project but no site-packages
    run(
        sys.executable,
        '-S',
        '-c',
        'import mlrfnet_mm',
        cwd=tmp_path,
        env=dict(PYTHONPATH=str(ROOT)),
    )
    process = run(
        sys.executable, '-S', '-c', 'import mlrfnet_mm.registry', cwd=tmp_path, check=False,
        env=dict(PYTHONPATH=str(ROOT)),
    )  # fmt: skip
    assert 'mmengine, mmcv, mmpretrain cannot be found' in process.stderr
    assert "'mlrfnet-mm[openmmlab]'" in process.stderr
    assert "'mlrfnet-mm[onedl]'" in process.stderr
