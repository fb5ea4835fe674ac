"""The prepared store: the same pixels as without it, resumable, and never anything else."""

import errno
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import ROOT

from mlrfnet_mm.datasets import ChestXray14, xray_dataset
from mlrfnet_mm.datasets.store import preparation, store
from mlrfnet_mm.datasets.store.preparation import locked, prepare_store, verify_store
from mlrfnet_mm.datasets.store.sources import chestxray14_images
from mlrfnet_mm.datasets.store.store import (
    IMAGES,
    MANIFEST,
    PreparedStore,
    store_folder,
)
from mlrfnet_mm.xrays.geometry import fit
from mlrfnet_mm.xrays.gray import read_gray

SIZE = 40


def pipeline(scale=SIZE):
    return [
        dict(type='mlrfnet_mm.LoadXray'),
        dict(type='mlrfnet_mm.XrayGeometry', scale=scale, crop_size=32, crop='random', rotate=5),
        dict(type='mlrfnet_mm.XrayContrast'),
        dict(type='mmpretrain.PackInputs', meta_keys=('geometry', 'ori_shape')),
    ]


@pytest.fixture
def root(phantom, tmp_path):
    """A copy of the phantom, to be damaged."""
    return shutil.copytree(phantom, tmp_path / 'data')


def prepare(root, out=None, size=SIZE, workers=1, **kwargs):
    out = out or store_folder(root, size)
    return prepare_store(root, chestxray14_images(root), out, size, workers, **kwargs)


def dataset(root, scale=SIZE, **kwargs):
    data = ChestXray14(str(root), pipeline=pipeline(scale), **kwargs)
    data.set_draws(0, 0)
    return data


def stacked(data):
    return np.stack([data[i]['inputs'].numpy() for i in range(len(data))])


@pytest.mark.parametrize(('size', 'workers'), [(SIZE, 1), (64, 1), (80, 1), (SIZE, 2)])
def test_rows_are_the_fitted_images(root, size, workers):  # the phantom has 64 pixels
    result = prepare(root, size=size, workers=workers)
    store = PreparedStore(store_folder(root, size), size)
    names, _ = store.index()
    assert len(store) == result.images == result.made == len(list(root.glob('images/*.png')))
    for row, name in enumerate(names):
        expected = fit(read_gray(root / name), size)
        np.testing.assert_array_equal(store.image(row), expected)
    array = np.load(store.folder / IMAGES, mmap_mode='r')  # an ordinary .npy
    assert array.shape == (len(names), size, size)
    np.testing.assert_array_equal(array[3], store.image(3))


@pytest.mark.slow
def test_training_images_are_equal_bit_by_bit(root, monkeypatch):
    without = stacked(dataset(root))
    prepare(root)
    lines = []
    monkeypatch.setattr(xray_dataset, 'print_log', lambda line, logger: lines.append(line))
    data = dataset(root)
    assert lines[-1] == f'Images from the prepared store {root / f"prepared_{SIZE}"}'
    np.testing.assert_array_equal(stacked(data), without)
    shutil.rmtree(root / 'images')  # the store alone is enough
    np.testing.assert_array_equal(stacked(dataset(root)), without)
    with pytest.raises(FileNotFoundError):
        dataset(root, prepared=False)


def test_geometry_maps_from_the_file_not_from_the_store(root):
    wide = sorted(root.glob('images/*.png'))[0]
    cv2.imwrite(str(wide), np.zeros((50, 90), np.uint8))
    without = [sample['data_samples'] for sample in dataset(root)]
    prepare(root)
    for expected, sample in zip(without, dataset(root), strict=True):
        found = sample['data_samples']
        assert found.ori_shape == expected.ori_shape
        np.testing.assert_array_equal(found.geometry, expected.geometry)
    assert (50, 90) in {sample.ori_shape for sample in without}


