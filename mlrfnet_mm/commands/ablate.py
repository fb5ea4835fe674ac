"""Run a table of comparisons: mlrfnet ablate table9 [--seeds 0 1 2]."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add_cfg_options

if TYPE_CHECKING:
    from rich.console import Console

    from mlrfnet_mm.reports.ablation import Plan, Run


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Train and test every row of a table with every seed, then write the table. '
        'What is done is skipped; an interrupted run goes on with the same command.',
    )
    parser.add_argument(
        'table', help='folder of row configs with a table.json, or the name of one that is shipped'
    )
    parser.add_argument('--on', metavar='CONFIG', help="put every row over this config's base")
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--only',
        nargs='+',
        default=[],
        metavar='ROW',
        help='run these rows only',
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--work-dir', help='folder of the runs; work_dirs/ablations/TABLE by default'
    )
    parser.add_argument('--gpus', type=int, default=1, metavar='N', help='processes of one run')
    parser.add_argument('--redo', action='store_true', help='move runs on other configs aside')
    parser.add_argument('--out', default='docs/ablations', help='folder of the written table')
    parser.add_argument('--replicates', type=int, default=1000, help='of the bootstrap by patient')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--report-only', action='store_true', help='run nothing, write the table')
    what.add_argument('--dry-run', action='store_true', help='say what would be run')
    args = parser.parse_args(argv)
    for name, least in (('gpus', 1), ('replicates', 1)):
        if getattr(args, name) < least:
            parser.error(f'--{name} must be at least {least}, got {getattr(args, name)}')
    if min(args.seeds) < 0:
        parser.error(f'--seeds must be at least 0, got {min(args.seeds)}')
    return args


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet ablate') -> None:
    """Plan, run, report; exit code 1 if a run failed."""
    args = parse_args(argv, prog)
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
    from mlrfnet_mm.reports.ablation import Settings, execute, list_runs, write_report

    runs = list_runs(plan, args.seeds, work, args.only)
    if args.dry_run:
        console.print('\n'.join(describe(run) for run in runs), markup=False)
        return []
    failures = []
    if not args.report_only:
        settings = Settings(args.gpus, args.redo, command)
        failures = execute(runs, settings, work, console)
    report = write_report(plan, args.seeds, work, Path(args.out), args.replicates)
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
