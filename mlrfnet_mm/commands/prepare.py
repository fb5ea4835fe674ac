"""Decode and shrink a data set once: mlrfnet prepare chestxray14 [--size 256].

Training then reads the images from <data root>/prepared_<size>, which it finds by itself. A second
call goes on where the first was stopped, or redoes what has changed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DATASETS = ('chestxray14', 'chexpert', 'mimic-cxr')


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('dataset', choices=DATASETS, help='which folder layout')
    parser.add_argument('--data-root', help="the data set's folder; default as in training")
    parser.add_argument('--size', type=int, default=256, help="XrayGeometry's scale")
    parser.add_argument(
        '--bits', type=int, help='stored bits of images of 16 bits, as in LoadXray(bits=...)'
    )
    parser.add_argument('--out', type=Path, help='default: <data root>/prepared_<size>')
    parser.add_argument('--workers', type=int, help='default: all cores')
    parser.add_argument(
        '--verify',
        action='store_true',
        help='prepare nothing; compare an existing store and its sources with their checksums',
    )
    args = parser.parse_args(argv)
    for name in ('size', 'workers'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    if args.bits is not None and not 8 <= args.bits <= 16:
        parser.error(f'--bits must be from 8 to 16, got {args.bits}')
    return args


@contextmanager
def bar(total: int, title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar with rate and time left; yields the function that advances it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[rate]}'),
        TimeRemainingColumn(),
        TextColumn('{task.fields[failed]}'),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, rate='', failed='')
        faults = 0

        def advance(done: int, failed: int) -> None:
            nonlocal faults
            faults += failed
            speed = progress.tasks[0].speed
            progress.update(
                task,
                advance=done,
                rate=f'{speed:,.0f} images/s' if speed else '',
                failed=f'{faults:,} unreadable' if faults else '',
            )

        yield advance


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet prepare') -> None:
    """Prepare or verify, and say what came out."""
    args = parse_args(argv, prog)
    from mlrfnet_mm.datasets.store.preparation import prepare_store
    from mlrfnet_mm.datasets.store.sources import SOURCES
    from mlrfnet_mm.datasets.store.store import store_folder
    from mlrfnet_mm.engine.machine import cores

    source = SOURCES[args.dataset]
    root = Path(
        args.data_root or os.environ.get(source.root_variable) or source.default_root
    ).expanduser()
    out = args.out or store_folder(root, args.size)
    try:
        if args.verify:
            verify(root, out, prog)
            return
        names = source.list_images(root)
        with bar(len(names), f'{args.dataset} at {args.size}') as advance:
            workers = args.workers or cores()
            result = prepare_store(root, names, out, args.size, workers, advance, args.bits)
    except KeyboardInterrupt:
        sys.exit(f'{prog}: interrupted; the same command goes on from here')
    for name, reason in result.failed.items():
        print(f'unreadable  {root / name}: {reason}')
    print(
        f'store       {out}: {result.images - len(result.failed):,} images of {args.size} pixels, '
        f'{result.made:,} of them created now'
    )
    if result.failed:
        sys.exit(
            f'{prog}: {len(result.failed):,} of {result.images:,} files could not be read; '
            'training refuses a split that needs them. Get them again and run this again'
        )


def verify(root: Path, out: Path, prog: str) -> None:
    """Check an existing store; exit with 1 if something does not fit."""
    from mlrfnet_mm.datasets.store.preparation import verify_store
    from mlrfnet_mm.datasets.store.store import PreparedStore

    with bar(len(PreparedStore(out)), 'verify') as advance:
        problems = verify_store(root, out, advance)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f'{prog}: {len(problems):,} faults in {out}')
    print(f'store       {out}: every image and every source file is as it was prepared')
