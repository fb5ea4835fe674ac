"""Calibration and thresholds: mlrfnet calibrate VAL.npz --checkpoint-dir DIR."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description='Fit a calibration and choose thresholds on validation predictions.'
    )
    parser.add_argument('val', metavar='VAL.npz', help='validation predictions of the checkpoint')
    parser.add_argument(
        '--checkpoint-dir',
        metavar='DIR',
        required=True,
        help='folder of the checkpoint, for calibration.json and thresholds.json',
    )
    parser.add_argument(
        '--method',
        choices=['platt', 'temperature', 'none'],
        default='platt',
        help="default: %(default)s; 'none' writes thresholds on uncalibrated scores only",
    )
    parser.add_argument(
        '--rule',
        default='youden',
        help="how thresholds are chosen: 'youden' (default), 'f1' or 'sensitivity=0.9'",
    )
    parser.add_argument(
        '--unit',
        choices=['image', 'study'],
        default='image',
        help='what scores are of: images (default), or studies by the maximum of their images',
    )
    parser.add_argument(
        '--test', metavar='NPZ', help='test predictions, to print and draw the calibration on'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet calibrate') -> None:
    """Fit, print, write."""
    args = parse_args(argv, prog)
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.scores.calibrate import calibration_table, fit, write
    from mlrfnet_mm.reports.scores.reliability_figure import plot_reliability

    val = load_predictions(args.val, args.unit)
    test = load_predictions(args.test, args.unit) if args.test else None
    calibration, thresholds = fit(val, args.method, args.rule)
    if calibration:
        print(calibration_table(calibration, val, test).text())
    written = write(args.checkpoint_dir, calibration, thresholds)
    if calibration:
        shown = val if test is None else test
        written += plot_reliability(shown, calibration, f'{args.checkpoint_dir}/reliability')
    for path in written:
        print(f'written     {path}')
