"""Time to build ChestXray14 from the full label table: python benchmarks/load_dataset.py TABLES.

TABLES is a folder with Data_Entry_2017_v2020.csv(.gz) and the official lists; the images are empty
files in a temporary folder, as their content is not read. Goal: under 2 s for 112,120 rows.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from mlrfnet_mm.datasets import ChestXray14


def main() -> None:
    """Build each split several times; print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('tables', type=Path)
    parser.add_argument('--runs', type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for file in args.tables.iterdir():
            shutil.copy(file, root)
        names = [
            image
            for part in ('train_val', 'test')
            for image in (root / f'{part}_list.txt').read_text().split()
        ]
        for k in range(12):  # as NIH ships them
            folder = root / f'images_{k + 1:03d}' / 'images'
            folder.mkdir(parents=True)
            for image in names[k::12]:
                os.mknod(folder / image)
        for split in ('train', 'val', 'test'):
            seconds = []
            for _ in range(args.runs):
                start = time.perf_counter()
                dataset = ChestXray14(data_root=str(root), split=split)
                seconds.append(time.perf_counter() - start)
            print(
                f'official/{split}: {len(dataset):,} images of a table of {len(names):,}: median '
                f'{statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s'
            )


if __name__ == '__main__':
    main()
