"""Decoding ahead: python benchmarks/decode_ahead.py FOLDER [--rounds N] [--batch-size N].

The same files are decoded alone, taken through the network alone, and predicted whole as ``mlrfnet
predict`` does it, in turn, round by round, so that a busy machine slows all of them. The network is
the config's with random weights. The whole is to take at most 1.15 times the larger of the two.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.inference.inferencer import CXRInferencer
from mlrfnet_mm.models import build_model
from mlrfnet_mm.reports.predictions.predict_files import Options, predict_files
from mlrfnet_mm.reports.predictions.writing.read_ahead import read_ahead
from mlrfnet_mm.reports.predictions.writing.spool import reading_threads
from mlrfnet_mm.xrays.files import list_files


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='of X-rays')
    parser.add_argument('--config', default='configs/mlrfnet_xray14.py')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch-size', type=int, default=16)
    return parser.parse_args()


def make_inferencer(config: str, folder: Path) -> CXRInferencer:
    """The config's network with random weights."""
    cfg = read_config(config)
    cfg.model.backbone.init_cfg = None
    meta = dict(cfg=cfg.pretty_text)
    torch.save(dict(meta=meta, state_dict=build_model(cfg.model).state_dict()), folder / 'x.pth')
    return CXRInferencer(weights=folder / 'x.pth')


def seconds(function: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print a Markdown table."""
    args = parse_args()
    files, _ = list_files([args.folder])
    size, threads = args.batch_size, reading_threads()
    with tempfile.TemporaryDirectory() as folder:
        inferencer = make_inferencer(args.config, Path(folder))
        options = Options(batch_size=size)

        def decode() -> None:
            for _ in read_ahead(inferencer.read, files, size, threads):
                pass

        items = [inferencer.read(path) for path in files]

        def network() -> None:
            inferencer([dict(item) for item in items], batch_size=size)

        def whole() -> None:
            predict_files(inferencer, files, Path(folder, 'out'), options)

        steps = dict(decode=decode, network=network, whole=whole)
        for step in steps.values():
            step()  # warm-up
        times: dict[str, list[float]] = {name: [] for name in steps}
        load = os.getloadavg()[0]
        for _ in range(args.rounds):
            for name, step in steps.items():
                times[name].append(seconds(step))
    cores, version = torch.get_num_threads(), torch.__version__
    print(f'{len(files)} files, batch {size}, {threads} threads that read, {cores} of torch')
    print(f'torch {version}, load before {load:.2f}, {date.today()}\n')
    print('| what | median s | spread s |\n|---|---|---|')
    for name, values in times.items():
        print(f'| {name} | {statistics.median(values):.3f} | {min(values):.3f}–{max(values):.3f} |')
    rounds = zip(times['decode'], times['network'], times['whole'], strict=True)
    ratios = [w / max(d, n) for d, n, w in rounds]
    print(f'\nwhole / larger of the two: median {statistics.median(ratios):.3f}', end=' ')
    print(f'({min(ratios):.3f}–{max(ratios):.3f})')


if __name__ == '__main__':
    main()
