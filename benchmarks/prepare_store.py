"""Rate of preparing a store next to bare decoding: python benchmarks/prepare_store.py ORIGINALS.

ORIGINALS is a folder of PNGs of 1024 x 1024; they are linked many times into a temporary folder.
Preparing is timed for a small and for a large number of files: the difference of the two is the
rate of a long run, without the seconds in which the worker processes start. Bare decoding is
reading and decoding to gray on one core, and counts as often as there are cores. Goal: 0.9 of it.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.xrays.cores import cores


def decode(paths: list[Path]) -> float:
    """Images per second of bare decoding."""
    start = time.perf_counter()
    for path in paths:
        cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    return len(paths) / (time.perf_counter() - start)


def prepare(root: Path, names: list[str]) -> float:
    """Seconds to prepare these."""
    start = time.perf_counter()
    prepare_store(root, names, root / 'store', 256, cores())
    seconds = time.perf_counter() - start
    shutil.rmtree(root / 'store')
    return seconds


def main() -> None:
    """Measure in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('originals', type=Path)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--repeat', type=int, nargs=2, default=(10, 50))
    args = parser.parse_args()
    cv2.setNumThreads(0)
    originals = sorted(args.originals.glob('*.png'))
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        few, many = ([f'{k}_{p.name}' for k in range(n) for p in originals] for n in args.repeat)
        for name in many:
            os.symlink(originals[0].parent.resolve() / name.split('_', 1)[1], root / name)
        for number in range(args.rounds):
            bare = decode(originals * 3)
            short, long = prepare(root, few), prepare(root, many)
            rate = (len(many) - len(few)) / (long - short)
            ratios.append(rate / (bare * cores()))
            print(
                f'round {number}: bare decode {bare:.0f} images/s on one core; prepare {rate:.0f} '
                f'on {cores()} cores ({len(many):,} files in {long:.1f} s, start included): '
                f'ratio {ratios[-1]:.2f}'
            )
    print(
        f'prepare over bare decode x {cores()} cores: {statistics.median(ratios):.2f} '
        f'({min(ratios):.2f} to {max(ratios):.2f}); goal at least 0.9'
    )


if __name__ == '__main__':
    main()