def test_found_only_where_it_fits(root):
    prepare(root)
    assert dataset(root).store is not None
    assert dataset(root, scale=48).store is None  # it would look for prepared_48
    assert dataset(root, prepared=False).store is None
    assert ChestXray14(str(root), pipeline=pipeline()[1:]).store is None
    assert ChestXray14(str(root)).store is None


def test_a_store_elsewhere(root, tmp_path):
    prepare(root, tmp_path / 'fast disk')
    data = dataset(root, prepared=str(tmp_path / 'fast disk'))
    np.testing.assert_array_equal(stacked(data), stacked(dataset(root)))
    with pytest.raises(ValueError, match=r'holds images of 40 pixels.*needs scale=48'):
        dataset(root, scale=48, prepared=str(tmp_path / 'fast disk'))
    with pytest.raises(FileNotFoundError, match='no prepared store'):
        dataset(root, prepared=str(tmp_path / 'nowhere'))
    with pytest.raises(ValueError, match='needs a pipeline that begins with'):
        ChestXray14(str(root), prepared=str(tmp_path / 'fast disk'))
    with pytest.raises(ValueError, match='got True'):
        dataset(root, prepared=True)


def change(path):
    content = path.read_bytes()
    path.write_bytes(content + b'\0')


def touch(path):
    os.utime(path, (1, 1))


@pytest.mark.parametrize('damage', [change, touch])
def test_other_files_are_refused_and_redone(root, damage):
    prepare(root)
    image = sorted(root.glob('images/*.png'))[0]
    damage(image)
    with pytest.raises(ValueError, match=rf'{image.name} has changed since.*mlrfnet prepare again'):
        [dataset(root, split=split) for split in ('train', 'val', 'test')]
    reader = PreparedStore(store_folder(root, SIZE))
    before = reader.image(5)
    assert prepare(root).made == 1  # only what changed
    np.testing.assert_array_equal(reader.image(5), before)  # a running training goes on
    dataset(root)
    assert prepare(root).made == 0
    assert verify_store(root, store_folder(root, SIZE)) == []


def test_new_and_removed_files(root):
    prepare(root)
    first, second, *_ = sorted(root.glob('images/*.png'))
    shutil.copy(first, root / 'images/99999999_000.png')
    second.unlink()
    assert prepare(root).made == 1
    names, _ = PreparedStore(store_folder(root, SIZE)).index()
    assert sorted(names) == sorted(chestxray14_images(root))
    assert verify_store(root, store_folder(root, SIZE)) == []


def test_an_image_that_the_store_lacks(root):
    prepare_store(root, chestxray14_images(root)[:-5], store_folder(root, SIZE), SIZE, 1)
    with pytest.raises(ValueError, match=r'\.png is not in it'):
        [dataset(root, split=split) for split in ('train', 'val', 'test')]


def truncate(path):
    path.write_bytes(path.read_bytes()[:300])


def empty(path):
    path.write_bytes(b'')


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [(truncate, 'truncated'), (empty, 'empty'), (folder, 'Is a directory')],
)
def test_unreadable_files_are_named_and_the_rest_goes_on(root, damage, reason):
    bad = root / 'images' / (root / 'test_list.txt').read_text().split()[0]
    damage(bad)
    result = prepare(root)
    ((name, why),) = result.failed.items()
    assert name == f'images/{bad.name}' and reason in why
    dataset(root, split='train')
    if damage is not folder:
        with pytest.raises(ValueError, match=f'{bad.name} could not be read then: .*{reason}'):
            dataset(root, split='test')
    assert list(prepare(root).failed) == [name]  # tried again
    assert verify_store(root, store_folder(root, SIZE)) == []


def test_a_jpeg_named_png_is_read(root):
    from PIL import Image

    path = sorted(root.glob('images/*.png'))[0]
    Image.open(path).save(path, format='JPEG')
    assert prepare(root).failed == {}


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_folder_without_permission(root):
    (root / 'images').chmod(0)
    try:
        with pytest.raises(PermissionError, match='images'):
            prepare(root)
    finally:
        (root / 'images').chmod(0o755)


