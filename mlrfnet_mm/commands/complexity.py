"""Parameters, multiply-adds, FLOPs and time per image: mlrfnet complexity CONFIG."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from mlrfnet_mm.commands.options import add, at_least, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__.splitlines()[0])
    add(parser, 'config')
    add(parser, '--size', 224)
    add(parser, '--device', 'cpu')
    parser.add_argument(
        '--runs', type=at_least(1), default=30, metavar='N', help='timed passes (default: 30)'
    )
    add(parser, '--out-dir', '<nothing is written>')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet complexity') -> None:
    """Measure, print, write."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.reports.complexity import measure

    measured = measure(args.config, args.size, args.device, args.runs)
    table = measured.table(args.config)
    print(table.text())
    if args.out_dir:
        Path(args.out_dir).mkdir(parents=True, exist_ok=True)
        stamp = dict(config=args.config, size=args.size, device=measured.device)
        path = table.write_csv(Path(args.out_dir), stamp | dict(date=date.today().isoformat()))
        print(f'written     {path}')
