"""Statistics of saved predictions: mlrfnet evaluate PREDICTIONS.npz [--out-dir DIR]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    from mlrfnet_mm.evaluation import Calibration, Predictions
    from mlrfnet_mm.reports.scores.clinical.rates import Prevalence
    from mlrfnet_mm.reports.scores.groups.reference_labels import ReferenceLabels
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
    files = dict(predictions=args.npz, val=args.val, against=args.against)
    files = {name: path for name, path in files.items() if path}
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    loaded = {name: load_predictions(path, args.unit) for name, path in files.items()}
    test = loaded['predictions']
    more = Additions.read(args)  # what is wrong in it is said before the bootstrap
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
    if args.clinical:
        add_clinical(args, more, statistics, test, loaded.get('val'))
    if more.reference:
        add_second_reference(args, more.reference, statistics, test)
    print(statistics.text())
    if args.out_dir:
        written = statistics.write(args.out_dir)
        if args.clinical:
            written += draw_decision_curves(args, more, statistics, test)
        for path in written:
            print(f'written     {path}')


class Additions(NamedTuple):
    """What --clinical and --labels read."""

    calibration: Calibration | None
    prevalence: Prevalence | None
    reference: ReferenceLabels | None

    @classmethod
    def read(cls, args: argparse.Namespace) -> Additions:
        """Read what the options name.

        Raises:
            ValueError: an option without the one that it is for, and what the readers refuse.
        """
        for option, other in dict(
            calibration='clinical', prevalence='clinical', data_root='labels'
        ).items():
            if getattr(args, option) and not getattr(args, other):
                name = option.replace('_', '-')
                raise ValueError(f'--{name} is for --{other}: give that, too')
        from mlrfnet_mm.evaluation import Calibration
        from mlrfnet_mm.reports.scores.clinical.tables import read_prevalence

        calibration = Calibration.load(args.calibration) if args.calibration else None
        reference = None
        if args.labels:  # the one that needs the framework
            from mlrfnet_mm.reports.scores.groups.reference_labels import read_reference

            reference = read_reference(args.labels, args.data_root)
        return cls(calibration, read_prevalence(args.prevalence), reference)


def add_clinical(
    args: argparse.Namespace,
    more: Additions,
    statistics: Statistics,
    test: Predictions,
    val: Predictions | None,
) -> None:
    """Add the tables for clinical use."""
    from mlrfnet_mm.reports.scores.clinical.tables import clinical_tables

    if args.calibration:
        statistics.stamp['calibration'] = args.calibration
    statistics.tables.extend(
        clinical_tables(
            test,
            val,
            rule=args.rule,
            choose_on_test=args.choose_on_test,
            prevalence=more.prevalence,
            calibration=more.calibration,
            replicates=args.replicates,
            seed=args.seed,
        )
    )


def draw_decision_curves(
    args: argparse.Namespace, more: Additions, statistics: Statistics, test: Predictions
) -> list[Path]:
    """Draw the decision curves into the folder."""
    from mlrfnet_mm.reports.scores.clinical.decision_figure import plot_decision_curves

    stem = Path(args.out_dir, 'decision_curves')
    options = args.replicates, args.seed, statistics.stamp
    return plot_decision_curves(test, more.calibration, stem, *options)


def add_second_reference(
    args: argparse.Namespace, reference: ReferenceLabels, statistics: Statistics, test: Predictions
) -> None:
    """Add the tables of two references."""
    from mlrfnet_mm.reports.scores.groups.second_reference import second_reference_tables

    statistics.stamp['labels'] = args.labels
    statistics.tables.extend(second_reference_tables(test, reference, args.replicates, args.seed))