@pytest.mark.slow
def test_killed_at_ten_moments(root):
    """Each time by SIGKILL, in a process of its own; the last call finishes the store."""
    context = multiprocessing.get_context('fork')
    rng = random.Random(0)
    out = store_folder(root, SIZE)
    start = time.perf_counter()
    prepare(root, root / 'other')
    whole = time.perf_counter() - start
    for _ in range(10):
        process = context.Process(target=prepare, args=(root,))
        process.start()
        time.sleep(rng.uniform(0, whole / 2))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if (out / MANIFEST).exists():  # finished between two kills: begin again
            verify_store(root, out)
            shutil.rmtree(out)
    prepare(root)
    assert verify_store(root, out) == []
    assert (out / IMAGES).read_bytes() == (root / 'other' / IMAGES).read_bytes()


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(root):
    command = [sys.executable, ROOT / 'tools/prepare.py', 'chestxray14', '--data-root', root]
    process = subprocess.Popen([*map(str, command), '--size', '512', '--workers', '2'])
    workers = []
    while len(workers) < 2:  # the tracker of resources, and two workers
        assert process.poll() is None
        workers = [pid for pid in children(process.pid) if b'spawn_main' in command_line(pid)]
        time.sleep(0.05)
    process.kill()
    process.wait()
    end = time.monotonic() + 30
    while any(b'spawn_main' in command_line(pid) for pid in workers):
        assert time.monotonic() < end, 'workers outlive their parent'
        time.sleep(0.1)


def children(pid):
    return [int(word) for word in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


def command_line(pid):
    try:
        return Path(f'/proc/{pid}/cmdline').read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b''


class Stop(Exception):
    pass


def stop_after(rows):
    count = 0

    def progress(done, failed):
        nonlocal count
        count += done
        if count >= rows:
            raise Stop

    return progress


def interrupted(root, rows=40):
    with pytest.raises(Stop):
        prepare(root, progress=stop_after(rows))
    return store_folder(root, SIZE)


def test_a_resume_keeps_what_is_done(root):
    out = interrupted(root)
    assert not (out / MANIFEST).exists()
    with pytest.raises(FileNotFoundError, match='unfinished'):
        PreparedStore(out)
    assert dataset(root).store is None  # not used by itself either
    result = prepare(root)
    assert 0 < result.made <= result.images - 40
    assert verify_store(root, out) == []


def test_a_torn_record_and_a_lost_row_are_redone(root):
    out = interrupted(root)
    with (out / 'journal').open('r+b') as file:
        file.seek(-7, os.SEEK_END)
        file.truncate()
    pixels = np.load(out / 'images.npy.part', mmap_mode='r+')
    pixels[2] = 77  # as if the disk had lost it
    pixels.flush()
    prepare(root)
    assert verify_store(root, out) == []


@pytest.mark.parametrize('point', ['savez', 'manifest'])
def test_killed_while_finishing(root, monkeypatch, point):
    replace = os.replace

    def stop(source, target):
        if str(target).endswith('index.npz' if point == 'savez' else MANIFEST):
            raise Stop
        replace(source, target)

    monkeypatch.setattr(preparation.os, 'replace', stop)
    with pytest.raises(Stop):
        prepare(root)
    monkeypatch.setattr(preparation.os, 'replace', replace)
    assert prepare(root).made == 0
    assert verify_store(root, store_folder(root, SIZE)) == []


@pytest.mark.parametrize('finished', [True, False])
def test_other_bits_begin_again(root, finished):
    """16-bit files read with other stored bits have other gray levels."""
    for path in (root / 'images').glob('*.png'):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16)
        cv2.imwrite(str(path), image * 8)  # up to 2040, 11 bits
    if finished:
        prepare(root)
    else:
        interrupted(root)
    result = prepare(root, bits=12)
    assert result.made == result.images
    with pytest.raises(ValueError, match='was made with bits=12, LoadXray has bits=None'):
        dataset(root)
    steps = pipeline()
    steps[0]['bits'] = 12
    data, files = (
        ChestXray14(str(root), pipeline=steps, prepared=prepared) for prepared in (None, False)
    )
    for part in (data, files):
        part.set_draws(0, 0)
    assert data.store
    np.testing.assert_array_equal(stacked(data)[:20], stacked(files)[:20])
    assert prepare(root, bits=12).made == 0


