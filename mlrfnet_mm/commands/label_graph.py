"""Label graph of a config's training data: mlrfnet label-graph CONFIG.

Counts how often findings are there together, and writes the counts for LabelGraphHead(graph=…) and
FindingGraphHead, and a picture of them. A control with the same counts of each finding and nothing
between them: --cfg-options train_dataloader.dataset.shuffle_labels=0
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'config')
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.1,
        metavar='T',
        help='least P(j | i) with which j is an edge of i (default: 0.1)',
    )
    add(parser, '--out-dir', '<work_dirs/CONFIG>')
    add(parser, '--cfg-options')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet label-graph') -> None:
    """Count, print, write, draw."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.engine.launch import read_with_options
    from mlrfnet_mm.evaluation.files.whole_files import write_text
    from mlrfnet_mm.reports.output.label_graph import count_labels, describe, plot_label_graph

    counts = count_labels(read_with_options(args.config, args.cfg_options), args.threshold)
    print(describe(counts))
    folder = Path(args.out_dir or Path('work_dirs', Path(args.config).stem))
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / 'label_graph.json'
    write_text(out, counts.text())
    for path in [out, *plot_label_graph(counts, out.with_suffix(''))]:
        print(f'written     {path}')
