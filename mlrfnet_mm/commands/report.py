"""One page about a training: mlrfnet report WORK_DIR.

Runs what is missing (predictions of test and validation, calibration, complexity, heat maps against
boxes where there are boxes), then writes report.html and report.md into the folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument(
        'work_dir',
        help='folder of the training',
    )
    parser.add_argument(
        '--base', metavar='CONFIG', help="to compare the config with; default: the data set's main"
    )
    parser.add_argument(
        '--page-only', action='store_true', help='run nothing; the page says what is missing'
    )
    parser.add_argument('--replicates', type=int, default=1000, help='of the bootstrap by patient')
    parser.add_argument('--seed', type=int, default=0, help='of the bootstrap')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet report') -> None:
    """Write the pages and say where."""
    args = parse_args(argv, prog)
    from mlrfnet_mm.reports.run_page.complete import complete
    from mlrfnet_mm.reports.run_page.finished_run import read_run
    from mlrfnet_mm.reports.run_page.write import write_report

    read_run(args.work_dir)  # refuses before anything is run
    failed = [] if args.page_only else complete(args.work_dir, lambda text: print(f'run {text}'))
    pages = write_report(args.work_dir, args.base, args.replicates, args.seed)
    for command in failed:
        print(f'failed      {command}')
    for path in pages:
        print(f'written     {path}')
