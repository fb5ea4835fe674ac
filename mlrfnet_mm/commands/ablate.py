"""Run a table of comparisons: mlrfnet ablate table9 [--seeds 0 1 2]."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, at_least, new_parser

if TYPE_CHECKING:
    from rich.console import Console

    from mlrfnet_mm.reports.ablation import Plan, Run


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog,
        'Train and test every row of a table with every seed, then write the table.\n'
        'What is done is skipped; an interrupted run goes on with the same command.',
    )
    parser.add_argument(
        'table',
        metavar='TABLE',
        help='folder of row configs with a table.json, or the name of one that is shipped',
    )
    add(parser, '--on')
    parser.add_argument(
        '--seeds',
        type=at_least(0),
        nargs='+',
        default=[0, 1, 2],
        metavar='N',
        help='seeds of the trainings (default: 0 1 2)',
    )
    parser.add_argument(
        '--only', nargs='+', default=[], metavar='ROW', help='run these rows only (default: all)'
    )
    add(parser, '--cfg-options')
    add(parser, '--work-dir', '<work_dirs/ablations/TABLE>')
    parser.add_argument(
        '--gpus', type=at_least(1), default=1, metavar='N', help='processes of one run (default: 1)'
    )
    parser.add_argument('--redo', action='store_true', help='move runs on other configs aside')
    add(parser, '--out-dir', 'docs/ablations')
    add(parser, '--replicates')
    what = parser.add_mutually_exclusive_group()
    add(what, '--no-run')
    add(what, '--ray')
    what.add_argument('--dry-run', action='store_true', help='say what would be run')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet ablate') -> None:
    """Plan, run, report; exit code 1 if a run failed."""
    args = make_parser(prog).parse_args(argv)
    from rich.console import Console

    from mlrfnet_mm.reports.ablation import build_plan

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: the child is ended too
    console = Console(soft_wrap=True, highlight=False)
    try:
        plan = build_plan(args.table, args.on, args.cfg_options)
        work = Path(args.work_dir or Path('work_dirs', 'ablations', plan.name))
        command = shlex.join([*prog.split(), *(sys.argv[1:] if argv is None else argv)])
        failures = run_and_report(args, plan, work, console, command)
    except KeyboardInterrupt:
        sys.exit(f'{prog}: interrupted; the same command goes on from here')
    if failures:
        sys.exit(f'{prog}: {len(failures)} runs failed, see above; the same command tries again')


def run_and_report(
    args: argparse.Namespace, plan: Plan, work: Path, console: Console, command: str
) -> list[str]:
    """Do what the command line asks for; return the failures."""
    from mlrfnet_mm.reports.ablation import (
        Settings,
        execute,
        execute_on_ray,
        list_runs,
        write_report,
    )

    runs = list_runs(plan, args.seeds, work, args.only)
    if args.dry_run:
        console.print('\n'.join(describe(run) for run in runs), markup=False)
        return []
    failures = []
    if not args.no_run:
        settings = Settings(args.gpus, args.redo, command)
        if args.ray is None:
            failures = execute(runs, settings, work, console)
        else:
            failures = execute_on_ray(runs, settings, work, console, args.ray)
    report = write_report(plan, args.seeds, work, Path(args.out_dir), args.replicates)
    console.print(report.text(), markup=False)
    for path in report.paths:
        console.print(f'written     {path}', markup=False)
    return failures


def describe(run: Run) -> str:
    """One line of a dry run."""
    from mlrfnet_mm.reports.ablation import finished

    done, other = finished(run)
    known = 'done' if done else 'begun' if run.record('begun') else 'to do'
    line = f'{run.row:24} seed {run.seed:<4} {known:6} {run.folder}'
    return line + (f': refused, it holds another config ({other})' if other else '')
