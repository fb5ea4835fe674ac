"""The tools from the command line, as a user calls them: train, interrupt, resume, test."""

import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import ROOT
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.engine.machine import bfloat16_units
from mlrfnet_mm.evaluation import Predictions, roc_auc

CONFIG = 'configs/mlrfnet_phantom.py'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


def options(phantom, **kwargs):
    """Phantom config on the test's data, sized down to seconds: 8 images to train on."""
    values = {
        f'{part}_dataloader.{key}': value
        for part in ('train', 'val', 'test')
        for key, value in {
            'dataset.data_root': phantom,
            'dataset.indices': 8,
            'batch_size': 4,
            'num_workers': 0,
        }.items()
    }
    values['test_dataloader.dataset.indices'] = 13  # does not divide by 2 processes x 4
    values['default_hooks.logger.interval'] = 1
    return ['--cfg-options', *(f'{k}={v}' for k, v in {**values, **kwargs}.items())]


def train(phantom, work_dir, *args, **kwargs):
    head = [sys.executable, 'tools/train.py', CONFIG, '--work-dir', work_dir]
    return [str(a) for a in [*head, *args, *options(phantom, **kwargs)]]


@pytest.fixture(scope='module')
def work_dir(phantom, tmp_path_factory):
    """A run killed in its second epoch, then resumed to the end of it."""
    folder = tmp_path_factory.mktemp('run') / 'w'
    command = train(phantom, folder, **{'train_cfg.max_epochs': 500})
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    latest = folder / 'last_checkpoint'
    while not latest.exists() or not latest.read_text():
        assert process.poll() is None, 'the training ended by itself'
        assert time.monotonic() < deadline, 'no checkpoint within 4 minutes'
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return folder


def test_train_interrupt_resume_test(work_dir, phantom, run, tmp_path):
    done = torch.load((work_dir / 'last_checkpoint').read_text(), weights_only=True)['meta'][
        'epoch'
    ]
    last = done + 1
    output = run(*train(phantom, work_dir, '--resume', **{'train_cfg.max_epochs': last})).stdout
    assert f'resumed epoch: {done}' in output
    assert f'Epoch(train) [{last}]' in output
    assert f'Epoch(train) [{done}]' not in output
    where = dict(line.split(maxsplit=1) for line in output.splitlines()[-3:])
    assert set(where) == {'checkpoint', 'log', 'curves'}
    for path in where.values():
        assert (ROOT / path).is_file(), path

    out = tmp_path / 'p.npz'
    test = [sys.executable, 'tools/test.py', CONFIG, work_dir, '--work-dir', tmp_path, '--out', out]
    output = run(*test, *options(phantom)).stdout
    saved = Predictions.load(out)
    assert saved.scores.shape == (13, 14)
    assert saved.stamp == 'part of generated phantom official/test'
    listed = (phantom / 'test_list.txt').read_text().split()[:13]
    assert saved.images.tolist() == listed
    aucs = roc_auc(saved.scores, saved.labels)
    assert 'part of generated phantom official/test: AUC, 13 images' in output
    for name, auc, y, s in zip(saved.classes, aucs, saved.labels.T, saved.scores.T, strict=True):
        row = next(line.split() for line in output.splitlines() if line.split()[:1] == [name])
        if np.isnan(auc):
            assert row[-1] == 'undefined'
        else:
            assert row[-1] == f'{roc_auc_score(y, s):.4f}'


def test_two_processes_give_the_predictions_of_one(work_dir, phantom, run, tmp_path):
    checkpoint = (work_dir / 'last_checkpoint').read_text()
    one, two = tmp_path / 'one.npz', tmp_path / 'two.npz'
    run(
        *[sys.executable, 'tools/test.py', CONFIG, checkpoint, '--work-dir', tmp_path],
        *['--out', one, *options(phantom)],
    )
    bin_dir = sys.executable.rsplit('/', 1)[0]
    process = run(
        *['tools/dist_test.sh', CONFIG, checkpoint, 2, '--work-dir', tmp_path],
        *['--out', two, *options(phantom)],
        env=dict(PATH=f'{bin_dir}:/usr/bin:/bin', PORT=free_port()),
    )
    assert 'GPU number: 2' in process.stdout
    a, b = Predictions.load(one), Predictions.load(two)
    assert a.images.tolist() == b.images.tolist()
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)  # other batches, other rounding
    np.testing.assert_allclose(roc_auc(a.scores, a.labels), roc_auc(b.scores, b.labels))


