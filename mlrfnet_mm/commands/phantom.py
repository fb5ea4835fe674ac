"""Writes the generated thorax phantom in a data set's own layout: a physics toy to try training on.

mlrfnet phantom
mlrfnet phantom --layout chexpert
mlrfnet phantom --planted --out-dir data/phantom-planted
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from mlrfnet_mm.commands.options import add, at_least, new_parser

FOLDERS = dict(chestxray14='data/phantom', chexpert='data/phantom-chexpert')
PATIENTS = dict(chestxray14=1140, chexpert=450)
LEAST_SIZE = 32


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    parser.add_argument(
        '--layout',
        choices=list(FOLDERS),
        default='chestxray14',
        help='whose folders and tables to write (default: chestxray14)',
    )
    add(parser, '--out-dir', f'<{_each(FOLDERS)}>')
    parser.add_argument(
        '--patients',
        type=at_least(1),
        metavar='N',
        help=f'patients, with 1 to 5 images or studies each (default: {_each(PATIENTS)})',
    )
    add(parser, '--size', 128)
    add(parser, '--seed')
    add(parser, '--workers', 2)
    parser.add_argument(
        '--planted',
        action='store_true',
        help='three findings are rarer and three fainter in one group each, by sex, age and view, '
        'to see whether evaluate --by finds them',
    )
    return parser


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(prog)
    args = parser.parse_args(argv)
    args.out_dir = Path(args.out_dir or FOLDERS[args.layout])
    args.patients = args.patients or PATIENTS[args.layout]
    if args.planted and args.layout != 'chestxray14':
        parser.error(f'argument --planted: for --layout chestxray14 alone, got {args.layout}')
    if args.size < LEAST_SIZE:
        parser.error(f'argument --size: must be at least {LEAST_SIZE}, got {args.size}')
    return args


def _each(defaults: Mapping[str, object]) -> str:
    return ', '.join(f'{value} for {layout}' for layout, value in defaults.items())


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet phantom') -> None:
    """Writes the data set, or says that it is there already."""
    args = parse_args(argv, prog)
    from mlrfnet_mm.datasets.phantom import write_chexpert_phantom, write_phantom
    from mlrfnet_mm.reports.output.progress import progress_bar

    chestxray14 = partial(write_phantom, planted=args.planted)
    writers: dict[str, Callable] = dict(chestxray14=chestxray14, chexpert=write_chexpert_phantom)
    try:
        with progress_bar('phantom', args.patients, 'patients') as bar:
            summary = writers[args.layout](
                args.out_dir,
                patients=args.patients,
                size=args.size,
                seed=args.seed,
                workers=args.workers,
                progress=bar.advance,
            )
    except KeyboardInterrupt:
        raise SystemExit(f'{prog}: interrupted; the same command goes on from here.') from None
    count = f'{summary.images:,} images of {summary.patients:,} patients'
    verb = 'wrote' if summary.written else 'nothing to do: already holds'
    print(f'{args.out_dir}: {verb} {count} (generated thorax phantom, seed {args.seed})')
