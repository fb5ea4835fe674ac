"""Two models of several seeds or readers each: mlrfnet compare --a NPZ NPZ --b NPZ NPZ."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog,
        'AUCs of two models and their difference, over patients and over the seeds or readers of\n'
        'which each model has several prediction files.',
    )
    for name, whose in (('--a', 'one model'), ('--b', 'the other model')):
        text = f'predictions of {whose} on the same images, one file per seed or reader'
        parser.add_argument(name, nargs='+', required=True, metavar='NPZ', help=text)
    parser.add_argument(
        '--paired',
        action='store_true',
        help='the i-th files of both models belong together, as those of one reader do',
    )
    add(parser, '--margin')
    add(parser, '--unit', 'auto')
    add(parser, '--replicates')
    add(parser, '--seed')
    add(parser, '--out-dir', '<nothing is written>')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet compare') -> None:
    """Load, compute, print, write."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.scores.comparison.seeds import compare_models

    first, second = (
        [load_predictions(path, args.unit) for path in paths] for paths in (args.a, args.b)
    )
    with progress_bar('bootstrap', len(first) + len(second), 'files') as bar:
        statistics = compare_models(
            first,
            second,
            paired=args.paired,
            margin=args.margin,
            replicates=args.replicates,
            seed=args.seed,
            files=dict(a=' '.join(args.a), b=' '.join(args.b)),
            progress=bar.advance,
        )
    print(statistics.text())
    if args.out_dir:
        for path in statistics.write(args.out_dir):
            print(f'written     {path}')
