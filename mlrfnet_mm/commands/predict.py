"""Predict chest X-rays: mlrfnet predict IMAGE_OR_FOLDER … --checkpoint CKPT [--heatmap].

PNG, JPEG, TIFF and DICOM. Writes predictions.csv and predictions.json, and on demand heat maps, the
image next to its highest scores, and one HTML page per study. Exit code: 0 if all files were
predicted, 1 if some could not be read or nothing could be done. Research use, not for diagnosis.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.predict_files import Outcome


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('inputs', nargs='+', metavar='IMAGE_OR_FOLDER')
    parser.add_argument('--checkpoint', required=True, help='checkpoint file, or a work directory')
    parser.add_argument('--config', help="config file; default: the checkpoint's own, read as data")
    parser.add_argument('--out', metavar='DIR', default='predictions', help='default: %(default)s')
    parser.add_argument('--heatmap', action='store_true', help='draw the heat maps')
    parser.add_argument('--method', help='of the heat maps, see mlrfnet localise')
    parser.add_argument('--layer', help='target layer of the Grad-CAM family')
    parser.add_argument(
        '--top', type=int, metavar='N', help='findings to map, the most probable first (3)'
    )
    parser.add_argument(
        '--scores', action='store_true', help='draw the image next to its seven highest scores'
    )
    parser.add_argument(
        '--labels', metavar='CSV', help="ChestX-ray14's label table, to mark true findings there"
    )
    parser.add_argument('--report', action='store_true', help='write one HTML page per study')
    parser.add_argument(
        '--with-patient',
        action='store_true',
        help='name and ID of DICOM files in JSON and reports; by default they are in neither',
    )
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument(
        '--least-side', type=int, default=64, help='pixels of the shorter side (%(default)s)'
    )
    parser.add_argument(
        '--most-aspect', type=float, default=3, help='longer by shorter side (%(default)s)'
    )
    parser.add_argument('--device', help='as in torch; default: a GPU if there is one')
    parser.add_argument('--trust-checkpoint', action='store_true', help='see mlrfnet test')
    args = parser.parse_args(argv)
    if not args.heatmap and (args.method or args.layer or args.top is not None):
        parser.error('--method, --layer and --top are of --heatmap: add it')
    args.top = 3 if args.top is None else args.top
    for name in ('top', 'batch_size'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    return args


def true_findings(path: str) -> dict[str, list[str]]:
    """Image name → its findings, from a label table."""
    from mlrfnet_mm.datasets.chestxray14.tables import FINDINGS, read_labels

    table = read_labels(Path(path))
    return {
        name: [finding for finding, there in zip(FINDINGS, row, strict=True) if there]
        for name, row in table.findings.items()
    }


def run(args: argparse.Namespace) -> tuple[Outcome, int]:
    """Load, list and predict; return the outcome and how many files were passed over."""
    # Here, so that --help and a wrong option need not wait for torch.
    from mmengine.device import get_device
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from mlrfnet_mm.inference.inferencer import CXRInferencer
    from mlrfnet_mm.inference.xray_files import Limits, list_files
    from mlrfnet_mm.reports.predictions.predict_files import Options, predict_files

    files, passed_over = list_files(args.inputs, args.out)
    if not files:
        raise ValueError(f'no image in {", ".join(args.inputs)} ({passed_over} other files)')
    options = Options(
        heatmap=args.heatmap,
        scores=args.scores or bool(args.labels),
        report=args.report,
        with_patient=args.with_patient,
        method=args.method,
        layer=args.layer,
        top=args.top,
        labels=true_findings(args.labels) if args.labels else None,
        batch_size=args.batch_size,
    )
    inferencer = CXRInferencer(
        args.config,
        args.checkpoint,
        args.device or get_device(),
        trust=args.trust_checkpoint,
        limits=Limits(args.least_side, args.most_aspect),
    )
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[rate]}'),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task('images', total=len(files), rate='')

        def advance(done: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, advance=done, rate=f'{speed:.1f} images/s' if speed else '')

        outcome = predict_files(inferencer, files, args.out, options, advance)
    for key, value in inferencer.stamp.items():
        print(f'{key:<12}{value}')
    return outcome, passed_over


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet predict') -> None:
    """Predict, say what was written and what was not read."""
    args = parse_args(argv, prog)
    outcome, passed_over = run(args)
    errors = outcome.errors
    print(f'predicted   {len(outcome.records) - len(errors)} of {len(outcome.records)} files')
    if passed_over:
        print(f'passed over {passed_over} files of folders that are not images by their names')
    for path in outcome.written[:2]:
        print(f'written     {path}')
    if rest := outcome.written[2:]:
        print(f'written     {len(rest)} pictures and pages in {args.out}')
    for record in errors:
        print(f'NOT READ    {record["file"]}: {record["error"]}', file=sys.stderr)
    sys.exit(1 if errors else 0)
