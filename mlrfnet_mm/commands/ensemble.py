"""Average the predictions of several models: mlrfnet ensemble NPZ NPZ … --out NPZ."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    from mlrfnet_mm.evaluation import Predictions


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog,
        'Average the predictions of several models, or of one model at several sizes, for the\n'
        'same images; with --val, weights are fitted on validation predictions.',
    )
    add(parser, 'npz', nargs='+')
    parser.add_argument(
        '--mean',
        choices=['probability', 'logit'],
        default='probability',
        help='what is averaged (default: probability)',
    )
    add(parser, '--val', '<equal weights>', nargs='+')
    parser.add_argument(
        '--weights-by',
        choices=['auc', 'likelihood'],
        help='with --val: what the weights make greatest, the mean AUC or the likelihood (default: '
        'auc)',
    )
    parser.add_argument(
        '--val-out',
        metavar='NPZ',
        help="with --val: file for the ensemble's validation predictions, for calibrate",
    )
    add(parser, '--out', required=True)
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet ensemble') -> None:
    """Load, fit, average, print, write."""
    parser = make_parser(prog)
    args = parser.parse_args(argv)
    if not args.val and (args.weights_by or args.val_out):
        parser.error('--weights-by and --val-out are of weights from validation: add --val')
    from mlrfnet_mm.evaluation.files.ensemble import average
    from mlrfnet_mm.evaluation.files.ensemble_weights import weights_from_validation
    from mlrfnet_mm.evaluation.files.pairing import load_predictions

    members = [load_predictions(path) for path in args.npz]
    validation = [load_predictions(path) for path in args.val or ()]
    weights = None
    if validation:
        weights = weights_from_validation(members, validation, args.mean, args.weights_by or 'auc')
    together = average(members, args.mean, weights)
    for number, (path, member) in enumerate(zip(args.npz, members, strict=True), 1):
        weight = '' if weights is None else f'weight {weights[number - 1]:.3f}  '
        print(f'member {number:<4} {weight}mean AUC {mean_auc(member):.4f}  {path}')
    together.save(args.out)
    print(
        f'ensemble    mean AUC {mean_auc(together):.4f}  {together.stamp}, '
        f'{len(together.images):,} images, mean of the {args.mean} of {len(members)}'
    )
    if weights is not None:
        on_validation = average(validation, args.mean, weights)
        equal = mean_auc(average(validation, args.mean))
        print(
            f'validation  mean AUC {mean_auc(on_validation):.4f}, with equal weights {equal:.4f}; '
            'the weights were fitted on it'
        )
        for number, val in enumerate(validation, 1):
            if not (val.checkpoint and members[number - 1].checkpoint):
                print(f'member {number:<4} no checkpoint recorded: that both files are of it is '
                      'not known')  # fmt: skip
        if args.val_out:
            on_validation.save(args.val_out)
            print(f'written     {args.val_out}')
    print(f'written     {args.out}')


def mean_auc(predictions: Predictions) -> float:
    """Mean over the scored findings, of studies where there are studies."""
    from mlrfnet_mm.evaluation import mean_defined, roc_auc

    rows = predictions.per_study() if predictions.studies is not None else predictions
    return mean_defined(roc_auc(rows.scores, rows.labels)[rows.in_mean])
