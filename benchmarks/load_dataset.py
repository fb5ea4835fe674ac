"""Time to build a data set from its full label tables: python benchmarks/load_dataset.py TABLES.

TABLES is a folder with the published tables of one data set, plain or .gz: of ChestX-ray14 (with
the official lists), CheXpert, VinDr-CXR (Kaggle), PadChest, RSNA Pneumonia, SIIM-ACR Pneumothorax
or ChestX-Det. In a temporary folder there are empty files for its images, and of CheXpert what is
looked at: a folder per patient, and the first image of a split. Goals: ChestX-ray14 (112,120 rows)
under 2 s, CheXpert (223,414) under 3 s, PadChest (160,861) under 4 s, VinDr-CXR (67,914) under 1 s;
memory as for ChestX-ray14.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from mlrfnet_mm.datasets import (
    ChestXDet,
    ChestXray14,
    CheXpert,
    PadChest,
    RSNAPneumonia,
    SIIMPneumothorax,
    VinDrCXR,
)
from mlrfnet_mm.datasets.published.chestx_det.tables import FILES, read_file
from mlrfnet_mm.datasets.published.chexpert.tables import read_split
from mlrfnet_mm.datasets.published.padchest import tables as padchest
from mlrfnet_mm.datasets.published.rsna import tables as rsna
from mlrfnet_mm.datasets.published.siim import tables as siim
from mlrfnet_mm.datasets.published.vindr_cxr import tables as vindr
from mlrfnet_mm.datasets.tables import table_file


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


def images_of(root: Path, kind: type) -> list[str]:
    """The images that the tables of one of the other sets name, relative to the folder."""
    if kind is VinDrCXR:
        table = vindr.read_kaggle(table_file(root, vindr.KAGGLE))
        return [f'train/{name}.dicom' for name in table.votes]
    if kind is PadChest:
        rows = padchest.read_table(padchest.find_table(root))
        return [f'{a}/{b}' for a, b in zip(rows.folders, rows.images, strict=True)]
    if kind is RSNAPneumonia:
        names = rsna.read_table(table_file(root, rsna.TABLE)).labels
        return [f'stage_2_train_images/{name}.dcm' for name in names]
    if kind is SIIMPneumothorax:
        names = siim.read_table(table_file(root, siim.TABLE)).labels
        return [f'dicom-images-train/{name}.dcm' for name in names]
    return [
        f'{part}_data/{name}.png'
        for part, file in FILES.items()
        for name in read_file(table_file(root, file)).labels
    ]


def make(root: Path, kind: type) -> int:
    """Make empty images; returns the number of rows or images of the tables."""
    if kind in (ChestXray14, CheXpert):
        return make_chestxray14(root) if kind is ChestXray14 else make_chexpert(root)
    names = images_of(root, kind)
    for folder in {Path(name).parent for name in names}:
        (root / folder).mkdir(parents=True)
    for name in names:
        os.mknod(root / name)
    return len(names)


# A table that only this data set has → the class and its splits
KINDS = {
    'Data_Entry_2017_v2020.csv': (ChestXray14, ('train', 'val', 'test')),
    'valid.csv': (CheXpert, ('train', 'val', 'valid')),
    padchest.TABLE: (PadChest, ('all', 'train')),
    rsna.TABLE: (RSNAPneumonia, ('all', 'train')),
    siim.TABLE: (SIIMPneumothorax, ('all', 'train')),
    FILES['test']: (ChestXDet, ('all', 'train')),
    vindr.KAGGLE: (VinDrCXR, ('all', 'train')),  # CheXpert has a train.csv, too
}


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
        there = {path.name.removesuffix('.gz') for path in root.iterdir()}
        kind, splits = next(KINDS[table] for table in KINDS if table in there)
        rows = make(root, kind)
        for split in splits:
            seconds = []
            for _ in range(args.runs):
                start = time.perf_counter()
                dataset = kind(data_root=str(root), split=split)
                seconds.append(time.perf_counter() - start)
            size = dataset.data_bytes.nbytes / len(dataset)
            print(
                f'{dataset.metainfo["dataset"]} {dataset.metainfo["protocol"]}/{split}: '
                f'{len(dataset):,} images of {rows:,}: median {statistics.median(seconds):.2f} s, '
                f'{min(seconds):.2f} to {max(seconds):.2f} s; {size:.0f} bytes per image'
            )


if __name__ == '__main__':
    main()
