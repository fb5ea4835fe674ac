"""Statistics of saved predictions: mlrfnet evaluate PREDICTIONS.npz [--out-dir DIR]."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    import numpy as np

    from mlrfnet_mm.evaluation import Predictions
    from mlrfnet_mm.reports.scores.statistics import Statistics

# Options that mean nothing without another one.
NEEDED = dict(columns='by', data_root='labels', calibration='clinical', prevalence='clinical')

Loaded = Mapping[str, 'Predictions']  # 'predictions', and 'val', 'against', 'against_val' if given
Draw = Callable[[], list[Path]]  # writes pictures into --out-dir; returns their paths
# Adds its tables; the second argument is called when the bootstrap of a finding is done.
Add = Callable[['Statistics', Callable[[], None]], Draw]


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog, 'AUC and average precision with 95 % intervals, from saved predictions.'
    )
    add(parser, 'npz')
    thresholds = parser.add_mutually_exclusive_group()
    add(thresholds, '--val', '<no Table 7>')
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
    groups = parser.add_argument_group('subgroups')
    groups.add_argument(
        '--by',
        nargs='+',
        default=[],
        metavar='COLUMN',
        help='subgroups: sex, age, view, or a column of --columns; numbers with where to cut them, '
        'as age=40,65',
    )
    groups.add_argument(
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
    for option, needed in NEEDED.items():
        if getattr(args, option) and not getattr(args, needed):
            raise ValueError(f'--{option.replace("_", "-")} is for --{needed}: give that, too')
    names = dict(predictions='npz', val='val', against='against', against_val='against_val')
    files = {name: path for name, key in names.items() if (path := getattr(args, key))}
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    loaded = {name: load_predictions(path, args.unit) for name, path in files.items()}
    adds = [part(args, loaded) for part in PARTS]  # what is wrong is said before the bootstrap
    total = len(loaded['predictions'].classes) * (1 + bool(args.against) + len(args.by))
    with progress_bar('bootstrap', total, 'findings') as bar:
        statistics = evaluate_predictions(
            loaded['predictions'],
            val=loaded.get('val'),
            against=loaded.get('against'),
            choose_on_test=args.choose_on_test,
            files=files,
            rule=args.rule,
            replicates=args.replicates,
            seed=args.seed,
            progress=bar.advance,
        )
        draws = [add(statistics, bar.advance) for add in adds]
    print(statistics.text())
    if args.out_dir:
        written = statistics.write(args.out_dir)
        for path in [*written, *(path for draw in draws for path in draw())]:
            print(f'written     {path}')


def nothing_to_draw() -> list[Path]:
    """No pictures."""
    return []


def nothing_to_add(statistics: Statistics, advance: Callable[[], None]) -> Draw:
    """No tables."""
    return nothing_to_draw


def comparison(args: argparse.Namespace, loaded: Loaded) -> Add:
    """Decisions of two models, margins, and the smallest difference that the images can show."""
    from mlrfnet_mm.reports.scores.comparison.two_models import comparison_tables

    def add_tables(statistics: Statistics, advance: Callable[[], None]) -> Draw:
        statistics.tables.extend(
            comparison_tables(
                loaded['predictions'],
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
        return nothing_to_draw

    return add_tables


def subgroups(args: argparse.Namespace, loaded: Loaded) -> Add:
    """Each group of ``--by``, and a forest plot."""
    if not args.by:
        return nothing_to_add
    from mlrfnet_mm.reports.scores.groups import evaluate_subgroups, plot_forest, read_joined

    test = loaded['predictions']
    columns = read_joined(args.columns, test, args.by) if args.columns else {}

    def add_tables(statistics: Statistics, advance: Callable[[], None]) -> Draw:
        if args.columns:
            statistics.stamp['columns'] = args.columns
        found = evaluate_subgroups(
            test,
            args.by,
            val=loaded.get('val'),
            columns=columns,
            rule=args.rule,
            choose_on_test=args.choose_on_test,
            replicates=args.replicates,
            seed=args.seed,
            progress=advance,
        )
        statistics.tables.extend(found.tables)
        return lambda: plot_forest(found.comparisons, test.stamp, args.out_dir)

    return add_tables


def clinical_use(args: argparse.Namespace, loaded: Loaded) -> Add:
    """The tables for clinical use, and decision curves."""
    if not args.clinical:
        return nothing_to_add
    from mlrfnet_mm.evaluation import Calibration
    from mlrfnet_mm.reports.scores.clinical.decision_figure import plot_decision_curves
    from mlrfnet_mm.reports.scores.clinical.tables import (
        clinical_group_table,
        clinical_tables,
        read_prevalence,
    )

    test = loaded['predictions']
    groups = groups_of(args, test)
    prevalence = read_prevalence(args.prevalence)
    calibration = Calibration.load(args.calibration) if args.calibration else None

    def add_tables(statistics: Statistics, advance: Callable[[], None]) -> Draw:
        if args.calibration:
            statistics.stamp['calibration'] = args.calibration
        statistics.tables.extend(
            clinical_tables(
                test,
                loaded.get('val'),
                rule=args.rule,
                choose_on_test=args.choose_on_test,
                prevalence=prevalence,
                calibration=calibration,
                replicates=args.replicates,
                seed=args.seed,
            )
        )
        if groups:
            statistics.tables.append(
                clinical_group_table(test, groups, calibration, args.replicates, args.seed)
            )
        options = args.replicates, args.seed, statistics.stamp
        return lambda: plot_decision_curves(
            test, calibration, Path(args.out_dir, 'decision_curves'), *options
        )

    return add_tables


def groups_of(args: argparse.Namespace, test: Predictions) -> dict[str, np.ndarray]:
    """Rows of each group of ``--by``, by its name, as ``'sex F'``."""
    from mlrfnet_mm.evaluation.groups.grouping import group_by
    from mlrfnet_mm.reports.scores.groups import read_joined

    columns = read_joined(args.columns, test, args.by) if args.columns else {}
    found = [group_by(test, column, columns) for column in args.by]
    return {
        f'{grouping.name} {name}': grouping.of_image == i
        for grouping in found
        for i, name in enumerate(grouping.groups)
    }


def second_reference(args: argparse.Namespace, loaded: Loaded) -> Add:
    """The same images against the labels of ``--labels``."""
    if not args.labels:
        return nothing_to_add
    from mlrfnet_mm.reports.scores.groups.reference_labels import read_reference
    from mlrfnet_mm.reports.scores.groups.second_reference import second_reference_tables

    reference = read_reference(args.labels, args.data_root)

    def add_tables(statistics: Statistics, advance: Callable[[], None]) -> Draw:
        statistics.stamp['labels'] = args.labels
        statistics.tables.extend(
            second_reference_tables(loaded['predictions'], reference, args.replicates, args.seed)
        )
        return nothing_to_draw

    return add_tables


PARTS = (comparison, subgroups, clinical_use, second_reference)
