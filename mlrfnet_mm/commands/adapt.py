"""Move calibration and thresholds to another site: mlrfnet adapt CHECKPOINT SITE.npz.

From predictions of the site's images, labeled or not: without labels the prevalence there, with
some the bias, with more the scale, too. Writes calibration.json, thresholds.json and what was done
into sites/NAME next to the checkpoint, where predict --site NAME finds them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mlrfnet_mm.commands.options import add, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'checkpoint')
    add(parser, 'npz')
    add(parser, '--site', "<the data set's>")
    parser.add_argument(
        '--update',
        choices=['auto', 'none', 'prior', 'intercept', 'platt'],
        default='auto',
        help='what is changed: the prevalence, estimated without labels (prior), the bias by '
        'labels (intercept), scale and bias by labels (platt), or by finding what its labels '
        'suffice for (auto) (default: auto)',
    )
    add(parser, '--val', '<val_predictions.npz next to the checkpoint, if there>')
    add(parser, '--replicates')
    add(parser, '--seed')
    add(parser, '--out-dir', '<sites/NAME next to the checkpoint>')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet adapt') -> None:
    """Load, adapt, print, write."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.commands.calibrate import checkpoint_folder
    from mlrfnet_mm.evaluation import Calibration, Thresholds
    from mlrfnet_mm.evaluation.files.pairing import load_predictions
    from mlrfnet_mm.evaluation.shift.sites import site_folder
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.shift.adapt import adapt, site_name

    digest = load_predictions(args.npz).checkpoint
    folder = checkpoint_folder(args.checkpoint, digest)
    if not (folder / 'calibration.json').is_file():
        raise FileNotFoundError(
            f'no calibration.json in {folder}: fit one on validation predictions first, with '
            'mlrfnet calibrate'
        )
    calibration = Calibration.load(folder)
    thresholds = Thresholds.load(folder) if (folder / 'thresholds.json').is_file() else None
    site = load_predictions(args.npz, calibration.unit)
    saved = folder / 'val_predictions.npz'
    source = args.val or (saved if saved.is_file() else None)
    val = load_predictions(source, calibration.unit) if source else None
    name = site_name(site, calibration, args.site)
    out = args.out_dir or site_folder(folder, name)
    with progress_bar('prevalence', len(calibration.classes), 'findings') as bar:
        adapted = adapt(
            site,
            calibration,
            thresholds,
            name=name,
            update=args.update,
            val=val,
            replicates=args.replicates,
            seed=args.seed,
            progress=bar.advance,
        )
    print(adapted.table.text())
    if adapted.unchanged and args.update != 'none':
        sys.exit(
            f'{prog}: no finding could be adapted, and nothing is written: label some images of '
            'the site'
        )
    for path in adapted.write(out):
        print(f'written     {path}')
