"""Look for faults in the data of a config: mlrfnet audit CONFIG [--deep].

Who is in which split, what the splits have in common, labels, and with --deep every image file:
duplicates, broken, blank, inverted and rotated ones. Writes a page, audit.html, and problems.csv.
An interrupted look at the files goes on with the same command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'config', nargs='+')
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
    from mlrfnet_mm.engine.launch import read_with_options
    from mlrfnet_mm.engine.machine import cores
    from mlrfnet_mm.reports.audit.page import audit

    names = {Path(config).stem: config for config in args.config}
    if len(names) < len(args.config):
        raise ValueError(f'two configs of one name: {" ".join(args.config)}')
    configs = {name: read_with_options(config, args.cfg_options) for name, config in names.items()}
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
