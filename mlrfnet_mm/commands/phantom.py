"""Writes the generated thorax phantom in a data set's own layout: a physics toy to try training on.

mlrfnet phantom --out data/phantom
mlrfnet phantom --layout chexpert --out data/phantom-chexpert
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDERS = dict(chestxray14='data/phantom', chexpert='data/phantom-chexpert')
PATIENTS = dict(chestxray14=1140, chexpert=450)


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--layout',
        choices=list(FOLDERS),
        default='chestxray14',
        help='whose folders and tables to write (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, help=f'folder to write (default: {_each(FOLDERS)})')
    parser.add_argument(
        '--patients',
        type=int,
        help=f'with 1 to 5 images or studies each (default: {_each(PATIENTS)})',
    )
    parser.add_argument(
        '--size', type=int, default=128, help='pixels of the shorter side (default: %(default)s)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='same seed, same bytes (default: %(default)s)'
    )
    parser.add_argument('--workers', type=int, default=2, help='processes (default: %(default)s)')
    args = parser.parse_args(argv)
    if args.out is None:
        args.out = Path(FOLDERS[args.layout])
    if args.patients is None:
        args.patients = PATIENTS[args.layout]
    for name, least in dict(patients=1, size=32, seed=0, workers=1).items():
        if getattr(args, name) < least:
            parser.error(f'--{name} must be at least {least}, got {getattr(args, name)}')
    return args


def _each(defaults: Mapping[str, object]) -> str:
    return ', '.join(f'{value} for {layout}' for layout, value in defaults.items())


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet phantom') -> None:
    """Writes the data set, or says that it is there already."""
    args = parse_args(argv, prog)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from mlrfnet_mm.phantom import write_chexpert_phantom, write_phantom

    writers = dict(chestxray14=write_phantom, chexpert=write_chexpert_phantom)
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('patients'),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task('phantom', total=args.patients)
            summary = writers[args.layout](
                args.out,
                patients=args.patients,
                size=args.size,
                seed=args.seed,
                workers=args.workers,
                progress=lambda patients: bar.advance(task, patients),
            )
    except KeyboardInterrupt:
        raise SystemExit(f'{prog}: interrupted; the same command goes on from here.') from None
    count = f'{summary.images:,} images of {summary.patients:,} patients'
    verb = 'wrote' if summary.written else 'nothing to do: already holds'
    print(f'{args.out}: {verb} {count} (generated thorax phantom, seed {args.seed})')
