"""Looking at every image file once: in parallel, with a journal from which it goes on.

The journal is a header line, then a record of fixed length per image, by a digest of its path. A
file whose size or time has changed is looked at again.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from hashlib import sha256
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from mlrfnet_mm.datasets.store.preparation import begin_worker, locked
from mlrfnet_mm.reports.audit.images.hashes import BYTES, CROPS, hash_image
from mlrfnet_mm.reports.audit.images.pictures import frame_of, frame_share, gray_levels
from mlrfnet_mm.xrays.geometry import fit
from mlrfnet_mm.xrays.gray import read_gray

JOURNAL = 'images.journal'
SIZE, THUMBNAIL = 256, 64  # pixels a side of what is hashed and of what is kept
THUMB = 'thumbnail'
CHUNK = 16  # images per task
RECORD = np.dtype(
    [
        ('path', 'u1', 16),  # digest
        ('size', '<i8'),  # of the file; -1 where it could not be read
        ('time', '<i8'),
        ('pixels', 'u1', 16),  # digest of shape and gray levels
        ('hashes', 'u1', (len(CROPS), BYTES)),
        ('height', '<i4'),
        ('width', '<i4'),
        ('kind', 'S24'),  # as 'PNG L'
        ('mean', '<f4'),
        ('deviation', '<f4'),
        ('level', '<f4'),  # share of the most frequent gray level
        ('frame', '<f4'),  # share of the area
        (THUMB, 'u1', (THUMBNAIL, THUMBNAIL)),
        ('reason', 'S160'),  # why it could not be read
    ]
)
FACTS = np.dtype([field for field in RECORD.descr if field[0] != THUMB])
HEADER = json.dumps(dict(format=1, record=RECORD.itemsize)).encode() + b'\n'


def digest(*parts: bytes | memoryview) -> np.ndarray:
    """The first sixteen bytes of the SHA-256 of all parts, uint8."""
    whole = sha256()
    for part in parts:
        whole.update(part)
    return np.frombuffer(whole.digest()[:16], np.uint8)


class Scan:
    """What is known of N images; their thumbnails stay in the journal until they are asked for.

    Args:
        journal: the file.
        rows: of it, one per image.
    """

    def __init__(self, journal: Path, rows: Sequence[int]) -> None:
        self._rows = np.array(rows, int)
        self._records = _records(journal)
        self.facts = np.empty(len(rows), FACTS)
        for name in FACTS.names or ():
            self.facts[name] = self._records[name][self._rows]

    def keep(self, rows: np.ndarray) -> 'Scan':
        """Some of the images."""
        kept = copy(self)
        kept._rows, kept.facts = self._rows[rows], self.facts[rows]
        return kept

    def thumbnails(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Thumbnails of some images, uint8 (n, THUMBNAIL, THUMBNAIL)."""
        return self._records[THUMB][self._rows[rows]]

    def thumbnail(self, row: int) -> np.ndarray:
        """Of one image."""
        return self.thumbnails([row])[0]


def scan(
    paths: Sequence[str],
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, failed: None,
) -> Scan:
    """Look at every file, or at those that are new or have changed since the last time.

    Args:
        paths: of files that are there, each once.
        folder: of the journal.
        workers: processes.
        progress: called with the numbers of images done and failed since its last call.

    Raises:
        BlockingIOError: another process writes this journal now.
        ImportError: imagehash is not installed.
        OSError: the disk is full.
    """
    hash_image(np.zeros((SIZE, SIZE), np.uint8))  # a missing library is said here, not by a worker
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        journal = folder / JOURNAL
        _repair(journal)
        known = _known(journal)
        todo = [path for path in paths if known.get(_key(path), (0,))[1:] != _stat(path)]
        progress(len(paths) - len(todo), 0)
        with open(journal, 'ab') as file:
            for records in _run(todo, workers):
                file.write(records.tobytes())
                file.flush()
                progress(len(records), int((records['size'] < 0).sum()))
        known = _known(journal)
    return Scan(journal, [known[_key(path)][0] for path in paths])


def _key(path: str) -> bytes:
    return digest(os.path.abspath(path).encode()).tobytes()


def _stat(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def _repair(journal: Path) -> None:
    """Begin a journal, or cut off a record that a kill has left unfinished."""
    with open(journal, 'ab+') as file:
        file.seek(0)
        if file.read(len(HEADER)) != HEADER:  # of another version, or new
            file.truncate(0)
            file.write(HEADER)
            return
        whole = (os.path.getsize(journal) - len(HEADER)) // RECORD.itemsize
        file.truncate(len(HEADER) + whole * RECORD.itemsize)


def _records(journal: Path) -> np.ndarray:
    """The journal's records, in the file."""
    if os.path.getsize(journal) == len(HEADER):
        return np.empty(0, RECORD)
    return np.memmap(journal, RECORD, 'r', len(HEADER))


def _known(journal: Path) -> dict[bytes, tuple[int, int, int]]:
    """Path's digest → row, size and time; the last record of a path counts."""
    records = _records(journal)
    rows = zip(records['path'], records['size'].tolist(), records['time'].tolist(), strict=True)
    return {key.tobytes(): (row, size, time) for row, (key, size, time) in enumerate(rows)}


def _run(todo: list[str], workers: int) -> Iterator[np.ndarray]:
    """Yield records, chunk by chunk, from a pool of processes."""
    chunks = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
    if workers <= 1 or len(chunks) < 2:
        yield from map(look_at, chunks)
        return
    pool = ProcessPoolExecutor(workers, get_context('spawn'), begin_worker)
    try:
        yield from pool.map(look_at, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def look_at(paths: Sequence[str]) -> np.ndarray:
    """Read, hash and measure some images; returns their records."""
    records = np.zeros(len(paths), RECORD)
    for record, path in zip(records, paths, strict=True):
        record['path'] = np.frombuffer(_key(path), np.uint8)
        try:
            with open(path, 'rb') as file:
                stat = os.fstat(file.fileno())
                content = file.read()
            img = read_gray(content, path)
            small = fit(img, SIZE)
        except (ValueError, OSError) as error:
            record['size'] = record['time'] = -1
            record['reason'] = str(error).encode()[:160]
            continue
        record['size'], record['time'] = stat.st_size, stat.st_mtime_ns
        record['height'], record['width'] = img.shape
        record['pixels'] = digest(repr(img.shape).encode(), np.ascontiguousarray(img).data)
        record['hashes'] = hash_image(small)
        record['kind'] = _kind(content).encode()[:24]
        record['mean'], record['deviation'], record['level'] = gray_levels(img)
        record['frame'] = frame_share(frame_of(small), SIZE, SIZE)
        record['thumbnail'] = fit(small, THUMBNAIL)
    return records


def _kind(content: bytes) -> str:
    """Format and mode in Pillow's words, as ``'PNG L'``: L is 8 bits of gray, I;16 is 16 bits."""
    try:
        with Image.open(BytesIO(content)) as image:
            return f'{image.format} {image.mode}'
    except OSError:  # what OpenCV or pydicom read and Pillow does not
        return 'unknown'
