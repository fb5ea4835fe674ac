"""Decode and shrink a data set once: mlrfnet prepare chestxray14 [--size 256].

For a table of your own: mlrfnet prepare CONFIG, what mlrfnet new wrote.

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
        metavar='DATASET',
        help=f"whose folder layout: {', '.join(DATASETS)}; or the config of a table of one's own",
    )
    add(parser, '--data-root', '<as in training>')
    add(parser, '--size', "<the config's, else 256>")
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
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.xrays.cores import cores

    if source := SOURCES.get(args.dataset):
        root = Path(
            args.data_root or os.environ.get(source.root_variable) or source.default_root
        ).expanduser()
        args.size = args.size or 256
    else:
        root, names = own_images(args)
    out = Path(args.out_dir) if args.out_dir else store_folder(root, args.size)
    try:
        if args.verify:
            verify(root, out, prog)
            return
        if source:
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


def own_images(args: argparse.Namespace) -> tuple[Path, list[str]]:
    """Folder and images of a config's tables; its size and bits, where none are given.

    Raises:
        ValueError: a config of other data.
    """
    from mmengine.registry import DATASETS as REGISTRY

    from mlrfnet_mm.datasets import TableXrays
    from mlrfnet_mm.datasets.store.sources import table_images
    from mlrfnet_mm.datasets.transforms import LoadXray, XrayGeometry
    from mlrfnet_mm.engine.launch import read_config
    from mlrfnet_mm.engine.parts import is_part, leaf_datasets

    try:
        cfg = read_config(args.dataset)
    except FileNotFoundError:
        raise ValueError(
            f'DATASET must be one of {", ".join(DATASETS)}, or a config, got {args.dataset!r}'
        ) from None
    loaders = [cfg.get(f'{part}_dataloader') or {} for part in ('train', 'val', 'test')]
    datasets = dict(datasets=[loader.get('dataset') for loader in loaders])
    parts = []
    for leaf in leaf_datasets(datasets):
        if not is_part(REGISTRY, leaf.get('type'), cfg.get('default_scope'), TableXrays):
            raise ValueError(
                f'{args.dataset} has data of {leaf.get("type")}, a config must be of '
                f'mlrfnet_mm.TableXrays here; for others: mlrfnet prepare {"|".join(DATASETS)}'
            )
        own = {**leaf, 'lazy_init': True}
        own |= {'data_root': args.data_root} if args.data_root else {}
        parts.append(part := TableXrays(**{k: v for k, v in own.items() if k != 'type'}))
        for step in part.pipeline.transforms:
            if isinstance(step, XrayGeometry):
                args.size = args.size or step.scale
            if isinstance(step, LoadXray):
                args.bits = args.bits or step.bits
    return table_images(parts)


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
