"""Calibration and thresholds: mlrfnet calibrate CHECKPOINT VAL.npz [--test TEST.npz]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog,
        'Fit a calibration and choose thresholds on validation predictions of a checkpoint, and\n'
        'write calibration.json and thresholds.json next to it, where prediction finds them.',
    )
    add(parser, 'checkpoint')
    add(parser, 'npz')
    parser.add_argument(
        '--fit',
        choices=['platt', 'temperature', 'none'],
        default='platt',
        help='calibration; none writes thresholds on uncalibrated scores only (default: platt)',
    )
    add(parser, '--rule')
    add(parser, '--unit', 'image')
    parser.add_argument(
        '--test', metavar='NPZ', help='test predictions, to print and draw the calibration on'
    )
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet calibrate') -> None:
    """Fit, print, write."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.reports.scores.calibrate import calibration_table, fit, write
    from mlrfnet_mm.reports.scores.reliability_figure import plot_reliability

    val = load_predictions(args.npz, args.unit)
    folder = checkpoint_folder(args.checkpoint, val.checkpoint)
    test = load_predictions(args.test, args.unit) if args.test else None
    calibration, thresholds = fit(val, args.fit, args.rule)
    if calibration:
        print(calibration_table(calibration, val, test).text())
    written = write(folder, calibration, thresholds)
    if calibration:
        shown = val if test is None else test
        written += plot_reliability(shown, calibration, folder / 'reliability')
    for path in written:
        print(f'written     {path}')


def checkpoint_folder(checkpoint: str, digest: str) -> Path:
    """The folder that a checkpoint file lies in, or the one that is given.

    Args:
        checkpoint: a file or a folder.
        digest: of the checkpoint that the predictions are of; empty: not known.

    Raises:
        FileNotFoundError: neither a file nor a folder.
        ValueError: a file that the predictions are not of.
    """
    from mlrfnet_mm.evaluation.files.digest import checkpoint_digest

    path = Path(checkpoint)
    if not path.exists():
        raise FileNotFoundError(f'no checkpoint file or folder {checkpoint}')
    if path.is_dir():
        return path
    if digest and checkpoint_digest(path) != digest:
        raise ValueError(
            f'the predictions are of a checkpoint of SHA-256 {digest}…, {path} is another '
            f'({checkpoint_digest(path)}…)'
        )
    return path.parent
