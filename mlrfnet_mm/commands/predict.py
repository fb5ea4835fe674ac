"""Predict chest X-rays: mlrfnet predict CHECKPOINT IMAGE_OR_FOLDER … [--heatmap].

Or, without torch, with what mlrfnet export wrote: mlrfnet predict IMAGE_OR_FOLDER … --model BUNDLE.

PNG, JPEG, TIFF and DICOM. Writes predictions.csv and predictions.json, and on demand heat maps, the
image next to its highest scores, and one HTML page per study. Several machines share the work by
--shards or --ray. Exit code: 0 if all files were predicted, 1 if some could not be read, 2 if
nothing could be done. Research use, not for diagnosis.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.models import add_model_options, load_model
from mlrfnet_mm.commands.options import add, at_least, new_parser

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer, Options, Outcome


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IMAGE_OR_FOLDER',
        help='image files, folders of them, and lists, text files that end in .txt, of one path '
        'per line; before them, without --model, the checkpoint: a file, or the folder of a '
        'training',
    )
    add(parser, '--model')
    add_model_options(parser)
    add(parser, '--out-dir', 'predictions')
    parser.add_argument('--heatmap', action='store_true', help='draw the heat maps')
    add(parser, '--method', '<mrfc where the head is MRFC, gradcam elsewhere>')
    add(parser, '--layer', "<the backbone's last>")
    parser.add_argument(
        '--top',
        type=at_least(1),
        metavar='N',
        help='findings with a heat map, the most probable first (default: 3)',
    )
    parser.add_argument(
        '--scores', action='store_true', help='draw the image next to its seven highest scores'
    )
    add(parser, '--labels')
    parser.add_argument('--report', action='store_true', help='write one HTML page per study')
    add(parser, '--with-patient')
    add(parser, '--batch-size')
    several = parser.add_mutually_exclusive_group()
    several.add_argument(
        '--shards',
        type=shard,
        metavar='I/N',
        help='predict part I, from 1, of N that other processes share by the same --out-dir; '
        'whoever finds all N done writes the result',
    )
    add(several, '--ray')
    return parser


def shard(text: str) -> tuple[int, int]:
    """Reader of a shard.

    >>> shard('3/16')
    (3, 16)
    """
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise argparse.ArgumentTypeError(f'must be I/N with I from 1 to N, as 3/16, got {text!r}')
    return number, count


def parse_args(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(prog)
    args = parser.parse_args(argv)
    if not args.heatmap and (args.method or args.layer or args.top is not None):
        parser.error('--method, --layer and --top are of --heatmap: add it')
    args.top = 3 if args.top is None else args.top
    if not args.model:
        if len(args.inputs) < 2:
            parser.error('give a checkpoint and images, or images and --model BUNDLE')
        args.checkpoint, *args.inputs = args.inputs
    return args


def true_findings(path: str) -> dict[str, list[str]]:
    """Image name → its findings, from a label table."""
    from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS, read_labels

    table = read_labels(Path(path))
    return {
        name: [finding for finding, there in zip(FINDINGS, row, strict=True) if there]
        for name, row in table.findings.items()
    }


def make_inferencer(args: argparse.Namespace, device: str | None = None) -> Inferencer:
    """The model or bundle, as the command line has it, but for the device if one is given."""
    from mlrfnet_mm.xrays.files import Limits

    limits = Limits(args.least_side, args.most_aspect)
    return load_model(args, args.model or args.checkpoint, bool(args.model), limits, device)


def run(args: argparse.Namespace) -> tuple[Outcome, int]:
    """Load, list and predict; return the outcome and how many files were passed over."""
    # Here, so that --help and a wrong option need not wait for torch.
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.predictions.predict_files import Options, predict_files
    from mlrfnet_mm.xrays.files import list_files

    files, passed_over = list_files(args.inputs, args.out_dir)
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
    inferencer = make_inferencer(args, None if args.ray is None else 'cpu')  # the actors have GPUs
    if args.shards or args.ray is not None:
        outcome = run_shards(args, inferencer, files, options)
    else:
        with progress_bar('predict', len(files), 'images') as bar:
            outcome = predict_files(inferencer, files, args.out_dir, options, bar.advance)
    for key, value in inferencer.stamp.items():
        print(f'{key:<12}{value}')
    return outcome, passed_over


def run_shards(
    args: argparse.Namespace, inferencer: Inferencer, files: Sequence[Path], options: Options
) -> Outcome:
    """Predict one shard, or all by Ray, and join them when none is missing."""
    from mlrfnet_mm.reports.output.progress import progress_bar
    from mlrfnet_mm.reports.predictions.machines.predict_shard import predict_shard
    from mlrfnet_mm.reports.predictions.machines.ray_actors import predict_on_ray, shard_count
    from mlrfnet_mm.reports.predictions.machines.shards import Shards

    number, count = args.shards or (0, shard_count(len(files), options.batch_size))
    settings = {key: getattr(args, key) for key in ('config', 'least_side', 'most_aspect')}
    settings |= inferencer.stamp
    shards = Shards(Path(args.out_dir), files, count, options, settings)
    total = len(shards.range(number)) if number else len(files)
    own = None
    with progress_bar('predict', total, 'images') as bar:
        if number:
            own, outcome = predict_shard(inferencer, shards, number, bar.advance)
        else:
            if options.heatmap:
                inferencer.mapper(options.method, options.layer)  # refuses before the first file
            if shards.joined() is None:
                predict_on_ray(partial(make_inferencer, args), shards, args.ray, bar.advance)
            outcome = shards.join(inferencer)
    if outcome is not None:
        return outcome
    missing = len(shards.missing())
    state = f'{count - missing} of {count} are done' if missing else 'another process joins them'
    print(f'shard       {number} of {count}, {state}' if number else f'shards      {state}')
    return own or Outcome()


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet predict') -> None:
    """Predict, say what was written and what was not read."""
    args = parse_args(argv, prog)
    outcome, passed_over = run(args)
    errors = outcome.errors
    print(f'predicted   {outcome.count - len(errors)} of {outcome.count} files')
    if passed_over:
        print(f'passed over {passed_over} files of folders that are not images by their names')
    for path in outcome.written[:2]:
        print(f'written     {path}')
    if rest := outcome.written[2:]:
        print(f'written     {len(rest)} pictures and pages in {args.out_dir}')
    for record in errors:
        print(f'NOT READ    {record["file"]}: {record["error"]}', file=sys.stderr)
    sys.exit(1 if errors else 0)
