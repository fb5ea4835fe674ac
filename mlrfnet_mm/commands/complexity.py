"""Parameters, multiply-adds, FLOPs and time per image: mlrfnet complexity CONFIG."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, default=224, help='pixels of a side (default: 224)')
    parser.add_argument('--device', default='cpu', help="'cpu' (default) or 'cuda'")
    parser.add_argument('--runs', type=int, default=30, help='timed passes (default: 30)')
    parser.add_argument('--out', metavar='DIR', help='folder for complexity.csv')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet complexity') -> None:
    """Measure, print, write."""
    args = parse_args(argv, prog)
    from mlrfnet_mm.reports.complexity import measure

    measured = measure(args.config, args.shape, args.device, args.runs)
    table = measured.table(args.config)
    print(table.text())
    if args.out:
        Path(args.out).mkdir(parents=True, exist_ok=True)
        stamp = dict(config=args.config, size=args.shape, device=measured.device)
        path = table.write_csv(Path(args.out), stamp | dict(date=date.today().isoformat()))
        print(f'written     {path}')
