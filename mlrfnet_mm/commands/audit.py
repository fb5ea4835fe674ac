"""Look for faults in the data of a config or a table: mlrfnet audit CONFIG_OR_TABLE [--deep].

Who is in which split, what the splits have in common, labels, and with --deep every image file:
duplicates, broken, blank, inverted and rotated ones. Writes a page, audit.html, and problems.csv.
An interrupted look at the files goes on with the same command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    from mmengine.config import Config

TABLES = ('.csv', '.csv.gz', '.tsv', '.parquet')


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    parser.add_argument(
        'source',
        nargs='+',
        metavar='CONFIG_OR_TABLE',
        help="config, or a table of one's own, CSV or Parquet",
    )
    parser.add_argument(
        '--deep', action='store_true', help='open every image file, not the tables alone'
    )
    parser.add_argument(
        '--predictions',
        nargs='+',
        default=[],
        metavar='NPZ',
        help='held-out or out-of-fold predictions of these data, to suspect labels by',
    )
    add(parser, '--out-dir', '<work_dirs/CONFIG/audit>')
    add(parser, '--workers', '<all cores>')
    add(parser, '--cfg-options')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet audit') -> None:
    """Look, print, write; exit code 1 if something is an error."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.reports.audit.page import audit
    from mlrfnet_mm.xrays.cores import cores

    names = {Path(source).stem: source for source in args.source}
    if len(names) < len(args.source):
        raise ValueError(f'two of one name: {" ".join(args.source)}')
    configs = {name: read(source, args.cfg_options) for name, source in names.items()}
    out = Path(args.out_dir or Path('work_dirs', next(iter(names)), 'audit'))
    try:
        found = audit(configs, out, args.deep, args.predictions, args.workers or cores())
    except KeyboardInterrupt:
        sys.exit(f'{prog}: interrupted; the same command goes on from here')
    print(found.counts.text())
    for path in found.written:
        print(f'written     {path}')
    if found.errors:
        sys.exit(f'{prog}: {found.errors:,} errors, see {found.written[-1]}')


def read(name: str, options: Sequence[str]) -> Config:
    """A config; of a table, one with the three splits that mlrfnet new would give it."""
    from mmengine.config import Config

    from mlrfnet_mm.datasets.table_xrays.look import find_settings
    from mlrfnet_mm.datasets.table_xrays.table import read_table
    from mlrfnet_mm.engine.launch import read_with_options

    if not name.lower().endswith(TABLES):
        return read_with_options(name, options)
    if options:
        raise ValueError(f'--cfg-options are for a config: {name} is a table')
    settings, _ = find_settings(Path(name), read_table(Path(name)))
    parts = {
        f'{split}_dataloader': dict(
            dataset=dict(type='mlrfnet_mm.TableXrays', split=split) | settings
        )
        for split in ('train', 'val', 'test')
    }
    return Config(dict(default_scope='mmpretrain', **parts))
