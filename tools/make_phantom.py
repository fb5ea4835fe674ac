"""Writes the generated thorax phantom in ChestX-ray14's layout: a physics toy to try training on.

python tools/make_phantom.py --out data/phantom
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mlrfnet_mm.datasets.phantom import write_phantom


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('data/phantom'), help='folder to write')
    parser.add_argument('--patients', type=int, default=1140, help='with 1 to 5 images each')
    parser.add_argument('--size', type=int, default=128, help='pixels a side')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same bytes')
    parser.add_argument('--workers', type=int, default=2, help='processes')
    args = parser.parse_args()
    for name, least in dict(patients=1, size=32, seed=0, workers=1).items():
        if getattr(args, name) < least:
            parser.error(f'--{name} must be at least {least}, got {getattr(args, name)}')
    return args


def main() -> None:
    """Writes the data set, or says that it is there already."""
    args = parse_args()
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
            summary = write_phantom(
                args.out,
                patients=args.patients,
                size=args.size,
                seed=args.seed,
                workers=args.workers,
                progress=lambda patients: bar.advance(task, patients),
            )
    except FileExistsError as error:
        raise SystemExit(f'make_phantom: {error}.') from None
    except KeyboardInterrupt:
        raise SystemExit('make_phantom: interrupted; the same command goes on from here.') from None
    count = f'{summary.images:,} images of {summary.patients:,} patients'
    verb = 'wrote' if summary.written else 'nothing to do: already holds'
    print(f'{args.out}: {verb} {count} (generated thorax phantom, seed {args.seed})')


if __name__ == '__main__':
    main()
