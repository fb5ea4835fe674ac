"""One page about a run: python tools/report.py WORK_DIR writes report.html and report.md there."""

import argparse
import sys
import warnings

# mmpretrain warns that mmcv-lite has no compiled operators: none are used
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')

from mlrfnet_mm.analysis.report import write_report  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'work_dir',
        help='folder of the run, with predictions.npz and val_predictions.npz of tools/test.py',
    )
    parser.add_argument(
        '--base', metavar='CONFIG', help="to compare the config with; default: the data set's main"
    )
    parser.add_argument('--replicates', type=int, default=1000, help='of the bootstrap by patient')
    parser.add_argument('--seed', type=int, default=0, help='of the bootstrap')
    return parser.parse_args()


def main() -> None:
    """Write the pages and say where."""
    args = parse_args()
    try:
        pages = write_report(args.work_dir, args.base, args.replicates, args.seed)
    except (ValueError, OSError) as error:
        sys.exit(f'report.py: {error}')
    for path in pages:
        print(f'written     {path}')


if __name__ == '__main__':
    main()
