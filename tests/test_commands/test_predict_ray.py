"""``mlrfnet predict --ray`` on a local cluster, and one of its workers killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import small_checkpoint
from conftest import ROOT

pytestmark = pytest.mark.slow

pytest.importorskip('ray')
FILES, BATCH = 60, 2  # 8 shards


def descendants(pid):
    """Process → command line of a process's children, their children, and so on."""
    found = {}
    for path in Path(f'/proc/{pid}/task').glob('*/children'):
        for child in path.read_text().split():
            try:
                found[int(child)] = Path(f'/proc/{child}/cmdline').read_text()
            except FileNotFoundError:
                continue
            found |= descendants(child)
    return found


def predictors(pid):
    return [p for p, command in descendants(pid).items() if command.startswith('ray::Predictor')]


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='needs /proc')
def test_a_worker_is_killed_and_every_file_is_there_once(phantom, run, tmp_path):
    checkpoint = small_checkpoint(tmp_path, phantom)
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(FILES):
        image = rng.integers(0, 255, (64, 64)).astype(np.uint8)
        cv2.imwrite(str(folder / f'{i:03d}.png'), image)
    (folder / '030.png').write_bytes(b'no image')
    command = [sys.executable, '-m', 'mlrfnet_mm', 'predict', checkpoint, 'images']
    command += ['--batch-size', BATCH, '--scores']
    env = dict(PYTHONPATH=str(ROOT))
    run(*command, '--out-dir', 'one', check=False, cwd=tmp_path, env=env)
    script = 'import ray, sys; ray.init(num_cpus=2); from mlrfnet_mm.commands import main; main()'
    words = [sys.executable, '-c', script, *map(str, command[3:]), '--out-dir', 'ray', '--ray']
    env = {**os.environ, **env}
    process = subprocess.Popen(
        words, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        done = wait_for(lambda: list(tmp_path.glob('ray/.predictions.shards/*/*-of-8')), process)
        first = predictors(process.pid)
        assert len(done) < 7 and len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        out, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 1 and '030.png' in errors  # not an image
    assert f'predicted   {FILES - 1} of {FILES} files' in out
    one, two = (
        json.loads((tmp_path / name / 'predictions.json').read_text()) for name in ('one', 'ray')
    )
    assert one['files'] == two['files'] and one['stamp'] == two['stamp']
    assert [r['number'] for r in two['predictions']] == list(range(1, FILES + 1))
    for mine, theirs in zip(one['predictions'], two['predictions'], strict=True):
        scores = [
            [row.pop('score') for row in r.pop('findings', {}).values()] for r in (mine, theirs)
        ]
        np.testing.assert_allclose(*scores, rtol=1e-5)  # of another number of threads
        assert mine == theirs
    assert len(list((tmp_path / 'ray/scores').iterdir())) == FILES - 1


def wait_for(condition, process):
    """The value of a condition, once it is true."""
    for _ in range(3000):
        if value := condition():
            return value
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError('waited for five minutes')
