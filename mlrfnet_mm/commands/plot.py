"""Figures as PNG and SVG: mlrfnet plot roc|pr|reliability|curves INPUT [--out-dir DIR]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line: one more word for each figure."""
    parser = new_parser(prog, __doc__.splitlines()[0])
    figures = parser.add_subparsers(dest='figure', required=True)
    helps = dict(
        roc='ROC curves of all findings, AUC with intervals',
        pr='precision-recall curves of all findings, average precision with intervals',
        reliability='reliability curves, before and after calibration',
        curves='loss and AUC over the epochs of a run',
    )
    for name, text in helps.items():
        figure = figures.add_parser(name, help=text, description=text, allow_abbrev=False)
        add(figure, 'work_dir' if name == 'curves' else 'npz')
        add(figure, '--out-dir', "<the input's folder>")
        if name in ('roc', 'pr'):
            figure.add_argument('--grid', action='store_true', help='one square per finding')
            add(figure, '--replicates')
            add(figure, '--seed')
        if name == 'reliability':
            add(figure, '--calibration', '<none: the scores alone>')
            add(figure, '--site', '<that of the calibration, if of its data set>')
    return parser


def draw(args: argparse.Namespace) -> list[Path]:
    """Draw the figure that is asked for."""
    from mlrfnet_mm.evaluation import Calibration
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.output.curves import plot_curves
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.scores.reliability_figure import plot_reliability
    from mlrfnet_mm.reports.scores.roc_figure import plot_areas
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    if args.figure == 'curves':
        picture = plot_curves(args.work_dir, Path(args.out_dir or args.work_dir, 'curves.png'))
        return [picture, picture.with_suffix('.svg')]
    source = Path(args.npz)
    stem = Path(args.out_dir or source.parent, args.figure)
    predictions = load_predictions(source, 'image' if args.figure == 'reliability' else 'auto')
    if args.figure == 'reliability':
        calibration = Calibration.load(args.calibration) if args.calibration else None
        return plot_reliability(predictions, calibration, stem, args.site or '')
    with progress_bar('bootstrap', len(predictions.classes), 'findings') as bar:
        statistics = evaluate_predictions(
            predictions, replicates=args.replicates, seed=args.seed, progress=bar.advance
        )
    records = statistics.tables[0].records
    return plot_areas(predictions, records, stem, args.figure, args.grid)


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet plot') -> None:
    """Draw and say where."""
    args = make_parser(prog).parse_args(argv)
    for path in draw(args):
        print(f'written     {path}')
