"""Images per second of the data path, in one process and through a runner's loader.

``python benchmarks/loader.py DATA --originals FOLDER``

DATA is a folder in ChestX-ray14's layout (256 x 256 PNG, say); FOLDER holds PNGs of 1024 x 1024. A
prepared store of DATA is made in a temporary folder. In each round all ways run in turn in this one
process, on images in the page cache, with all augmentation of the recipe and in batches of 32; then
the store runs through the loaders that ``SafeRunner.build_dataloader`` builds, with 0, 1, 2 and 4
workers, where this process does nothing but take the batches. Compared are mmengine's default for
the hand-over (``pseudo_collate``), and a stock loader on DATA's files. The ratios are those of a
round. Printed are medians and ranges.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import MMLogger
from mmpretrain.registry import TRANSFORMS

from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.engine.runner import SafeRunner

BATCH = 32
PACK = dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'patient_id'))
STOCK: list[dict] = [
    dict(type='mmpretrain.LoadImageFromFile'),
    dict(type='mmpretrain.Resize', scale=(256, 256), interpolation='area'),
    dict(type='mmpretrain.RandomCrop', crop_size=224),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='mmpretrain.Rotate',
        magnitude_range=(0, 5),
        magnitude_std='inf',
        prob=1.0,
        pad_val=0,
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.ColorJitter', contrast=0.1),
    PACK,
]
OURS: list[dict] = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', crop='random', flip=0.5, rotate=5.0),
    dict(type='mlrfnet_mm.XrayContrast', contrast=0.1),
    PACK,
]


class Files:
    """Files of a folder through a pipeline."""

    def __init__(self, paths: list[Path], pipeline: list[dict]) -> None:
        self.paths, self.pipeline = paths, Compose([TRANSFORMS.build(step) for step in pipeline])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        item = dict(img_path=str(self.paths[index]), patient_id='', draw=(0, 0, index))
        return self.pipeline(item | dict(gt_score=np.zeros(14, np.float32)))


def load(dataset: Any, count: int) -> None:
    """What a loader does in its process."""
    for start in range(0, count, BATCH):
        stop = min(start + BATCH, count)
        pseudo_collate([dataset[i % len(dataset)] for i in range(start, stop)])


def runner_loader(dataset: Any, workers: int, **options: Any) -> Callable[[], None]:
    """Make a function that takes all batches of an epoch from a runner's training loader."""
    loader = SafeRunner.build_dataloader(
        dict(
            batch_size=BATCH,
            num_workers=workers,
            dataset=dataset,
            sampler=dict(type='DefaultSampler', shuffle=True),
            **options,
        ),
        seed=0,
    )

    def run() -> None:
        for _ in loader:
            pass

    return run


def decode(paths: Iterable[Path]) -> None:
    """Read files and decode them to gray, nothing else."""
    for path in paths:
        cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)


def measure(ways: dict[str, tuple[int, Callable[[], None]]], rounds: int) -> dict[str, list[float]]:
    """Return seconds per image of each way in each round; a round before them is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (count, run) in ways.items():
            start = time.perf_counter()
            run()
            if number:
                seconds[name].append((time.perf_counter() - start) / count)
    return seconds


def spread(values: Iterable[float], form: str) -> str:
    """Median and range."""
    values = sorted(values)
    median = format(statistics.median(values), form)
    return f'{median} ({values[0]:{form}} to {values[-1]:{form}})'


def report(seconds: dict[str, list[float]], comparisons: list[tuple[str, str, str]]) -> None:
    """Print rates, then ratios of two ways."""
    for name, values in seconds.items():
        rate, ms = spread([1 / v for v in values], ',.0f'), spread([v * 1e3 for v in values], '.2f')
        print(f'{name:28} {rate:>28} images/s {ms:>28} ms per image')
    for slow, fast, goal in comparisons:
        ratios = [a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)]
        print(f'time of {slow!r} over {fast!r}: {spread(ratios, ".2f")}; goal {goal}')


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('data', type=Path)
    parser.add_argument('--originals', type=Path, required=True)
    parser.add_argument('--rounds', type=int, default=9)
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine', log_level='WARNING')

    paths = sorted(args.originals.glob('*.png'))
    with tempfile.TemporaryDirectory() as folder:
        store = f'{folder}/store'
        images = sorted(str(path.relative_to(args.data)) for path in args.data.glob('images*/*'))
        prepare_store(args.data, images, Path(store), size=256, workers=1)
        root = str(args.data)
        stock = ChestXray14(root, pipeline=STOCK, prepared=False)
        files = ChestXray14(root, pipeline=OURS, prepared=False)
        prepared = ChestXray14(root, pipeline=OURS, prepared=store)
        for dataset in (files, prepared):
            dataset.set_draws(seed=0, epoch=0)
        n, few, many = len(paths), 256, 1024
        originals, originals_stock = Files(paths, OURS), Files(paths, STOCK)
        ways: dict[str, tuple[int, Callable[[], None]]] = {
            'originals, decode alone': (n, lambda: decode(paths)),
            'originals': (n, lambda: load(originals, n)),
            'originals, stock': (n, lambda: load(originals_stock, n)),
            'files of DATA': (few, lambda: load(files, few)),
            'files of DATA, stock': (few, lambda: load(stock, few)),
            'prepared store': (many, lambda: load(prepared, many)),
        }
        print(f'{n} originals, {len(prepared):,} images of DATA; {args.rounds} rounds, one core')
        report(
            measure(ways, args.rounds),
            [
                ('originals', 'originals, decode alone', 'at most 1.15'),
                ('originals, stock', 'prepared store', 'at least 40'),
                ('files of DATA, stock', 'prepared store', 'at least 8'),
                ('originals, stock', 'originals', 'none'),
                ('files of DATA, stock', 'files of DATA', 'none'),
            ],
        )
        through_runner(prepared, stock, args.rounds)


def through_runner(prepared: ChestXray14, stock: ChestXray14, rounds: int) -> None:
    """Measure what a training gets, one way after the other: no two sets of workers at once."""
    repeat = dict(type='RepeatDataset', times=4, dataset=prepared)
    n = 4 * len(prepared)
    plain = dict(collate_fn=dict(type='pseudo_collate'))
    base = measure({'no worker': (n, runner_loader(repeat, 0))}, rounds)
    report(base, [])
    for workers in (1, 2, 4):
        name = f'{workers} worker{"s" if workers > 1 else ""}'
        ways = {
            name: (n, runner_loader(repeat, workers)),
            f'{name}, pseudo_collate': (n, runner_loader(repeat, workers, **plain)),
            f'{name}, stock': (len(stock), runner_loader(stock, workers, **plain)),
        }
        found = measure(ways, rounds)
        share = [b / a for a, b in zip(found[name], base['no worker'], strict=True)]
        report(found, [(f'{name}, pseudo_collate', name, 'none'), (f'{name}, stock', name, 'none')])
        print(f'{name}: {spread(share, ".2f")} of the rate without; goal 0.65 with one worker')


if __name__ == '__main__':
    main()
