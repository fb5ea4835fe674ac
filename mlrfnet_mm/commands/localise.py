"""Score heat maps against boxes: mlrfnet localise CONFIG CHECKPOINT [--method score_maps …]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, new_parser

if TYPE_CHECKING:
    from mmengine.config import Config

    from mlrfnet_mm.inference.loaded_model import LoadedModel
    from mlrfnet_mm.reports.localisation.localise import LocalisationReport


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        prog, 'Pointing game, IoU, IoBB and Dice of heat maps on boxes, polygons and masks.'
    )
    add(parser, 'config')
    add(parser, 'checkpoint')
    add(parser, '--method', '<score_maps where the head has them, gradcam elsewhere>', nargs='+')
    add(parser, '--layer', "<the backbone's last>")
    parser.add_argument(
        '--boxes',
        metavar='CSV',
        help='box table (default: BBox_List_2017.csv of the data set, or next to --images)',
    )
    parser.add_argument(
        '--images', metavar='DIR', help="a folder's images instead of the config's test split"
    )
    add(parser, '--on')
    add(parser, '--split', "<the config's test split>")
    parser.add_argument(
        '--val-split',
        metavar='NAME',
        help="split that chooses the threshold of Dice's coefficient; without it there is no Dice",
    )
    add(parser, '--out-dir', "<the checkpoint's folder>")
    add(parser, '--batch-size')
    add(parser, '--replicates')
    add(parser, '--seed')
    add(parser, '--device', '<a GPU if there is one>')
    add(parser, '--trust-checkpoint')
    add(parser, '--cfg-options')
    return parser


def run(args: argparse.Namespace) -> tuple[LocalisationReport, Path]:
    """Load, map and compare; return the report and the checkpoint."""
    # Here, so that --help and a wrong option need not wait for torch.
    from mmengine.device import get_device

    from mlrfnet_mm.engine.launch import read_with_options
    from mlrfnet_mm.inference.heatmaps import default_method
    from mlrfnet_mm.inference.loaded_model import load_model
    from mlrfnet_mm.reports.localisation.boxed_images import of_folder, of_split
    from mlrfnet_mm.reports.localisation.localise import evaluate_localisation
    from mlrfnet_mm.reports.output.progress import progress_bar

    cfg = read_with_options(args.config, args.cfg_options)
    device = args.device or get_device()
    loaded = load_model(args.checkpoint, cfg, device, trust=args.trust_checkpoint)
    validation = None
    if args.images:
        if args.on or args.split or args.val_split:
            raise ValueError('--images is a folder without splits; leave out --on and --…split')
        source = of_folder(loaded, args.images, args.boxes)
    else:
        source = of_split(loaded, args.boxes, *images_of(loaded, args, args.split))
        if args.val_split:
            data = images_of(loaded, args, args.val_split)
            validation = of_split(loaded, args.boxes, *data)
    methods = args.method or [default_method(loaded.model)]
    total = len(source.boxes) + (len(validation.boxes) + len(source.boxes) if validation else 0)
    with progress_bar('heat maps', total, 'boxes') as bar:
        report = evaluate_localisation(
            loaded,
            source,
            methods,
            layer=args.layer,
            batch_size=args.batch_size,
            replicates=args.replicates,
            seed=args.seed,
            progress=bar.advance,
            validation=validation,
        )
    return report, loaded.path


def images_of(
    loaded: LoadedModel, args: argparse.Namespace, split: str | None
) -> tuple[Config, bool]:
    """The config with the test data of the options; whether the model has seen its images."""
    from copy import deepcopy

    from mlrfnet_mm.engine import cross_dataset
    from mlrfnet_mm.engine.launch import parse_options, read_config

    cfg, seen = deepcopy(loaded.cfg), False
    if args.on:
        options = parse_options(args.cfg_options)
        scope = cross_dataset.take_test_data(cfg, read_config(args.on), options)
    if split:
        cross_dataset.use_split(cfg, split)
    if args.on:
        trained = cross_dataset.training_data(str(loaded.path), args.trust_checkpoint)
        seen = cross_dataset.warn_of_seen_images(cfg, trained, scope)
    return cfg, seen


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet localise') -> None:
    """Print and write the tables and the figures."""
    args = make_parser(prog).parse_args(argv)
    report, checkpoint = run(args)
    from mlrfnet_mm.reports.localisation.heat_figure import plot_report

    out = Path(args.out_dir or checkpoint.parent)
    print(report.text())
    for path in [*report.write(out), *plot_report(report, out)]:
        print(f'written     {path}')
