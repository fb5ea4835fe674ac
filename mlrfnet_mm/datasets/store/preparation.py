"""Writing a prepared store (see ``store.py``): in parallel, resumable, never half-done.

While it is made, the folder holds ``images.npy.part`` and ``journal``: a header line that says what
is made, then a record of fixed length for each finished row. A row's pixels are written before its
record. After a kill the records are checked against the pixels, and what does not fit is redone.
"""

import errno
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import repeat
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import cv2
import numpy as np
from filelock import FileLock, Timeout

from mlrfnet_mm.datasets.store.store import (
    FILE,
    FORMAT,
    IMAGES,
    INDEX,
    MANIFEST,
    PreparedStore,
    fingerprint,
)
from mlrfnet_mm.xrays.geometry import fit
from mlrfnet_mm.xrays.gray import read_gray

PART, JOURNAL, LOCK = f'{IMAGES}.part', 'journal', 'lock'
RECORD = np.dtype([('row', '<i8'), *FILE.descr, ('reason', 'S160')])
CHUNK = 16  # images per task


class Prepared(NamedTuple):
    """What `prepare_store` did."""

    images: int
    made: int  # decoded in this call; the others were there already
    failed: dict[str, str]  # name and reason


class Task(NamedTuple):
    """What a worker needs next to the rows."""

    root: str
    target: str
    start: int  # bytes before the first row
    size: int
    bits: int | None  # see read_gray


def prepare_store(
    root: Path,
    names: Sequence[str],
    out: Path,
    size: int,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, failed: None,
    bits: int | None = None,
) -> Prepared:
    """Decode and shrink every image once, or what has changed since the last time.

    Args:
        root: the data set's folder.
        names: of the images, relative to it.
        out: folder of the store, made if needed.
        size: side of the prepared images.
        workers: processes.
        progress: called with the numbers of rows done and failed since its last call.
        bits: stored bits of images of 16 bits, as in ``LoadXray``.

    Raises:
        BlockingIOError: another process prepares this store now.
        OSError: the disk is full or cannot be written; what is done stays, and the same call goes
            on from there.
        ValueError: no image.
    """
    if not names:
        raise ValueError(f'no image found in {root.absolute()}')
    names = sorted(names)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out), _told(out):
        records = _begin(root, names, out, size, bits)
        if records is None:
            manifest = json.loads((out / MANIFEST).read_text(encoding='utf-8'))
            progress(len(names), 0)
            return Prepared(len(names), 0, manifest['failed'])
        todo = [row for row in range(len(names)) if records['row'][row] < 0]
        progress(len(names) - len(todo), 0)
        start = os.path.getsize(out / PART) - len(names) * size**2
        task = Task(str(root), str(out / PART), start, size, bits)
        with open(out / JOURNAL, 'ab') as journal:
            for done in _run(task, [(row, names[row]) for row in todo], workers):
                journal.write(done.tobytes())
                journal.flush()
                records[done['row']] = done
                progress(len(done), int((done['size'] < 0).sum()))
        failed = _finish(names, out, size, bits, records)
    return Prepared(len(names), len(todo), failed)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder for this process; the system releases it when the process ends."""
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BlockingIOError(
            errno.EWOULDBLOCK, 'another process is preparing this store now', str(out)
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        full = f'no room left for the store ({error.strerror}); make room: the same command goes on'
        raise OSError(error.errno, full, str(out)) from error


def _begin(
    root: Path, names: Sequence[str], out: Path, size: int, bits: int | None
) -> np.ndarray | None:
    """Return the records of the rows that are there, ``row`` = -1 for the others; None if all are.

    Takes up unfinished work, or a finished store some of whose sources have changed.
    """
    header: dict[str, Any] = dict(format=FORMAT, size=size, bits=bits)
    header |= dict(images=len(names), names=zlib.crc32(_joined(names)))
    line = json.dumps(header).encode() + b'\n'
    if (out / JOURNAL).exists() and not (out / PART).exists() and (out / IMAGES).exists():
        os.replace(out / IMAGES, out / PART)  # killed in the middle of `_finish`
    found = _resumed(line, out, len(names), size)
    if found is None:
        store = PreparedStore(out, size) if (out / MANIFEST).exists() else None
        if store and store.manifest.get('bits') != bits:
            store = None  # of other gray levels: nothing of it can be used
        found = _of_store(store, names) if store else np.empty(0, RECORD)
        found = found[_unchanged(root, names, found)]
        if store and len(store) == len(names) == len(found):
            return None
        _new_part(out, len(names), size)
        if store:
            _copy_rows(store, names, found['row'], out)
    else:
        found = found[_unchanged(root, names, found)]
    records = np.full(len(names), -1, RECORD)
    records[found['row']] = found
    journal = out / f'{JOURNAL}.part'
    journal.write_bytes(line + found.tobytes())
    os.replace(journal, out / JOURNAL)
    return records


def _joined(names: Sequence[str]) -> bytes:
    return '\n'.join(names).encode()


def _new_part(out: Path, images: int, size: int) -> None:
    """Make the empty array; its space is taken row by row."""
    needed, free = images * size**2, shutil.disk_usage(out).free
    if needed > free:
        need = f'the store needs {needed / 1e9:.2f} GB, free are {free / 1e9:.2f} GB'
        raise OSError(errno.ENOSPC, need, str(out))
    shape = (images, size, size)
    np.lib.format.open_memmap(out / PART, mode='w+', dtype=np.uint8, shape=shape)


def _resumed(line: bytes, out: Path, images: int, size: int) -> np.ndarray | None:
    """Return the journal's records whose pixels are in the file; None without such a journal."""
    if not ((out / JOURNAL).exists() and (out / PART).exists()):
        return None
    content = (out / JOURNAL).read_bytes()
    pixels = np.load(out / PART, mmap_mode='r')
    if not content.startswith(line) or pixels.shape != (images, size, size):
        return None  # of other images or at another size: nothing of it can be used
    whole = (len(content) - len(line)) // RECORD.itemsize  # a kill may have cut the last record
    found = np.frombuffer(content, RECORD, whole, len(line))
    found = found[(found['row'] >= 0) & (found['row'] < images)]
    sound = [r['size'] >= 0 and zlib.crc32(pixels[r['row']]) == r['crc'] for r in found]
    return found[np.array(sound, bool)]


