"""Label graph of a config's training data: mlrfnet label-graph CONFIG.

Counts how often findings are there together, and writes the counts for LabelGraphHead(graph=…) and
FindingGraphHead, and a picture of them. A control with the same counts of each finding and nothing
between them: --cfg-options train_dataloader.dataset.shuffle_labels=0
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    from mlrfnet_mm.commands.options import add_cfg_options

    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, or the name of one that is shipped')
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.1,
        metavar='T',
        help='P(j | i) from which on j is an edge of i (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.json',
        help='default: work_dirs/CONFIG/label_graph.json; the picture has the same name',
    )
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.out and args.out.suffix != '.json':
        parser.error(f'--out must end in .json, got {args.out}')
    return args


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet label-graph') -> None:
    """Count, print, write, draw."""
    args = parse_args(argv, prog)
    from mlrfnet_mm.engine.launch import check_keys, parse_options, read_config
    from mlrfnet_mm.evaluation.files.whole_files import write_text
    from mlrfnet_mm.reports.output.label_graph import count_labels, describe, plot_label_graph

    cfg = read_config(args.config)
    options = parse_options(args.cfg_options)
    check_keys(cfg, options, args.config)
    cfg.merge_from_dict(options)
    counts = count_labels(cfg, args.threshold)
    print(describe(counts))
    out = args.out or Path('work_dirs', Path(args.config).stem, 'label_graph.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, counts.text())
    for path in [out, *plot_label_graph(counts, out.with_suffix(''))]:
        print(f'written     {path}')
