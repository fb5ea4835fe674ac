"""tools/prepare.py as a user calls it."""

import shutil
import sys

import numpy as np

from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.datasets.store.store import IMAGES


def test_prepare_verify_train_on_it(phantom, run, tmp_path):
    root = shutil.copytree(phantom, tmp_path / 'data')
    bad = sorted(root.glob('images/*.png'))[0]
    content = bad.read_bytes()
    bad.write_bytes(content[:200])
    command = [sys.executable, 'tools/prepare.py', 'chestxray14', '--size', 72]
    env = dict(XRAY14_ROOT=str(root))

    process = run(*command, env=env, check=False)
    assert process.returncode == 1
    assert f'unreadable  {bad}: the PNG is truncated' in process.stdout
    assert '1 of 233 files could not be read' in process.stderr

    bad.write_bytes(content)
    output = run(*command, '--workers', 1, env=env).stdout
    folder = root / 'prepared_72'
    assert f'{folder}: 233 images of 72 pixels, 1 of them created now' in output
    assert '0 of them created now' in run(*command, env=env).stdout
    assert 'every image and every source file is as' in run(*command, '--verify', env=env).stdout
    pipeline = [
        dict(type='mlrfnet_mm.LoadXray'),
        dict(type='mlrfnet_mm.XrayGeometry', scale=72, crop_size=64),
    ]
    assert ChestXray14(str(root), pipeline=pipeline).store.folder == folder

    pixels = np.load(folder / IMAGES, mmap_mode='r+')
    pixels[3, 0, 0] ^= 1
    pixels.flush()
    process = run(*command, '--verify', env=env, check=False)
    assert process.returncode == 1
    assert 'is not what was prepared' in process.stdout and '1 faults' in process.stderr


def test_no_data(run, tmp_path):
    command = [sys.executable, 'tools/prepare.py', 'chestxray14', '--data-root', tmp_path / 'none']
    process = run(*command, check=False)
    assert process.returncode == 2
    assert str(tmp_path / 'none/images') in process.stderr and 'Traceback' not in process.stderr
