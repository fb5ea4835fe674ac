"""Ways to keep prepared images: python benchmarks/stores.py DATA (needs `pip install lmdb`).

DATA is a folder with images of one size. The same gray images are kept in each way in a temporary
folder and read in random order, as training does: warm (in the page cache), cold (dropped from it
before each round) and warm by two processes. All ways run in turn in each round; printed are
medians. Reading ends with the pixels as an array; nothing else is done to them.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import lmdb
import numpy as np
from mmengine.fileio.backends import LmdbBackend

from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.datasets.store.store import PreparedStore
from mlrfnet_mm.xrays.gray import read_gray

Reader = Callable[[Path, Sequence[int]], int]  # folder, rows → sum of one pixel of each


def encoded(suffix: str) -> Reader:
    """Read files of their own."""

    def read(folder: Path, rows: Sequence[int]) -> int:
        files = (Path(folder, f'{row}{suffix}').read_bytes() for row in rows)
        return sum(decode(content) for content in files)

    return read


def decode(content: bytes) -> int:
    """Decode to gray."""
    return int(read_gray(content)[0, 0])


def from_lmdb(folder: Path, rows: Sequence[int]) -> int:
    """Read PNGs out of one LMDB, by mmengine's backend."""
    backend = LmdbBackend(str(folder))
    return sum(decode(backend.get(str(row))) for row in rows)


def from_raw_lmdb(folder: Path, rows: Sequence[int]) -> int:
    """Read bare pixels out of one LMDB, by the library itself; all images have one size."""
    total = 0
    with (
        lmdb.open(str(folder), readonly=True, lock=False) as database,
        database.begin(buffers=True) as transaction,
    ):
        for row in rows:
            pixels = np.array(transaction.get(str(row).encode()), np.uint8)  # a copy
            total += int(pixels[0])
    return total


def from_memmap(folder: Path, rows: Sequence[int]) -> int:
    """Read one .npy through a memory map."""
    array = np.load(folder / 'images.npy', mmap_mode='r')
    return sum(int(array[row].copy()[0, 0]) for row in rows)


def from_store(folder: Path, rows: Sequence[int]) -> int:
    """Read the prepared store of this project: one .npy, by pread."""
    store = PreparedStore(folder)
    return sum(int(store.image(row)[0, 0]) for row in rows)


def from_store_checked(folder: Path, rows: Sequence[int]) -> int:
    """The same with the checksum of each row."""
    store = PreparedStore(folder)
    return sum(int(store.image(row, check=True)[0, 0]) for row in rows)


WAYS: dict[str, tuple[str, Reader]] = {
    'PNG, one file each': ('png', encoded('.png')),
    'JPEG (quality 95), one file each': ('jpg', encoded('.jpg')),
    'PNG in LMDB (mmengine)': ('lmdb', from_lmdb),
    'bare pixels in LMDB': ('raw', from_raw_lmdb),
    'one .npy, memory map': ('npy', from_memmap),
    'one .npy, pread (the store)': ('npy', from_store),
    'one .npy, pread, each row checked': ('npy', from_store_checked),
}


def write(data: Path, out: Path) -> int:
    """Keep the images in every way; return how many."""
    paths = sorted(path for path in data.rglob('*.png') if 'prepared' not in str(path))
    for name in ('png', 'jpg', 'lmdb', 'raw', 'npy'):
        (out / name).mkdir()
    size = read_gray(paths[0]).shape[0]
    prepare_store(data, [str(path.relative_to(data)) for path in paths], out / 'npy', size, 1)
    with (
        lmdb.open(str(out / 'lmdb'), map_size=1 << 34) as database,
        lmdb.open(str(out / 'raw'), map_size=1 << 34) as raw,
    ):
        for row, path in enumerate(paths):
            img = read_gray(path)
            png = cv2.imencode('.png', img)[1].tobytes()
            (out / 'png' / f'{row}.png').write_bytes(png)
            jpeg = cv2.imencode('.jpg', img, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
            (out / 'jpg' / f'{row}.jpg').write_bytes(jpeg)
            with database.begin(write=True) as transaction:
                transaction.put(str(row).encode(), png)
            with raw.begin(write=True) as transaction:
                transaction.put(str(row).encode(), img.tobytes())
    os.sync()
    return len(paths)


def drop(folder: Path) -> None:
    """Drop a folder's files from the page cache."""
    for path in folder.iterdir():
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def rate(way: str, out: Path, rows: Sequence[int]) -> float:
    """Images per second."""
    folder, read = WAYS[way]
    start = time.perf_counter()
    read(out / folder, rows)
    return len(rows) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', type=Path)
    parser.add_argument('--rounds', type=int, default=7)
    args = parser.parse_args()
    cv2.setNumThreads(0)
    measured: dict[str, dict[str, list[float]]] = {
        way: {'warm': [], 'cold': [], 'two': []} for way in WAYS
    }
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        count = write(args.data, out)
        pool = ProcessPoolExecutor(2, get_context('fork'))
        for number in range(args.rounds):
            rows = list(range(count))
            random.Random(number).shuffle(rows)
            for way, rates in measured.items():
                drop(out / WAYS[way][0])
                rates['cold'].append(rate(way, out, rows))
                rate(way, out, rows)
                rates['warm'].append(rate(way, out, rows))
                halves = rows[::2], rows[1::2]
                rates['two'].append(sum(pool.map(rate, [way] * 2, [out] * 2, halves)))
        pool.shutdown()
        print(f'{count:,} images in random order, medians of {args.rounds} rounds\n')
        print('| kept as | bytes per image | warm | cold | warm, two processes |')
        print('|---|---|---|---|---|')
        for way, rates in measured.items():
            files = [path for path in (out / WAYS[way][0]).iterdir() if path.suffix != '.npz']
            size = sum(path.stat().st_blocks * 512 for path in files) / count
            cells = [f'{statistics.median(rates[kind]):,.0f}' for kind in ('warm', 'cold', 'two')]
            print(f'| {way} | {size:,.0f} | {" | ".join(cells)} |')


if __name__ == '__main__':
    main()
