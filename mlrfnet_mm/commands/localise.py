"""Score heat maps against boxes: mlrfnet localise CONFIG CHECKPOINT [--method score_maps …]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add_cfg_options

if TYPE_CHECKING:
    from mlrfnet_mm.reports.localisation.localise import LocalisationReport


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Pointing game, IoU and IoBB of heat maps on the boxes of ChestX-ray14.',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file, or a work directory')
    parser.add_argument(
        '--method',
        nargs='+',
        help='score_maps (weighted sum of the levels; default where the head has them), '
        'score_maps1, score_maps2, … (one level), mrfc, mrfc1, … (the same), gradcam (default '
        'elsewhere), gradcam++, layercam, hirescam, xgradcam, eigengradcam, eigencam; '
        'several are compared on the same boxes',
    )
    parser.add_argument('--layer', help='target layer of the Grad-CAM family, as backbone.layer3')
    parser.add_argument(
        '--boxes',
        metavar='CSV',
        help='box table; default: BBox_List_2017.csv of the data set, or beside --images',
    )
    parser.add_argument(
        '--images', metavar='DIR', help="a folder's images instead of the config's test split"
    )
    parser.add_argument('--out', metavar='DIR', help="default: the checkpoint's folder")
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--replicates', type=int, default=1000, help='of the bootstrap by patient')
    parser.add_argument('--seed', type=int, default=0, help='of the bootstrap')
    parser.add_argument('--device', help='as in torch; default: a GPU if there is one')
    parser.add_argument('--trust-checkpoint', action='store_true', help='see mlrfnet test')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    for name in ('batch_size', 'replicates'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    return args


def run(args: argparse.Namespace) -> tuple[LocalisationReport, Path]:
    """Load, map and compare; return the report and the checkpoint."""
    # Here, so that --help and a wrong option need not wait for torch.
    from mmengine.device import get_device
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from mlrfnet_mm.engine.launch import parse_options, read_config
    from mlrfnet_mm.inference.heatmaps import default_method
    from mlrfnet_mm.inference.loaded_model import load_model
    from mlrfnet_mm.reports.localisation.boxed_images import of_folder, of_split
    from mlrfnet_mm.reports.localisation.localise import evaluate_localisation

    cfg = read_config(args.config)
    cfg.merge_from_dict(parse_options(args.cfg_options))
    device = args.device or get_device()
    loaded = load_model(args.checkpoint, cfg, device, trust=args.trust_checkpoint)
    if args.images:
        source = of_folder(loaded, args.images, args.boxes)
    else:
        source = of_split(loaded, args.boxes)
    methods = args.method or [default_method(loaded.model)]
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task('boxes', total=len(source.boxes))
        report = evaluate_localisation(
            loaded,
            source,
            methods,
            layer=args.layer,
            batch_size=args.batch_size,
            replicates=args.replicates,
            seed=args.seed,
            progress=lambda boxes: bar.advance(task, boxes),
        )
    return report, loaded.path


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet localise') -> None:
    """Print and write the tables and the figures."""
    args = parse_args(argv, prog)
    report, checkpoint = run(args)
    from mlrfnet_mm.reports.localisation.heat_figure import plot_report

    out = Path(args.out or checkpoint.parent)
    print(report.text())
    for path in [*report.write(out), *plot_report(report, out)]:
        print(f'written     {path}')
