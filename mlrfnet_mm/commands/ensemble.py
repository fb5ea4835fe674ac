"""Average the predictions of several models: mlrfnet ensemble NPZ NPZ … --out NPZ."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog,
        'Average the predictions of several models, or of one model at several sizes, for the\n'
        'same images.',
    )
    add(parser, 'npz', nargs='+')
    parser.add_argument(
        '--mean',
        choices=['probability', 'logit'],
        default='probability',
        help='what is averaged (default: probability)',
    )
    add(parser, '--out', required=True)
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet ensemble') -> None:
    """Load, average, print, write."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.evaluation import Predictions, mean_defined, roc_auc
    from mlrfnet_mm.evaluation.files.ensemble import average
    from mlrfnet_mm.evaluation.files.pairing import load_predictions

    def mean_auc(predictions: Predictions) -> float:
        by_study = predictions.studies is not None
        rows = predictions.per_study() if by_study else predictions
        aucs = roc_auc(rows.scores, rows.labels)
        return mean_defined(aucs[rows.in_mean])

    members = [load_predictions(path) for path in args.npz]
    together = average(members, args.mean)
    for number, (path, member) in enumerate(zip(args.npz, members, strict=True), 1):
        print(f'member {number:<4} mean AUC {mean_auc(member):.4f}  {path}')
    together.save(args.out)
    print(
        f'ensemble    mean AUC {mean_auc(together):.4f}  {together.stamp}, '
        f'{len(together.images):,} images, mean of the {args.mean} of {len(members)}'
    )
    print(f'written     {args.out}')
