"""Statistics of saved predictions: mlrfnet evaluate PREDICTIONS.npz [--out DIR]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description='AUC and average precision with 95 % intervals, from saved predictions.',
    )
    parser.add_argument('predictions', metavar='NPZ', help='what mlrfnet test --out wrote')
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
        '--rule',
        default='youden',
        help="how thresholds are chosen: 'youden' (default), 'f1' or 'sensitivity=0.9'",
    )
    parser.add_argument(
        '--against', metavar='NPZ', help='a second model on the same images: paired differences'
    )
    parser.add_argument(
        '--unit',
        choices=['auto', 'image', 'study'],
        default='auto',
        help='what is scored; default: studies (maximum over views) where the file has them',
    )
    parser.add_argument('--replicates', type=int, default=1000, help='of the bootstrap by patient')
    parser.add_argument('--seed', type=int, default=0, help='of the bootstrap')
    parser.add_argument('--out', metavar='DIR', help='folder for statistics.md and CSV files')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet evaluate') -> None:
    """Load, compute, print, write."""
    args = parse_args(argv, prog)
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    statistics = evaluate_predictions(
        load_predictions(args.predictions, args.unit),
        val=load_predictions(args.val, args.unit) if args.val else None,
        against=load_predictions(args.against, args.unit) if args.against else None,
        rule=args.rule,
        choose_on_test=args.choose_on_test,
        replicates=args.replicates,
        seed=args.seed,
        files={k: v for k in ('predictions', 'val', 'against') if (v := getattr(args, k))},
    )
    print(statistics.text())
    if args.out:
        for path in statistics.write(args.out):
            print(f'written     {path}')
