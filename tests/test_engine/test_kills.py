"""A training killed at any moment and resumed ends as the whole one does, with nothing left over.

The moments are the changes to the folder: before and after each file that is put in place, removed
or written. A training of three epochs runs in a forked child, which leaves at the n-th of them.
"""

import json
import os
import random
import traceback
from pathlib import Path

import pytest
import torch
from builders import EARLY, small_runner

from mlrfnet_mm.engine.checkpoint import latest_checkpoint
from mlrfnet_mm.reports.output.curves import last_course, read_scalars

pytestmark = pytest.mark.slow

EPOCHS = 3
LR = {'optim_wrapper.optimizer.lr': 0.045}  # the best epoch changes on the way

EMA = dict(type='mlrfnet_mm.ExactEMAHook', momentum=0.5)


class Moments:
    """Counts the changes of files, and ends the process at one of them."""

    def __init__(self, last):
        self.last, self.count = last, 0
        for name in ('replace', 'remove', 'unlink'):
            setattr(os, name, self.around(getattr(os, name)))
        torch.save = self.around(torch.save)

    def tick(self):
        if self.count == self.last:
            os._exit(9)
        self.count += 1

    def around(self, function):
        def counted(*args, **kwargs):
            self.tick()
            result = function(*args, **kwargs)
            self.tick()
            return result

        return counted


def train(folder, kill_at=None, resume=False, hooks=()):
    """Train in a child; returns the number of moments that it has passed."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            torch.manual_seed(0)
            runner = small_runner(
                folder,
                [dict(EARLY, patience=2), *hooks],
                resume=resume,
                **LR,
                **{'train_cfg.max_epochs': EPOCHS, 'default_hooks.checkpoint.max_keep_ckpts': 2},
            )
            moments = Moments(kill_at)
            runner.train()
            os.write(write, str(moments.count).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(write)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    expected = 0 if kill_at is None else 9
    assert os.waitstatus_to_exitcode(status) in {0, expected}, folder
    return int(text or -1)


def weights(checkpoint):
    """Of the model and, with an average of them, of the other copy and its count."""
    names = [name for name in ('state_dict', 'ema_state_dict') if name in checkpoint]
    return {(n, key): v.tolist() for n in names for key, v in checkpoint[n].items()}


def outcome(folder):
    """All that a run leaves: names, weights, counts, course."""
    checkpoint = torch.load(latest_checkpoint(folder), weights_only=True)
    info = checkpoint['message_hub']['runtime_info']
    (best,) = Path(folder).glob('best_*')
    train, val = last_course(read_scalars(folder))
    return dict(
        names=sorted(p.name for p in Path(folder).iterdir() if p.is_file()),
        weights=weights(checkpoint),
        best=weights(torch.load(best, weights_only=True)),
        best_name=(best.name, Path(info['best_ckpt']).name, Path(info['last_ckpt']).name),
        best_score=info['best_score'],
        early=info['early_stopping'],
        losses=[record['loss'] for record in train],
        validations=[(r['step'], r['val/loss'], r['auc/mean']) for r in val],
    )


def train_whole(folder, hooks=()):
    """Number of moments and outcome of a run that is not killed."""
    moments = train(folder, hooks=hooks)
    result = outcome(folder)
    assert [step for step, *_ in result['validations']] == [1, 2, 3]
    best = [score for _, score, _ in result['validations']]
    assert 0 < best.index(min(best)) < EPOCHS - 1  # a best that was replaced, and one that is kept
    assert not list(folder.glob('*.part')) and not list(folder.glob('.*'))
    return moments, result


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    return train_whole(tmp_path_factory.mktemp('whole'))


@pytest.fixture(scope='module')
def whole_average(tmp_path_factory):
    return train_whole(tmp_path_factory.mktemp('average'), [EMA])


def killed_and_resumed(folder, moment, hooks=()):
    train(folder, kill_at=moment, hooks=hooks)
    train(folder, resume=True, hooks=hooks)
    return outcome(folder)


@pytest.mark.parametrize('part', range(4))
def test_a_few_moments(tmp_path, whole, part):
    """In the quick suite: one moment of each quarter, another one every day of a new commit."""
    moments, expected = whole
    moment = random.Random(len(str(expected)) + part).randrange(moments)
    assert killed_and_resumed(tmp_path, moment) == expected, moment


@pytest.mark.slow
def test_every_moment(tmp_path, whole):
    moments, expected = whole
    assert moments > 30
    for moment in range(moments):
        assert killed_and_resumed(tmp_path / str(moment), moment) == expected, moment


@pytest.mark.parametrize('moment', [0.1, 0.45, 0.55, 0.65, 0.9])  # of all moments
def test_moments_with_an_average_of_the_weights(tmp_path, whole_average, moment):
    moments, expected = whole_average
    assert ('ema_state_dict', 'steps') in expected['weights']
    assert killed_and_resumed(tmp_path, int(moment * moments), [EMA]) == expected


def test_a_line_that_a_kill_has_cut_is_not_read(tmp_path):
    log = tmp_path / 'a/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps(dict(loss=1.0, iter=1)) + '\n' + '{"loss": 2.0, "it')
    assert read_scalars(tmp_path) == [dict(loss=1.0, iter=1)]


def test_an_empty_name_of_the_last_checkpoint(tmp_path):
    (tmp_path / 'last_checkpoint').touch()
    assert latest_checkpoint(tmp_path) is None
    for name in ('epoch_9.pth', 'epoch_10.pth', 'best_val_loss_epoch_11.pth', 'epoch_12.pth.part'):
        (tmp_path / name).touch()
    assert latest_checkpoint(tmp_path) == str(tmp_path / 'epoch_10.pth')