def _of_store(store: PreparedStore, names: Sequence[str]) -> np.ndarray:
    """Return what a finished store has, as records with the rows of the new one."""
    old_names, files = store.index()
    old = {name: row for row, name in enumerate(old_names)}
    pairs = [(row, old[name]) for row, name in enumerate(names) if name in old]
    records = np.zeros(len(pairs), RECORD)
    records['row'] = [row for row, _ in pairs]
    for field in FILE.names or ():
        records[field] = files[field][[old_row for _, old_row in pairs]]
    return records[records['size'] >= 0]


def _copy_rows(store: PreparedStore, names: Sequence[str], rows: np.ndarray, out: Path) -> None:
    old = {name: row for row, name in enumerate(store.index()[0])}
    pixels = np.load(out / PART, mmap_mode='r+')
    for row in rows:
        pixels[row] = store.image(old[names[row]], check=True)
    pixels.flush()


def _unchanged(root: Path, names: Sequence[str], records: np.ndarray) -> np.ndarray:
    """Say of each record whether its source file still has the same size and time."""
    return np.array(
        [_stat(root / names[r['row']]) == (r['size'], r['time']) for r in records], bool
    )


def _stat(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def _run(task: Task, todo: list[tuple[int, str]], workers: int) -> Iterator[np.ndarray]:
    """Yield records, chunk by chunk, from a pool of processes."""
    chunks = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
    if workers <= 1:
        yield from (_prepare_chunk(task, chunk) for chunk in chunks)
        return
    pool = ProcessPoolExecutor(workers, get_context('spawn'), begin_worker)
    try:
        yield from pool.map(_prepare_chunk, repeat(task), chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def begin_worker() -> None:
    """Set up a process of a pool: one thread, and no life after its parent."""
    cv2.setNumThreads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its workers, which would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare_chunk(task: Task, chunk: list[tuple[int, str]]) -> np.ndarray:
    """Read, shrink and write some images; returns their records."""
    records = np.zeros(len(chunk), RECORD)
    file = os.open(task.target, os.O_WRONLY)
    try:
        for record, (row, name) in zip(records, chunk, strict=True):
            record['row'] = row
            path = os.path.join(task.root, name)
            try:
                with open(path, 'rb') as source:
                    stat = os.fstat(source.fileno())
                    content = source.read()
                img = read_gray(content, path, bits=task.bits)
                pixels = fit(img, task.size)
            except (ValueError, OSError) as error:
                record['size'] = record['time'] = -1
                record['reason'] = str(error).encode()[:160]
                continue
            record['size'], record['time'] = stat.st_size, stat.st_mtime_ns
            record['height'], record['width'] = img.shape
            data = pixels.tobytes()
            record['source'], record['crc'] = zlib.crc32(content), zlib.crc32(data)
            _write_all(file, data, task.start + row * task.size**2)
    finally:
        os.close(file)
    return records


def _write_all(file: int, data: bytes, offset: int) -> None:
    while data:  # a write into the last room of a disk may be partial
        count = os.pwrite(file, data, offset)
        data, offset = data[count:], offset + count


def _finish(
    names: Sequence[str], out: Path, size: int, bits: int | None, records: np.ndarray
) -> dict[str, str]:
    """Put the three files in place; returns the failed images."""
    files = records[list(FILE.names or ())].astype(FILE)
    failed = {
        names[record['row']]: record['reason'].decode(errors='replace')
        for record in records[records['size'] < 0]
    }
    with open(out / PART, 'rb') as file:
        os.fsync(file.fileno())
        time = os.fstat(file.fileno()).st_mtime_ns
    manifest = dict(
        format=FORMAT,
        size=size,
        bits=bits,
        images=len(names),
        fingerprint=fingerprint(names, files),
        made=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        opencv=cv2.__version__,
        time=time,
        failed=failed,
    )
    (out / MANIFEST).unlink(missing_ok=True)  # from here on unfinished, until the new one is there
    os.replace(out / PART, out / IMAGES)
    with open(out / f'{INDEX}.part', 'wb') as file:
        np.savez(file, names=np.array([name.encode() for name in names]), files=files)
    os.replace(out / f'{INDEX}.part', out / INDEX)
    part = out / f'{MANIFEST}.part'
    part.write_text(json.dumps(manifest, indent=2) + '\n', encoding='utf-8')
    os.replace(part, out / MANIFEST)
    (out / JOURNAL).unlink()
    return failed


def verify_store(
    root: Path, out: Path, progress: Callable[[int, int], None] = lambda done, failed: None
) -> list[str]:
    """Compare every row with its checksum, and every source file that is there with its own.

    Returns:
        What does not fit, one sentence each.
    """
    store = PreparedStore(out)
    problems: list[str] = []
    names, files = store.index()
    for row, (name, file) in enumerate(zip(names, files, strict=True)):
        before = len(problems)
        if file['size'] >= 0:
            try:
                store.image(row, check=True)
            except RuntimeError as error:
                problems.append(f'{name}: {error}')
            path = root / name
            if path.exists() and zlib.crc32(path.read_bytes()) != file['source']:
                problems.append(f'{path}: not the file that the store was made from')
        progress(1, len(problems) - before)
    return problems
