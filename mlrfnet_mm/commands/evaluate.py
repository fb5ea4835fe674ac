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
    thresholds.add_argument(
        '--val', metavar='NPZ', help='validation predictions of the same model: adds Table 7'
    )
    thresholds.add_argument(
        '--choose-on-test',
        action='store_true',
        help='Table 7 with thresholds chosen on the test set itself; flatters, and is stamped so',
    )
    parser.add_argument(
        '--against', metavar='NPZ', help='a second model on the same images: paired differences'
    )
    parser.add_argument(
        '--against-val',
        metavar='NPZ',
        help='validation predictions of the second model: with --val and --against, adds '
        'sensitivity and specificity of both, each at thresholds of its own',
    )
    add(parser, '--margin')
    parser.add_argument(
        '--power',
        action='store_true',
        help='adds the smallest difference in AUC that these images can show',
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
    files = dict(
        predictions=args.npz, val=args.val, against=args.against, against_val=args.against_val
    )
    files = {name: path for name, path in files.items() if path}
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.scores.comparison.two_models import comparison_tables
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    loaded = {name: load_predictions(path, args.unit) for name, path in files.items()}
    test = loaded['predictions']
    total = len(test.classes) * (2 if args.against else 1)
    with progress_bar('bootstrap', total, 'findings') as bar:
        statistics = evaluate_predictions(
            test,
            val=loaded.get('val'),
            against=loaded.get('against'),
            choose_on_test=args.choose_on_test,
            files=files,
            rule=args.rule,
            replicates=args.replicates,
            seed=args.seed,
            progress=bar.advance,
        )
    statistics.tables.extend(
        comparison_tables(
            test,
            against=loaded.get('against'),
            val=loaded.get('val'),
            against_val=loaded.get('against_val'),
            margin=args.margin,
            power=args.power,
            rule=args.rule,
            replicates=args.replicates,
            seed=args.seed,
        )
    )
    print(statistics.text())
    if args.out_dir:
        for path in statistics.write(args.out_dir):
            print(f'written     {path}')
