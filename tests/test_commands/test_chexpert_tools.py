"""CheXpert's path from the command line: phantom, prepared store, training, test, statistics."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from mlrfnet_mm.datasets.published.chexpert.tables import SCORED
from mlrfnet_mm.engine.launch import build_runner, read_config
from mlrfnet_mm.evaluation import Predictions, roc_auc

pytestmark = pytest.mark.slow

CONFIG = 'configs/mlrfnet_phantom_chexpert.py'
PARTS = ('train', 'val', 'test')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp('phantom') / 'chexpert'
    make = [sys.executable, 'tools/make_phantom.py', '--layout', 'chexpert', '--out-dir', str(out)]
    subprocess.run([*make, '--patients', '54', '--size', '64'], cwd=ROOT, check=True)
    return out


def options(root, **kwargs):
    values = {
        f'{part}_dataloader.{key}': value
        for part in PARTS
        for key, value in {'dataset.data_root': root, 'batch_size': 8, 'num_workers': 0}.items()
    }
    values |= {'train_dataloader.dataset.indices': 16, 'train_cfg.max_epochs': 1}
    return ['--cfg-options', *(f'{k}={v}' for k, v in {**values, **kwargs}.items())]


def test_phantom_prepare_train_test_evaluate(root, run, tmp_path):
    python = sys.executable
    output = run(python, 'tools/prepare.py', 'chexpert', '--data-root', root, '--size', 72).stdout
    assert ' images of 72 pixels' in output

    # U-Ignore: unknown targets all the way through a loss that would not mask them by itself
    config = tmp_path / 'u_ignore.py'
    config.write_text(
        f"_base_ = '{ROOT / CONFIG}'\n"
        "_base_.model.head.loss = dict(type='mlrfnet_mm.MaskedLoss', loss=dict(\n"
        "    type='mmpretrain.CrossEntropyLoss', use_sigmoid=True))\n"
    )
    policy = {f'{part}_dataloader.dataset.policy': 'U-Ignore' for part in PARTS}
    train = ['tools/train.py', config, '--work-dir', tmp_path / 'w']
    output = run(python, *train, *options(root, **policy)).stdout
    assert f'Images from the prepared store {root / "prepared_72"}' in output
    assert 'policy U-Ignore' in output
    (log,) = (tmp_path / 'w').glob('*/vis_data/scalars.json')
    records = list(map(json.loads, log.read_text().splitlines()))
    assert all(np.isfinite(r[k]) for r in records for k in ('loss', 'val/loss') if k in r)
    assert any('val/loss' in r for r in records)

    # and a loss that does not mask stops at once
    bare = tmp_path / 'bare.py'
    loss = "_base_.model.head.loss = dict(type='mmpretrain.FocalLoss')"
    bare.write_text(f"_base_ = '{ROOT / CONFIG}'\n{loss}\n")
    train = ['tools/train.py', bare, '--work-dir', tmp_path / 'bare']
    process = run(python, *train, *options(root, **policy), check=False)
    assert process.returncode == 2
    assert 'nan at iteration 1. If labels are unknown (policy U-Ignore), wrap' in process.stderr

    # the studies of the test choose no epoch unless the protocol says so
    one = {'val_dataloader.dataset.protocol': 'select-on-valid'}
    process = run(python, 'tools/train.py', CONFIG, *options(root, **one), check=False)
    assert "mlrfnet train: protocol is 'held-out' in train_dataloader" in process.stderr
    one = {'val_dataloader.dataset.split': 'valid'}
    process = run(python, 'tools/train.py', CONFIG, *options(root, **one), check=False)
    assert "split is 'valid', as for the validation" in process.stderr

    out = tmp_path / 'p.npz'
    test = ['tools/test.py', config, tmp_path / 'w', '--work-dir', tmp_path, '--out', out]
    output = run(python, *test, *options(root, **policy)).stdout
    saved = Predictions.load(out)
    assert saved.stamp == 'generated phantom held-out/valid'
    study = saved.per_study()
    title = f'{saved.stamp}: AUC; {len(study.images)} studies, {len(saved.images)} images'
    assert title in output and 'study, maximum   study, mean       image   frontal image' in output
    aucs = roc_auc(study.scores, study.labels)
    for name, auc in zip(saved.classes, aucs, strict=True):
        row = next(line for line in output.splitlines() if line.startswith(f'  {name}  ')
                   or line.startswith(f'  {name} *'))  # fmt: skip
        assert row.split()[-4] == ('undefined' if np.isnan(auc) else f'{auc:.4f}')
    mean = np.nanmean(aucs[saved.in_mean])
    assert saved.in_mean.sum() == 5 and f'auc/mean: {mean:.4f}' in output

    output = run(python, 'tools/evaluate.py', out, '--replicates', '100').stdout
    assert 'mean of the 5 scored' in output and f'  {mean:.3f} (' in output


def test_the_paper_s_habit_is_stamped_and_five_classes_validate(root, tmp_path, monkeypatch):
    said = []
    module = sys.modules['mlrfnet_mm.evaluation.metrics.metrics']
    monkeypatch.setattr(module, 'print_log', lambda text, **_: said.append(text))
    cfg = read_config(ROOT / CONFIG)
    cfg.work_dir = str(tmp_path)
    cfg.model.head.num_classes = 5
    for part in PARTS:
        values = dict(data_root=str(root), protocol='select-on-valid', classes='scored')
        cfg[f'{part}_dataloader'].dataset.update(values)
        cfg[f'{part}_dataloader'].num_workers = 0
    result = build_runner(cfg).val()
    assert {key for key in result if key.startswith('auc/')} == {
        f'auc/{key}' for key in ('mean', 'study_mean/mean', 'image/mean', 'frontal/mean', *SCORED)
    }
    assert np.isfinite(result['val/loss'])
    (table,) = said
    assert table.startswith('\ngenerated phantom select-on-valid/val: AUC;')
    assert 'mean of all 5' in table and '*' not in table and 'Pneumonia' not in table