def test_an_unfinished_store_of_another_size_is_begun_again(root):
    out = interrupted(root)
    prepare_store(root, chestxray14_images(root), out, 48, 1)
    assert PreparedStore(out).size == 48
    assert verify_store(root, out) == []


def test_two_at_once(root):
    out = store_folder(root, SIZE)
    out.mkdir()
    with locked(out), pytest.raises(BlockingIOError, match='another process is preparing'):
        prepare(root)
    prepare(root)


def test_disk_full(root, monkeypatch):
    monkeypatch.setattr(preparation.shutil, 'disk_usage', lambda path: SimpleNamespace(free=1000))
    with pytest.raises(
        OSError, match=r'no room left for the store \(.*free are 0.00 GB\).*same command goes on'
    ):
        prepare(root)
    monkeypatch.undo()
    pwrite, calls = os.pwrite, []

    def full(file, data, offset):
        calls.append(offset)
        if len(calls) > 40:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return pwrite(file, data[: len(data) // 2] if len(calls) == 7 else data, offset)

    monkeypatch.setattr(preparation.os, 'pwrite', full)
    with pytest.raises(OSError, match='no room left for the store'):
        prepare(root)
    monkeypatch.undo()
    result = prepare(root)
    assert 0 < result.made < result.images
    assert verify_store(root, store_folder(root, SIZE)) == []


def test_a_store_changed_under_a_training(root):
    prepare(root)
    data = dataset(root)
    row = data.get_data_info(4)['row']
    pixels = np.load(data.store.folder / IMAGES, mmap_mode='r+')
    pixels[row, 5, 5] ^= 1
    pixels.flush()
    path = data.get_data_info(4)['img_path']
    with pytest.raises(RuntimeError, match=f'{path}.*is not what was prepared'):
        data[4]
    data[5]
    (problem,) = verify_store(root, data.store.folder)
    assert 'is not what was prepared' in problem
    with (data.store.folder / IMAGES).open('r+b') as file:
        file.truncate(5000)
    with pytest.raises(RuntimeError, match='is cut off'):
        data[5]
    with pytest.raises(ValueError, match=r'images.npy has \d+ images'):
        PreparedStore(data.store.folder)


def test_a_copy_with_a_time_of_its_own_is_checked_row_by_row(root, monkeypatch):
    prepare(root)
    folder = store_folder(root, SIZE)
    checked = []
    crc32 = zlib.crc32
    monkeypatch.setattr(store.zlib, 'crc32', lambda data: checked.append(1) or crc32(data))
    expected = PreparedStore(folder).image(3)
    assert not checked  # untouched since it was prepared
    os.utime(folder / IMAGES)
    np.testing.assert_array_equal(PreparedStore(folder).image(3), expected)
    assert checked == [1]


def test_other_formats_are_refused(root):
    prepare(root)
    path = store_folder(root, SIZE) / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(format=99)))
    with pytest.raises(ValueError, match='has format 99, this version reads'):
        dataset(root)


def test_a_copy_for_a_worker_is_small(root):
    prepare(root)
    store = PreparedStore(store_folder(root, SIZE))
    copy = pickle.loads(pickle.dumps(store))
    assert len(pickle.dumps(store)) < 1000 + 12 * len(store)  # checksums and shapes, no pixels
    np.testing.assert_array_equal(copy.image(7), store.image(7))


def test_no_image(tmp_path):
    with pytest.raises(ValueError, match='no image found'):
        prepare_store(tmp_path, [], tmp_path / 'out', SIZE, 1)
