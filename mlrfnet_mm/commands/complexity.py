"""Parameters, multiply-adds, FLOPs and time per image: mlrfnet complexity CONFIG …."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, at_least, new_parser

if TYPE_CHECKING:
    from mmengine.config import Config


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog,
        'Parameters, multiply-adds, FLOPs and time per image: of one network by parts, or of\n'
        'several (CONFIG: or a table, as for mlrfnet ablate), measured in turn in one run.',
    )
    add(parser, 'config', nargs='+')
    add(parser, '--size', "<the config's>")
    add(parser, '--device', 'cpu')
    parser.add_argument(
        '--runs', type=at_least(1), default=30, metavar='N', help='timed passes (default: 30)'
    )
    add(parser, '--out-dir', '<nothing is written>')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet complexity') -> None:
    """Measure, print, write."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.engine.launch import read_config
    from mlrfnet_mm.evaluation.files.whole_files import replacing
    from mlrfnet_mm.reports.ablation.description import is_table
    from mlrfnet_mm.reports.ablation.plan import build_plan
    from mlrfnet_mm.reports.complexity import compare, comparison

    configs: dict[str, Config] = {}
    for name in args.config:
        if is_table(name):
            configs |= {row.label: row.config for row in build_plan(name).rows}
        else:
            configs[name] = read_config(name)
    found = compare(configs, args.size, args.device, args.runs)
    one = next(iter(found.values()))
    table = comparison(found) if len(found) > 1 else one.table(next(iter(found)))
    print(table.text(140))
    if args.out_dir:
        folder = Path(args.out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = dict(config=' '.join(args.config), device=one.device)
        size = {} if len(found) > 1 else dict(size=one.size)  # else in each record
        path = table.write_csv(folder, stamp | size | dict(date=date.today().isoformat()))
        page = folder / f'{table.name}.md'
        with replacing(page) as part:
            part.write_text(table.markdown(), encoding='utf-8')
        print(f'written     {path}, {page}')
