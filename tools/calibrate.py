"""Calibration and thresholds: python tools/calibrate.py VAL.npz --checkpoint-dir DIR."""

import argparse
import sys

from mlrfnet_mm.analysis.calibrate import calibration_table, fit, write
from mlrfnet_mm.analysis.pairing import load_predictions
from mlrfnet_mm.analysis.reliability_figure import plot_reliability
from mlrfnet_mm.evaluation.calibration import METHODS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Fit a calibration and choose thresholds on validation predictions.'
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
        choices=[*METHODS, 'none'],
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
    return parser.parse_args()


def main() -> None:
    """Fit, print, write."""
    args = parse_args()
    try:
        val = load_predictions(args.val, args.unit)
        test = load_predictions(args.test, args.unit) if args.test else None
        calibration, thresholds = fit(val, args.method, args.rule)
        if calibration:
            print(calibration_table(calibration, val, test).text())
        written = write(args.checkpoint_dir, calibration, thresholds)
        if calibration:
            shown = val if test is None else test
            written += plot_reliability(shown, calibration, f'{args.checkpoint_dir}/reliability')
    except (ValueError, OSError) as error:
        sys.exit(f'calibrate.py: {error}')
    for path in written:
        print(f'written     {path}')


if __name__ == '__main__':
    main()
