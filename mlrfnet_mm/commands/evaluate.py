"""Statistics of saved predictions: mlrfnet evaluate PREDICTIONS.npz [--out-dir DIR]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    from mlrfnet_mm.evaluation import Predictions
    from mlrfnet_mm.reports.scores.statistics import Statistics


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
    add(parser, '--labels')
    add(parser, '--data-root', '<as in training>')
    clinical = parser.add_argument_group('clinical use')
    clinical.add_argument(
        '--clinical',
        action='store_true',
        help='sensitivity at fixed specificity, partial AUC, calibration slope, net benefit; with '
        '--out-dir the decision curves',
    )
    clinical.add_argument(
        '--prevalence',
        nargs='+',
        default=[],
        metavar='SHARE',
        help='how frequent findings are where the model is to be used, a number or FINDING=NUMBER '
        '…: adds PPV and NPV there; needs --val or --choose-on-test',
    )
    add(clinical, '--calibration', '<scores as they are, and the tables say so>')
    add(parser, '--rule')
    add(parser, '--unit', 'auto')
    add(parser, '--replicates')
    add(parser, '--seed')
    add(parser, '--out-dir', '<nothing is written>')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet evaluate') -> None:
    """Load, compute, print, write."""
    args = make_parser(prog).parse_args(argv)
    if args.data_root and not args.labels:
        raise ValueError('--data-root is for --labels: give that, too')
    for option in ('calibration', 'prevalence'):
        if getattr(args, option) and not args.clinical:
            raise ValueError(f'--{option} is for --clinical: give that, too')
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
    figures = add_clinical(args, statistics, test, loaded.get('val')) if args.clinical else []
    if args.labels:
        from mlrfnet_mm.reports.scores.groups.reference_labels import read_reference
        from mlrfnet_mm.reports.scores.groups.second_reference import second_reference_tables

        statistics.stamp['labels'] = args.labels
        reference = read_reference(args.labels, args.data_root)
        statistics.tables.extend(
            second_reference_tables(test, reference, args.replicates, args.seed)
        )
    print(statistics.text())
    if args.out_dir:
        for path in [*statistics.write(args.out_dir), *figures]:
            print(f'written     {path}')


def add_clinical(
    args: argparse.Namespace, statistics: Statistics, test: Predictions, val: Predictions | None
) -> list[Path]:
    """Add the tables for clinical use; with a folder draw the decision curves, too."""
    from mlrfnet_mm.evaluation import Calibration
    from mlrfnet_mm.reports.scores.clinical.decision_figure import plot_decision_curves
    from mlrfnet_mm.reports.scores.clinical.tables import clinical_tables, read_prevalence

    calibration = None
    if args.calibration:
        statistics.stamp['calibration'] = args.calibration
        calibration = Calibration.load(args.calibration)
    statistics.tables.extend(
        clinical_tables(
            test,
            val,
            args.rule,
            args.choose_on_test,
            read_prevalence(args.prevalence),
            calibration,
            args.replicates,
            args.seed,
        )
    )
    if not args.out_dir:
        return []
    stem = Path(args.out_dir, 'decision_curves')
    options = args.replicates, args.seed, statistics.stamp
    return plot_decision_curves(test, calibration, stem, *options)
