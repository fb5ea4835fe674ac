"""Figures as PNG and SVG: mlrfnet plot roc|pr|reliability|curves INPUT [--out STEM]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    figures = parser.add_subparsers(dest='figure', required=True)
    helps = dict(
        roc='ROC curves of all findings, AUC with intervals',
        pr='precision-recall curves of all findings, average precision with intervals',
        reliability='reliability curves, before and after calibration',
        curves='loss and AUC over the epochs of a run',
    )
    for name, text in helps.items():
        figure = figures.add_parser(name, help=text, description=text)
        if name == 'curves':
            figure.add_argument('input', metavar='WORK_DIR', help='folder of the run')
        else:
            figure.add_argument('input', metavar='NPZ', help='what mlrfnet test --out wrote')
        figure.add_argument(
            '--out', metavar='STEM', help=f'of .png and .svg; default: {name} next to the input'
        )
        if name in ('roc', 'pr'):
            figure.add_argument('--grid', action='store_true', help='one square per finding')
            figure.add_argument('--replicates', type=int, default=1000, help='of the bootstrap')
            figure.add_argument('--seed', type=int, default=0, help='of the bootstrap')
        if name == 'reliability':
            figure.add_argument(
                '--calibration', metavar='JSON', help='what mlrfnet calibrate wrote, or its folder'
            )
    return parser.parse_args(argv)


def draw(args: argparse.Namespace) -> list[Path]:
    """Draw the figure that is asked for."""
    from mlrfnet_mm.evaluation import Calibration
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.curves import plot_curves
    from mlrfnet_mm.reports.scores.reliability_figure import plot_reliability
    from mlrfnet_mm.reports.scores.roc_figure import plot_areas
    from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

    source = Path(args.input)
    folder = source if source.is_dir() else source.parent
    stem = Path(args.out or folder / args.figure)
    if args.figure == 'curves':
        picture = plot_curves(source, f'{stem}.png')
        return [picture, picture.with_suffix('.svg')]
    predictions = load_predictions(source, 'image' if args.figure == 'reliability' else 'auto')
    if args.figure == 'reliability':
        calibration = Calibration.load(args.calibration) if args.calibration else None
        return plot_reliability(predictions, calibration, stem)
    statistics = evaluate_predictions(predictions, replicates=args.replicates, seed=args.seed)
    records = statistics.tables[0].records
    return plot_areas(predictions, records, stem, args.figure, args.grid)


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet plot') -> None:
    """Draw and say where."""
    args = parse_args(argv, prog)
    for path in draw(args):
        print(f'written     {path}')
