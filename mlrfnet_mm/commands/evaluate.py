"""Statistics of saved predictions: mlrfnet evaluate PREDICTIONS.npz [--out-dir DIR]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog, 'AUC and average precision with 95 % intervals, from saved predictions.'
    )
    add(parser, 'npz')
    thresholds = parser.add_mutually_exclusive_group()
    add(thresholds, '--val')
    thresholds.add_argument(
        '--choose-on-test',
        action='store_true',
        help='Table 7 with thresholds chosen on the test set itself; flatters, and is stamped so',
    )
    parser.add_argument(
        '--against', metavar='NPZ', help='a second model on the same images: paired differences'
    )
    add(parser, '--rule')
    add(parser, '--unit', 'auto')
    add(parser, '--replicates')
    add(parser, '--seed')
    add(parser, '--out-dir', '<nothing is written>')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet evaluate') -> None:
    """Load, compute, print, write."""
    args = make_parser(prog).parse_args(argv)
    files = dict(predictions=args.npz, val=args.val, against=args.against)
    files = {name: path for name, path in files.items() if path}
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    loaded = {name: load_predictions(path, args.unit) for name, path in files.items()}
    test = loaded['predictions']
    total = len(test.classes) * (2 if args.against else 1)
    with progress_bar('bootstrap', total, 'findings') as bar:
        statistics = evaluate_predictions(
            test,
            val=loaded.get('val'),
            against=loaded.get('against'),
            rule=args.rule,
            choose_on_test=args.choose_on_test,
            replicates=args.replicates,
            seed=args.seed,
            files=files,
            progress=bar.advance,
        )
    print(statistics.text())
    if args.out_dir:
        for path in statistics.write(args.out_dir):
            print(f'written     {path}')
