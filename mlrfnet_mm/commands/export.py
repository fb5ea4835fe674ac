"""Export a checkpoint: mlrfnet export CHECKPOINT --to openvino --precision int8.

The bundle, a folder, predicts without torch: mlrfnet predict IMAGE … --model BUNDLE. Before it is
written it is compared with the checkpoint on real images. Research use, not for diagnosis.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mlrfnet_mm.commands.options import add, at_least, new_parser


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, __doc__)
    add(parser, 'checkpoint')
    parser.add_argument(
        '--to', choices=['onnx', 'openvino'], default='openvino',
        help='what runs it: ONNX Runtime or OpenVINO (default: openvino)',
    )  # fmt: skip
    parser.add_argument(
        '--precision', choices=['fp32', 'bf16', 'fp16', 'int8'], default='fp32',
        help='what it computes in; fp16 stores weights so and computes in fp32 (default: fp32)',
    )  # fmt: skip
    add(parser, '--config', "<the checkpoint's own, read as data>")
    add(parser, '--out-dir', "<RUNTIME_PRECISION in the checkpoint's folder>")
    add(parser, '--split', 'val')
    parser.add_argument(
        '--limit', type=at_least(2), metavar='N',
        help='images to compare on, evenly spread over the split (default: all of it)',
    )  # fmt: skip
    parser.add_argument(
        '--force', action='store_true',
        help='write it although it differs from the checkpoint by more than the limits',
    )  # fmt: skip
    add(parser, '--trust-checkpoint')
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet export') -> None:
    """Export, compare and say what was written."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.inference.export.images import parity_images
    from mlrfnet_mm.inference.export.write import check_target, write_bundle
    from mlrfnet_mm.inference.loaded_model import load_model

    check_target(args.to, args.precision)
    loaded = load_model(args.checkpoint, args.config, 'cpu', trust=args.trust_checkpoint)
    folder = args.out_dir or loaded.path.parent / f'{args.to}_{args.precision}'
    images = parity_images(loaded, args.split, args.limit)
    bundle, parity = write_bundle(loaded, images, folder, args.to, args.precision, args.force)
    mean = parity.mean_auc[0]
    most, usual = parity.logits
    print(f'logits      differ by {most:.2g} at most, {usual:.2g} in the mean')
    print(f'decisions   {parity.flips:,} of {parity.decisions:,} differ ({parity.thresholds})')
    print(f'mean AUC    {"not defined" if mean is None else f"{mean:+.4f}"} against the checkpoint')
    for fault in parity.faults(args.precision) if bundle.forced else ():
        print(f'FORCED      {fault}')
    print(f'written     {folder}')
