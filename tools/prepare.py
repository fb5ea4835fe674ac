"""Decode and shrink a data set once: python tools/prepare.py chestxray14 [--size 256].

Training then reads the images from <data root>/prepared_<size>, which it finds by itself. A second
call goes on where the first was stopped, or redoes what has changed.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

# mmpretrain warns that mmcv-lite has no compiled operators: none are used
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')

from mlrfnet_mm.datasets.image_files import SOURCES  # noqa: E402
from mlrfnet_mm.datasets.preparation import prepare_store, verify_store  # noqa: E402
from mlrfnet_mm.datasets.store import PreparedStore, store_folder  # noqa: E402
from mlrfnet_mm.engine.machine import cores  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('dataset', choices=sorted(SOURCES), help='which folder layout')
    parser.add_argument('--data-root', help="the data set's folder; default as in training")
    parser.add_argument('--size', type=int, default=256, help="XrayGeometry's scale")
    parser.add_argument(
        '--bits', type=int, help='stored bits of images of 16 bits, as in LoadXray(bits=...)'
    )
    parser.add_argument('--out', type=Path, help='default: <data root>/prepared_<size>')
    parser.add_argument('--workers', type=int, default=cores(), help='default: all cores')
    parser.add_argument(
        '--verify',
        action='store_true',
        help='prepare nothing; compare an existing store and its sources with their checksums',
    )
    args = parser.parse_args()
    for name in ('size', 'workers'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    if args.bits is not None and not 8 <= args.bits <= 16:
        parser.error(f'--bits must be from 8 to 16, got {args.bits}')
    return args


@contextmanager
def bar(total: int, title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar with rate and time left; yields the function that advances it."""
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


def main() -> None:
    """Prepare or verify, and say what came out."""
    args = parse_args()
    source = SOURCES[args.dataset]
    root = Path(
        args.data_root or os.environ.get(source.root_variable) or source.default_root
    ).expanduser()
    out = args.out or store_folder(root, args.size)
    try:
        if args.verify:
            verify(root, out)
            return
        names = source.list_images(root)
        with bar(len(names), f'{args.dataset} at {args.size}') as advance:
            result = prepare_store(root, names, out, args.size, args.workers, advance, args.bits)
    except (OSError, ValueError) as error:
        sys.exit(f'prepare.py: {error}')
    except KeyboardInterrupt:
        sys.exit('prepare.py: interrupted; the same command goes on from here')
    for name, reason in result.failed.items():
        print(f'unreadable  {root / name}: {reason}')
    print(
        f'store       {out}: {result.images - len(result.failed):,} images of {args.size} pixels, '
        f'{result.made:,} of them made now'
    )
    if result.failed:
        sys.exit(
            f'prepare.py: {len(result.failed):,} of {result.images:,} files could not be read; '
            'training refuses a split that needs them. Get them again and run this again'
        )


def verify(root: Path, out: Path) -> None:
    """Check an existing store; exit with 1 if something does not fit."""
    with bar(len(PreparedStore(out)), 'verify') as advance:
        problems = verify_store(root, out, advance)
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f'prepare.py: {len(problems):,} faults in {out}')
    print(f'store       {out}: every image and every source file is as it was prepared')


if __name__ == '__main__':
    main()