def test_ten_crops_and_folded_batch_norm(work_dir, phantom, run, tmp_path):
    def scores(*flags):
        out = tmp_path / 'p.npz'
        command = [sys.executable, 'tools/test.py', CONFIG, work_dir, '--work-dir', tmp_path]
        run(*command, '--out', out, *flags, *options(phantom))
        return Predictions.load(out).scores

    plain = scores()
    np.testing.assert_allclose(scores('--fuse-conv-bn'), plain, atol=1e-5)
    ten = scores('--ten-crop')  # against averaging by hand: test_data_preprocessor.py
    assert ten.shape == plain.shape
    assert 0 < np.abs(ten - plain).max() < 0.3


def test_ten_crops_need_our_geometry(work_dir, phantom, run, tmp_path):
    process = run(
        *[sys.executable, 'tools/test.py', CONFIG, work_dir, '--work-dir', tmp_path, '--ten-crop'],
        *options(phantom, **{'test_dataloader.dataset.pipeline.1.type': 'mmpretrain.Resize'}),
        check=False,
    )
    assert process.returncode == 2
    assert '--ten-crop needs' in process.stderr and 'mmpretrain.Resize' in process.stderr


def test_two_process_training_validates_as_one_process_does(phantom, run, tmp_path):
    """Two processes on 7 images at 4 a batch, against one process on their checkpoint."""
    bin_dir = sys.executable.rsplit('/', 1)[0]
    size = {'val_dataloader.dataset.indices': 7, 'train_cfg.max_epochs': 1}
    run(
        *['tools/dist_train.sh', CONFIG, 2, '--work-dir', tmp_path / 'two'],
        *options(phantom, **size),
        env=dict(PATH=f'{bin_dir}:/usr/bin:/bin', PORT=free_port()),
    )
    (log,) = (tmp_path / 'two').glob('*/vis_data/scalars.json')
    two = next(r for r in map(json.loads, log.read_text().splitlines()) if 'auc/mean' in r)
    script = (
        'import json, sys\n'
        'from mlrfnet_mm.engine.launch import build_runner, read_config\n'
        'cfg = read_config(sys.argv[1])\n'
        'cfg.merge_from_dict(dict(launcher="none", load_from=sys.argv[2], work_dir=sys.argv[3]))\n'
        'print("RESULT" + json.dumps(build_runner(cfg).val()))\n'
    )
    two_dir = tmp_path / 'two'
    arguments = [two_dir / 'mlrfnet_phantom.py', two_dir / 'epoch_1.pth', tmp_path / 'one']
    output = run(sys.executable, '-c', script, *arguments).stdout
    one = json.loads(output.split('RESULT')[1].splitlines()[0])
    assert one['val/loss'] == pytest.approx(two['val/loss'], rel=1e-5)
    for key, value in one.items():
        assert value == pytest.approx(two[key], nan_ok=True, rel=1e-5), key


def test_no_data_says_what_was_looked_for(run, tmp_path):
    process = run(
        *[sys.executable, 'tools/train.py', 'configs/mlrfnet_xray14.py', '--work-dir', tmp_path],
        env=dict(XRAY14_ROOT=str(tmp_path / 'nowhere')),
        check=False,
    )
    assert process.returncode == 2
    message = process.stderr.split('FileNotFoundError')[-1]
    for part in (str(tmp_path / 'nowhere'), 'XRAY14_ROOT', 'nihcc.app.box.com', 'make train'):
        assert part in message, message


def test_training_never_goes_on_without_the_weights_it_asks_for(phantom, run, tmp_path):
    process = run(
        *[sys.executable, 'tools/train.py', 'configs/mlrfnet_xray14.py', '--work-dir', tmp_path],
        *options(phantom),
        env=dict(MLRFNET_WEIGHTS=str(tmp_path), HF_HUB_OFFLINE='1'),
        check=False,
    )
    assert process.returncode == 2
    assert str(tmp_path / 'res2net50_26w_4s.in1k.safetensors') in process.stderr
    assert 'Epoch(train)' not in process.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
@pytest.mark.skipif(not bfloat16_units(), reason='this CPU has no units for bfloat16')
def test_amp_on_a_cpu_is_bfloat16(phantom, run, tmp_path):
    process = run(*train(phantom, tmp_path, '--amp'))
    units = ', '.join(bfloat16_units())
    assert f'Mixed precision: bfloat16 on the CPU ({units})' in process.stdout
    checkpoint = torch.load(next(tmp_path.rglob('epoch_*.pth')), weights_only=True)
    assert {x.dtype for x in checkpoint['state_dict'].values() if x.is_floating_point()} == {
        torch.float32
    }


def test_unknown_option_is_refused(phantom, run, tmp_path):
    process = run(*train(phantom, tmp_path, **{'model.head.lamda': 0.1}), check=False)
    assert process.returncode == 2
    assert 'lamda' in process.stderr.splitlines()[-1]
