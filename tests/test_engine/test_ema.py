"""The average of the weights: what is averaged, validated, saved, tested and gone on with."""

import sys
from pathlib import Path

import pytest
import torch
from builders import EARLY, small_runner
from conftest import ROOT
from mmengine.hooks import Hook

from mlrfnet_mm.inference.loaded_model import load_model

pytestmark = pytest.mark.slow

MOMENTUM = 0.3
EMA = dict(type='mlrfnet_mm.ExactEMAHook', momentum=MOMENTUM)
THEIRS = dict(type='EMAHook', momentum=MOMENTUM)
BUFFERS = ('running_mean', 'running_var')


class Record(Hook):
    """Keeps the trained weights of each iteration, and those that each validation has seen."""

    priority = 'LOWEST'

    def __init__(self):
        self.trained, self.validated = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained.append(copied(runner.model.state_dict()))

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 0:
            self.validated.append(copied(runner.model.state_dict()))


def copied(state):
    return {key: value.clone() for key, value in state.items()}


def load(path):
    return torch.load(path, weights_only=True)


def train(folder, *hooks, **options):
    runner = small_runner(folder, [dict(EARLY, patience=9), *hooks], **options)
    record = Record()
    runner.register_hook(record)
    runner.train()
    return runner, record


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp('ema'), EMA, **{'optim_wrapper.optimizer.lr': 1e-2})


def test_the_average_is_the_formula_s(trained):
    """a ← a + m (w - a) from the first step's weights on, BatchNorm's statistics as well."""
    runner, record = trained
    average = {k: v.double() for k, v in record.trained[0].items() if v.is_floating_point()}
    for step in record.trained[1:]:
        average = {k: a + MOMENTUM * (step[k].double() - a) for k, a in average.items()}
    saved = load(f'{runner.work_dir}/epoch_2.pth')
    assert any(key.endswith('running_var') for key in average)
    for key, value in average.items():
        torch.testing.assert_close(saved['state_dict'][key].double(), value, rtol=1e-5, atol=1e-6)
    trained_on = {k.removeprefix('module.'): v for k, v in saved['ema_state_dict'].items()}
    assert trained_on.pop('steps') == len(record.trained) == 12
    for key, value in record.trained[-1].items():
        assert torch.equal(trained_on[key], value), key


def test_every_file_holds_what_was_validated(trained):
    runner, record = trained
    best = Path(runner.message_hub.get_info('best_ckpt'))
    epoch = int(best.stem.rpartition('_')[2])
    for path, seen in [(best, epoch), (f'{runner.work_dir}/epoch_2.pth', 2)]:
        state = load(path)['state_dict']
        assert any(not torch.equal(v, record.trained[6 * seen - 1][k]) for k, v in state.items())
        for key, value in record.validated[seen - 1].items():
            assert torch.equal(state[key], value), (path, key)


def test_the_trained_weights_are_those_without_an_average(trained, tmp_path):
    """Averaging looks on: it changes neither the training nor its draws."""
    _, record = trained
    _, plain = train(tmp_path, **{'optim_wrapper.optimizer.lr': 1e-2})
    for step, expected in zip(record.trained, plain.trained, strict=True):
        assert all(torch.equal(value, expected[key]) for key, value in step.items())


@pytest.mark.parametrize('hooks', [[], [EMA]], ids=['without', 'with'])
def test_a_test_takes_the_average_with_and_without_the_hook(trained, tmp_path, hooks):
    runner, record = trained
    path = f'{runner.work_dir}/epoch_2.pth'
    tested = small_runner(tmp_path, hooks, load_from=path)
    tested.test()
    for key, value in record.validated[-1].items():
        assert torch.equal(tested.model.state_dict()[key], value), key
    score = small_runner(tmp_path, hooks, load_from=path).val()['val/loss']
    assert score == runner.message_hub.get_scalar('val/val/loss').current()


def test_a_prediction_takes_the_average(trained):
    runner, record = trained
    model = load_model(f'{runner.work_dir}/epoch_2.pth').model
    assert all(torch.equal(model.state_dict()[k], v) for k, v in record.validated[-1].items())


def test_a_test_after_the_training_is_of_the_average(tmp_path):
    options = {'train_cfg.max_epochs': 1, 'optim_wrapper.optimizer.lr': 1e-2}
    runner, record = train(tmp_path, EMA, **options)
    seen = Record()
    seen.after_test_iter = seen.after_val_iter
    runner.register_hook(seen)
    runner.test()
    assert all(torch.equal(seen.validated[0][k], v) for k, v in record.validated[0].items())
    assert all(torch.equal(runner.model.state_dict()[k], v) for k, v in record.trained[-1].items())


def test_batch_norm_is_folded_into_the_average(trained, tmp_path):
    path = f'{trained[0].work_dir}/epoch_2.pth'
    fold = dict(type='mlrfnet_mm.FuseBatchNormHook')
    expected = small_runner(tmp_path, load_from=path).test()['auc/mean']
    found = small_runner(tmp_path, [EMA, fold], load_from=path).test()['auc/mean']
    assert found == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match='cannot be folded under EMAHook.*ExactEMAHook'):
        small_runner(tmp_path, [THEIRS, fold], load_from=path).test()


