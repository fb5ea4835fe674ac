"""Figures as PNG and SVG: python tools/plot.py roc|pr|reliability|curves INPUT [--out STEM]."""

import argparse
import sys
from pathlib import Path

from mlrfnet_mm.analysis.curves import plot_curves
from mlrfnet_mm.analysis.pairing import load_predictions
from mlrfnet_mm.analysis.reliability_figure import plot_reliability
from mlrfnet_mm.analysis.roc_figure import plot_areas
from mlrfnet_mm.analysis.statistics import evaluate_predictions
from mlrfnet_mm.evaluation import Calibration


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
            figure.add_argument('input', metavar='NPZ', help='what tools/test.py --out wrote')
        figure.add_argument(
            '--out', metavar='STEM', help=f'of .png and .svg; default: {name} beside the input'
        )
        if name in ('roc', 'pr'):
            figure.add_argument('--grid', action='store_true', help='one square a finding')
            figure.add_argument('--replicates', type=int, default=1000, help='of the bootstrap')
            figure.add_argument('--seed', type=int, default=0, help='of the bootstrap')
        if name == 'reliability':
            figure.add_argument(
                '--calibration', metavar='JSON', help='what tools/calibrate.py wrote, or its folder'
            )
    return parser.parse_args()


def draw(args: argparse.Namespace) -> list[Path]:
    """Draw the figure that is asked for."""
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


def main() -> None:
    """Draw and say where."""
    args = parse_args()
    try:
        for path in draw(args):
            print(f'written     {path}')
    except (ValueError, OSError) as error:
        sys.exit(f'plot.py: {error}')


if __name__ == '__main__':
    main()
