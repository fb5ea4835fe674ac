"""Decode and shrink a data set once: mlrfnet prepare chestxray14 [--size 256].

Training then reads the images from <data root>/prepared_<size>, which it finds by itself. A second
call goes on where the first was stopped, or redoes what has changed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    from mlrfnet_mm.reports.output.progress import Bar

DATASETS = (
    'chestxray14', 'chexpert', 'mimic-cxr', 'vindr', 'padchest', 'rsna', 'siim', 'chestx-det',
)  # fmt: skip


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    parser.add_argument(
        'dataset',
        choices=DATASETS,
        metavar='DATASET',
        help=f'whose folder layout: {", ".join(DATASETS)}',
    )
    parser.add_argument(
        '--data-root', metavar='DIR', help="the data set's folder (default: as in training)"
    )
    add(parser, '--size', 256)
    parser.add_argument(
        '--bits',
        type=int,
        choices=range(8, 17),
        metavar='N',
        help='stored bits of images of 16 bits, as in LoadXray(bits=…)',
    )
    add(parser, '--out-dir', '<prepared_SIZE in the data set>')
    add(parser, '--workers', '<all cores>')
    parser.add_argument(
        '--verify',
        action='store_true',
        help='prepare nothing; compare an existing store and its sources with their checksums',
    )
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet prepare') -> None:
    """Prepare or verify, and say what came out."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.datasets.store.preparation import prepare_store
    from mlrfnet_mm.datasets.store.sources import SOURCES
    from mlrfnet_mm.datasets.store.store import store_folder
    from mlrfnet_mm.engine.machine import cores
    from mlrfnet_mm.reports.output.progress import progress_bar

    source = SOURCES[args.dataset]
    root = Path(
        args.data_root or os.environ.get(source.root_variable) or source.default_root
    ).expanduser()
    out = Path(args.out_dir) if args.out_dir else store_folder(root, args.size)
    try:
        if args.verify:
            verify(root, out, prog)
            return
        names = source.list_images(root)
        title = f'{args.dataset} at {args.size}'
        workers = args.workers or cores()
        with progress_bar(title, len(names), 'images') as bar:
            result = prepare_store(
                root, names, out, args.size, workers, counting(bar, title), args.bits
            )
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


def counting(bar: Bar, title: str) -> Callable[[int, int], None]:
    """Function that moves a bar and counts the files that failed in its title."""
    faults = 0

    def advance(done: int, failed: int) -> None:
        nonlocal faults
        faults += failed
        bar.advance(done)
        if failed:
            bar.show(f'{title}, {faults:,} faults')

    return advance


def verify(root: Path, out: Path, prog: str) -> None:
    """Check an existing store; exit with 1 if something does not fit."""
    from mlrfnet_mm.datasets.store.preparation import verify_store
    from mlrfnet_mm.datasets.store.store import PreparedStore
    from mlrfnet_mm.reports.output.progress import progress_bar

    with progress_bar('verify', len(PreparedStore(out)), 'images') as bar:
        problems = verify_store(root, out, counting(bar, 'verify'))
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f'{prog}: {len(problems):,} faults in {out}')
    print(f'store       {out}: every image and every source file is as it was prepared')
