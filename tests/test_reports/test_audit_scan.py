"""Looking at files: what is recorded, resumed, redone; several processes give the same."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mlrfnet_mm.reports.audit.images import scan as module
from mlrfnet_mm.reports.audit.images.scan import HEADER, JOURNAL, RECORD, scan
from mlrfnet_mm.xrays.geometry import fit

pytest.importorskip('imagehash')


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    found = []
    for i in range(20):
        path = tmp_path / f'{i:02}.png'
        cv2.imwrite(str(path), rng.integers(0, 256, (70 + i, 80), np.uint8))
        found.append(str(path))
    return found


def looked(paths, folder, workers=1):
    """The scan, and how many files it opened."""
    counts = []
    seen = scan(paths, folder, workers, lambda done, failed: counts.append((done, failed)))
    assert sum(done for done, _ in counts) == len(paths)
    return seen, sum(done for done, _ in counts[1:])


def test_what_is_recorded(paths, tmp_path):
    cv2.imwrite(paths[1], np.random.default_rng(1).integers(0, 4096, (70, 80)).astype(np.uint16))
    seen, opened = looked(paths, tmp_path / 'out')
    assert opened == 20
    img, fact = cv2.imread(paths[0], 0), seen.facts[0]
    assert (fact['height'], fact['width'], fact['kind']) == (70, 80, b'PNG L')
    assert seen.facts['kind'][1] == b'PNG I;16' and len(set(seen.facts['kind'].tolist())) == 2
    assert fact['size'] == os.path.getsize(paths[0]) and fact['reason'] == b''
    assert fact['mean'] == pytest.approx(img.mean()) and fact['deviation'] == pytest.approx(
        img.std()
    )
    pixels = hashlib.sha256(b'(70, 80)' + img.tobytes()).digest()[:16]
    assert fact['pixels'].tobytes() == pixels
    np.testing.assert_array_equal(seen.thumbnail(0), fit(fit(img, 256), 64))
    np.testing.assert_array_equal(seen.keep(np.array([3, 0])).thumbnail(1), seen.thumbnail(0))


@pytest.mark.slow
def test_processes_do_not_matter(paths, tmp_path):
    one, _ = looked(paths, tmp_path / 'one')
    two, _ = looked(paths, tmp_path / 'two', workers=2)
    assert one.facts.tobytes() == two.facts.tobytes()


def test_it_goes_on_and_redoes_what_has_changed(paths, tmp_path):
    out = tmp_path / 'out'
    looked(paths[:12], out)
    _, opened = looked(paths, out)
    assert opened == 8
    cv2.imwrite(paths[3], np.zeros((50, 50), np.uint8))
    os.utime(paths[3], ns=(1, 1))
    seen, opened = looked(paths[::-1], out)  # in another order
    assert opened == 1 and seen.facts['height'][16] == 50 and seen.facts['height'][0] == 89


def test_a_torn_journal_is_repaired(paths, tmp_path):
    out = tmp_path / 'out'
    before, _ = looked(paths, out)
    journal = out / JOURNAL
    assert journal.stat().st_size == len(HEADER) + 20 * RECORD.itemsize
    with open(journal, 'ab+') as file:
        file.truncate(len(HEADER) + 17 * RECORD.itemsize + 100)  # killed while it was written
    after, opened = looked(paths, out)
    assert opened == 3 and after.facts.tobytes() == before.facts.tobytes()
    journal.write_bytes(b'{"format": 0}\n' + journal.read_bytes())  # of another version
    assert looked(paths, out)[1] == 20


def test_a_broken_file_is_named_and_looked_at_again(paths, tmp_path):
    file = Path(paths[2])
    data = file.read_bytes()
    file.write_bytes(data[:200])
    seen, _ = looked(paths, tmp_path / 'out')
    assert seen.facts['size'][2] == -1 and b'truncated' in seen.facts['reason'][2]
    assert (np.delete(seen.facts['size'], 2) > 0).all()
    file.write_bytes(data)
    seen, opened = looked(paths, tmp_path / 'out')
    assert opened == 1 and (seen.facts['size'] > 0).all()


def test_two_at_a_time_are_refused(paths, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    with module.locked(out), pytest.raises(BlockingIOError):
        scan(paths, out, 1)


def test_no_files(tmp_path):
    assert len(scan([], tmp_path / 'out', 1).facts) == 0