def test_a_resume_without_the_hook_is_refused(trained, tmp_path):
    path = f'{trained[0].work_dir}/epoch_2.pth'
    options = {'load_from': path, 'train_cfg.max_epochs': 3}
    with pytest.raises(ValueError, match='averaged its weights .* has no such hook.*load_from'):
        small_runner(tmp_path, resume=True, **options).train()
    small_runner(tmp_path, **options).train()  # a new training from the average


def test_an_average_begins_where_a_training_without_one_is_resumed(tmp_path):
    train(tmp_path, **{'train_cfg.max_epochs': 1})
    runner, record = train(tmp_path, EMA, resume=True)
    saved = load(f'{runner.work_dir}/epoch_2.pth')
    assert saved['ema_state_dict']['steps'] == len(record.trained) == 6
    key = 'head.classifiers.0.weight'
    average = record.trained[0][key]
    for step in record.trained[1:]:
        average = average + MOMENTUM * (step[key] - average)
    torch.testing.assert_close(saved['state_dict'][key], average)


def test_an_average_that_does_not_fit_is_refused(trained, tmp_path):
    checkpoint = load(f'{trained[0].work_dir}/epoch_2.pth')
    key = 'module.head.classifiers.0.weight'
    checkpoint['ema_state_dict'][f'{key}s'] = checkpoint['ema_state_dict'].pop(key)
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    with pytest.raises((RuntimeError, KeyError), match=r'head\.classifiers'):
        train(tmp_path, EMA, resume=True, **{'train_cfg.max_epochs': 3})


@pytest.mark.parametrize('part', ['state_dict', 'ema_state_dict'])
def test_an_average_that_is_not_finite_is_refused(trained, tmp_path, part):
    checkpoint = load(f'{trained[0].work_dir}/epoch_2.pth')
    name = 'head.classifiers.0.weight'
    checkpoint[part][name if part == 'state_dict' else f'module.{name}'][0, 0] = torch.nan
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    with pytest.raises(RuntimeError, match=f'{name} is not finite'):
        train(tmp_path, EMA, resume=True, **{'train_cfg.max_epochs': 3})


def test_trained_weights_that_are_not_finite_are_not_saved(tmp_path):
    """An average that is taken now and then may be finite yet."""
    runner, _ = train(tmp_path, dict(EMA, interval=5), **{'train_cfg.max_epochs': 1})
    runner.model.get_parameter('head.classifiers.0.weight').data[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match='head.classifiers.0.weight of the model is not'):
        runner.save_checkpoint(str(tmp_path), 'epoch_2.pth')


def test_a_priority_behind_the_checkpoint_s_is_refused(tmp_path):
    with pytest.raises(ValueError, match='priority LOWEST, behind PlainCheckpointHook'):
        train(tmp_path, dict(EMA, priority='LOWEST'))
    assert not list(tmp_path.glob('*.pth'))


def test_an_unknown_option_is_refused(tmp_path):
    with pytest.raises(TypeError, match='momentun'):
        train(tmp_path, dict(type='mlrfnet_mm.ExactEMAHook', momentun=0.1))


def test_the_momentum_that_falls_starts_from_the_weights(tmp_path):
    """MomentumAnnealingEMA: the larger of m and γ / (γ + steps), here always the second."""
    hook = dict(EMA, ema_type='MomentumAnnealingEMA', momentum=1e-4, gamma=2)
    runner, record = train(tmp_path, hook)
    key = 'head.classifiers.0.weight'
    average = record.trained[0][key]
    for steps, weights in enumerate(record.trained[1:], 1):
        average = average + 2 / (2 + steps) * (weights[key] - average)
    torch.testing.assert_close(load(f'{runner.work_dir}/epoch_2.pth')['state_dict'][key], average)


SCRIPT = """
import os, sys
sys.path[:0] = [sys.argv[2], sys.argv[2] + '/test_engine']
import torch
from builders import small_runner
from test_ema import EMA, Record

runner = small_runner(
    sys.argv[1], [EMA], launcher='pytorch', **{'train_cfg.max_epochs': 1,
    'train_dataloader.sampler.shuffle': True, 'optim_wrapper.optimizer.lr': 1e-2})
record = Record()
runner.register_hook(record)
runner.train()
torch.save(record.validated[0], sys.argv[1] + f'/seen_{os.environ["RANK"]}.pt')
"""


def test_two_processes_save_what_both_have_validated(tmp_path, run):
    """mmengine's EMAHook fails here: each has the statistics of its own batches."""
    (tmp_path / 'tool.py').write_text(SCRIPT)
    run(
        *[sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone'],
        *[tmp_path / 'tool.py', tmp_path, ROOT / 'tests'],
        env=dict(PYTHONPATH=str(ROOT)),
        timeout=100,
    )
    seen = [load(tmp_path / f'seen_{rank}.pt') for rank in (0, 1)]
    (best,) = tmp_path.glob('best_*.pth')
    saved = load(best)['state_dict']
    statistics = [key for key in saved if key.endswith(BUFFERS)]
    assert statistics
    for part in seen:
        assert all(torch.equal(part[f'module.{key}'], saved[key]) for key in statistics)
