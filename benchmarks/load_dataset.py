"""Time to build a data set from its full label tables: python benchmarks/load_dataset.py TABLES.

TABLES is a folder with Data_Entry_2017_v2020.csv(.gz) and the official lists of ChestX-ray14, or
with train.csv(.gz) and valid.csv of CheXpert. In a temporary folder there are empty files for the
images of the former, and what is looked at of the latter: a folder per patient, and the first image
of a split. Goals: under 2 s for 112,120 rows, under 3 s for 223,414.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from mlrfnet_mm.datasets import ChestXray14, CheXpert
from mlrfnet_mm.datasets.published.chexpert.tables import read_split


def make_chestxray14(root: Path) -> int:
    """Make empty images as NIH ships them; returns their number."""
    names = [
        image
        for part in ('train_val', 'test')
        for image in (root / f'{part}_list.txt').read_text().split()
    ]
    for k in range(12):
        folder = root / f'images_{k + 1:03d}' / 'images'
        folder.mkdir(parents=True)
        for image in names[k::12]:
            os.mknod(folder / image)
    return len(names)


def make_chexpert(root: Path) -> int:
    """Make the patients' folders and the first image of each split; returns the number of rows."""
    rows = 0
    for split in ('train', 'val', 'valid'):
        _, images = read_split(root, 'held-out', split)
        for patient in {path.rsplit('/', 2)[0] for path in images.paths}:
            (root / patient).mkdir(parents=True)
        (root / images.paths[0]).parent.mkdir()
        os.mknod(root / images.paths[0])
        rows += len(images.paths) * (split != 'valid')
    return rows


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
        chexpert = (root / 'valid.csv').is_file()
        kind = CheXpert if chexpert else ChestXray14
        rows = make_chexpert(root) if chexpert else make_chestxray14(root)
        for split in ('train', 'val', 'valid' if chexpert else 'test'):
            seconds = []
            for _ in range(args.runs):
                start = time.perf_counter()
                dataset = kind(data_root=str(root), split=split)
                seconds.append(time.perf_counter() - start)
            print(
                f'{dataset.metainfo["protocol"]}/{split}: {len(dataset):,} images of a table of '
                f'{rows:,}: median {statistics.median(seconds):.2f} s, {min(seconds):.2f} to '
                f'{max(seconds):.2f} s'
            )


if __name__ == '__main__':
    main()
