"""What differs between two sets of images: mlrfnet drift FIRST SECOND.

Each is predictions (NPZ), a config or table, as mlrfnet audit reads them, or a folder of images.
Compared is what both have: scores by finding, age, view, sex; of images brightness and contrast.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    from mlrfnet_mm.reports.shift.sets import ImageSet


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    sets = 'predictions (NPZ), config, table (CSV or Parquet), or folder of images'
    parser.add_argument('first', metavar='FIRST', help=f'set for reference: {sets}')
    parser.add_argument('second', metavar='SECOND', help='set that is compared with it, the same')
    add(parser, '--split', 'all')
    add(parser, '--unit', 'image')
    add(parser, '--replicates')
    add(parser, '--seed')
    add(parser, '--workers', '<all cores>')
    add(parser, '--cfg-options')
    add(parser, '--out-dir', '<nothing is written>')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet drift') -> None:
    """Read, compare, print, write."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.shift.drift import common, drift

    first, second = (read(source, args) for source in (args.first, args.second))
    with progress_bar('drift', len(common(first, second)), 'comparisons') as bar:
        found = drift(first, second, args.replicates, args.seed, bar.advance)
    print('\n\n'.join(table.text() for table in found.tables))
    print(found.sentence())
    if args.out_dir:
        for path in found.write(args.out_dir):
            print(f'written     {path}')


def read(source: str, args: argparse.Namespace) -> ImageSet:
    """One of the two sets.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a folder without images, a config or table without the split.
    """
    path = Path(source)
    if path.suffix == '.npz':
        from mlrfnet_mm.evaluation.files.pairing import load_predictions
        from mlrfnet_mm.reports.shift.sets import of_predictions

        return of_predictions(load_predictions(path, args.unit), source)
    from mlrfnet_mm.commands.audit import read as read_config
    from mlrfnet_mm.reports.audit.rows import read_splits
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.shift.images import of_files, of_splits
    from mlrfnet_mm.xrays.cores import cores
    from mlrfnet_mm.xrays.files import list_files

    workers = args.workers or cores()
    if path.is_dir():
        files, _ = list_files([path], args.out_dir)
        if not files:
            raise ValueError(f'no image in {path}')
        with progress_bar(path.name, len(files), 'images') as bar:
            return of_files(files, source, workers, bar.advance)
    splits, problems = read_splits(read_config(source, args.cfg_options))
    chosen = [split for split in splits if args.split in ('all', split.part)]
    if not chosen:
        found = ', '.join(split.part for split in splits) or 'none'
        refused = f'; {problems[0].value}' if problems else ''
        raise ValueError(f'{source} has no split {args.split!r}, there are: {found}{refused}')
    total = sum(len(split.paths) for split in chosen)
    with progress_bar(path.stem, total, 'images') as bar:
        return of_splits(chosen, source, workers, bar.advance)
