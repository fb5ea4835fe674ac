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
        '--by',
        nargs='+',
        default=[],
        metavar='COLUMN',
        help='subgroups: sex, age, view, or a column of --columns; numbers with where to cut them, '
        'as age=40,65',
    )
    parser.add_argument(
        '--columns', metavar='CSV', help='table with further columns, joined by the image name'
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
    if args.columns and not args.by:
        raise ValueError(f'--columns {args.columns} is for --by COLUMN, which is not given')
    files = dict(predictions=args.npz, val=args.val, against=args.against)
    files = {name: path for name, path in files.items() if path}
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.scores.groups import evaluate_subgroups, plot_forest, read_joined
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    loaded = {name: load_predictions(path, args.unit) for name, path in files.items()}
    test = loaded['predictions']
    columns = read_joined(args.columns, test, args.by) if args.columns else {}
    total = len(test.classes) * (1 + bool(args.against) + len(args.by))
    with progress_bar('bootstrap', total, 'findings') as bar:
        statistics = evaluate_predictions(
            test,
            val=loaded.get('val'),
            against=loaded.get('against'),
            rule=args.rule,
            choose_on_test=args.choose_on_test,
            replicates=args.replicates,
            seed=args.seed,
            files=files | ({'columns': args.columns} if args.columns else {}),
            progress=bar.advance,
        )
        groups = evaluate_subgroups(
            test,
            args.by,
            val=loaded.get('val'),
            columns=columns,
            rule=args.rule,
            choose_on_test=args.choose_on_test,
            replicates=args.replicates,
            seed=args.seed,
            progress=bar.advance,
        )
    statistics.tables.extend(groups.tables)
    print(statistics.text())
    if args.out_dir:
        written = statistics.write(args.out_dir)
        for path in [*written, *plot_forest(groups.comparisons, test.stamp, args.out_dir)]:
            print(f'written     {path}')
