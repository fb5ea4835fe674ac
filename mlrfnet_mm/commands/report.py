"""One page about a training: mlrfnet report WORK_DIR.

Runs what is missing (predictions of test and validation, calibration, complexity, heat maps against
boxes where there are boxes), then writes report.html and report.md into the folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'work_dir')
    parser.add_argument(
        '--base',
        metavar='CONFIG',
        help="to compare the config with (default: the data set's main config)",
    )
    add(parser, '--no-run')
    add(parser, '--replicates')
    add(parser, '--seed')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet report') -> None:
    """Write the pages and say where; exit code 1 if a part could not be made."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.reports.run_page.complete import complete
    from mlrfnet_mm.reports.run_page.finished_run import read_run
    from mlrfnet_mm.reports.run_page.write import write_report

    read_run(args.work_dir)  # refuses before anything is run
    failed = [] if args.no_run else complete(args.work_dir, say)
    pages = write_report(args.work_dir, args.base, args.replicates, args.seed)
    for path in pages:
        print(f'written     {path}')
    if failed:
        sys.exit(f'{prog}: failed, see above: ' + '; '.join(failed))


def say(command: str) -> None:
    """Print a command before it runs and prints its own lines."""
    print(f'run         {command}', flush=True)
