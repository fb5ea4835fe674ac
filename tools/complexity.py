"""Parameters, multiply-adds, FLOPs and time per image: python tools/complexity.py CONFIG."""

import argparse
import sys
import warnings
from datetime import date
from pathlib import Path

# mmpretrain warns that mmcv-lite has no compiled operators: none are used
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')

from mlrfnet_mm.analysis.complexity import measure  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, default=224, help='pixels of a side (default: 224)')
    parser.add_argument('--device', default='cpu', help="'cpu' (default) or 'cuda'")
    parser.add_argument('--runs', type=int, default=30, help='timed passes (default: 30)')
    parser.add_argument('--out', metavar='DIR', help='folder for complexity.csv')
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    args = parse_args()
    try:
        measured = measure(args.config, args.shape, args.device, args.runs)
        table = measured.table(args.config)
        print(table.text())
        if args.out:
            Path(args.out).mkdir(parents=True, exist_ok=True)
            stamp = dict(config=args.config, size=args.shape, device=measured.device)
            path = table.write_csv(Path(args.out), stamp | dict(date=date.today().isoformat()))
            print(f'written     {path}')
    except (ValueError, OSError) as error:
        sys.exit(f'complexity.py: {error}')


if __name__ == '__main__':
    main()
