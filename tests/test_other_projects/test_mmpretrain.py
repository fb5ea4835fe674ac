"""A plain mmpretrain project borrows one part at a time; mmengine's Runner trains two steps."""

import shutil
from pathlib import Path

import mmpretrain
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from other_projects import write_files, write_multi_label

BORROWED = {
    'with_neck': {'ECANeck', 'ECA'},
    'with_head': {'MRFCHead', 'BiasedFocalLoss'},
    'with_loss': {'BiasedFocalLoss'},
    'with_data_set': {'ChestXray14'},
    'with_transforms': {'LoadXray', 'XrayGeometry', 'XrayContrast', 'XrayDataPreprocessor'},
    'with_metric': {'MultiLabelAUC'},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    theirs = Path(mmpretrain.__file__).parent / '.mim/configs/_base_'
    (tmp_path / 'configs/_base_').mkdir()
    shutil.copy2(theirs / 'default_runtime.py', tmp_path / 'configs/_base_')
    write_multi_label(tmp_path / 'data/mine')
    return tmp_path


def train(name):
    """Two steps and a validation; returns the runner."""
    cfg = Config.fromfile(f'configs/{name}.py')
    cfg.work_dir = f'work_dirs/{name}'
    cfg.experiment_name = f'mmpretrain_{name}'  # mmengine's logs are global by this name
    for part in ('train', 'val'):
        cfg[f'{part}_dataloader'].dataset.indices = 16
    assert cfg.default_scope == 'mmpretrain'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert type(runner) is Runner and runner.iter == 2
    return runner


@pytest.mark.parametrize('name', BORROWED)
def test_one_part_is_borrowed(name, project, phantom):
    (project / 'data/phantom').symlink_to(phantom)
    runner = train(name)
    model, metrics = runner.model, runner.val_loop.evaluator.metrics
    dataset = runner.train_dataloader.dataset
    built = {type(x).__name__: type(x).__module__ for x in (
        *model.modules(), *metrics, dataset, *dataset.pipeline.transforms
    )}  # fmt: skip
    ours = {key for key, module in built.items() if module.startswith('mlrfnet_mm.')}
    assert ours == BORROWED[name]
    loss = runner.message_hub.get_scalar('train/loss').current()
    assert np.isfinite(loss) and loss > 0


def test_nothing_is_borrowed_in_the_project_itself(project):
    runner = train('resnet18')
    modules = {type(x).__module__.split('.')[0] for x in runner.model.modules()}
    assert 'mlrfnet_mm' not in modules


def test_the_metric_on_labels_in_mmpretrain_s_own_form(project):
    """Numbers of classes (``gt_label``), not a vector (``gt_score``): AUC as scikit-learn's."""
    from sklearn.metrics import roc_auc_score

    from mlrfnet_mm.evaluation import Predictions

    cfg = Config.fromfile('configs/with_metric.py')
    cfg.val_evaluator[1].out = 'p.npz'
    cfg.merge_from_dict(dict(work_dir='w', experiment_name='mmpretrain_metric'))
    numbers = Runner.from_cfg(cfg).val()
    saved = Predictions.load('p.npz')
    labels = np.zeros((8, 3))
    for row, classes in enumerate([[0, 2], [1], [2], [0], [0, 2], [2], [0], [1]]):
        labels[row, classes] = 1
    assert np.array_equal(saved.labels, labels)
    for k, name in enumerate(('effusion', 'mass', 'nodule')):
        assert numbers[f'auc/{name}'] == pytest.approx(
            roc_auc_score(labels[:, k], saved.scores[:, k])
        )
