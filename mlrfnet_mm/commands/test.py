"""Test a checkpoint: mlrfnet test CONFIG CHECKPOINT [--out predictions.npz]."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import MethodType
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, add_runner_options, new_parser

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, 'Test a checkpoint on the test split.')
    add(parser, 'config')
    add(parser, 'checkpoint')
    add_runner_options(parser)
    add(parser, '--split', "<the config's test split>")
    add(parser, '--out')
    add(parser, '--on')
    parser.add_argument(
        '--near',
        action='store_true',
        help='with --on: count findings that are only near, too, as Fracture and Rib fracture',
    )
    views = parser.add_mutually_exclusive_group()
    views.add_argument(
        '--ten-crop',
        action='store_true',
        help='mean score of the center, the corners and their mirror images; ten times the work',
    )
    views.add_argument(
        '--flip',
        action='store_true',
        help='mean score of the center and its mirror image; twice the work',
    )
    parser.add_argument(
        '--fuse-conv-bn',
        action='store_true',
        help='fold BatchNorm into the convolutions: the same scores to float rounding, sooner',
    )
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet test') -> None:
    """Test, and leave in order."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.engine.launch import run_in_order

    run_in_order(lambda: test(args), prog)


def test(args: argparse.Namespace) -> None:
    """Evaluate on the config's test data loader."""
    from mmengine.dist import is_main_process

    from mlrfnet_mm.engine.checkpoint import resolve_checkpoint
    from mlrfnet_mm.engine.cross_dataset import use_other_data, use_split
    from mlrfnet_mm.engine.launch import build_runner, load_config, parse_options, read_config

    cfg = load_config(args)
    cfg.load_from = resolve_checkpoint(args.checkpoint)
    cfg.resume = False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.near and not args.on:
        raise ValueError('--near is for another data set: give its config with --on')
    tested = read_config(args.on) if args.on else cfg
    if args.split:
        use_split(tested, args.split)
    if args.on:
        use_other_data(cfg, tested, parse_options(args.cfg_options), args.near)
    if args.ten_crop or args.flip:
        use_crops(cfg, 'ten' if args.ten_crop else 'two')
    if args.fuse_conv_bn:
        cfg.setdefault('custom_hooks', []).append(dict(type='mlrfnet_mm.FuseBatchNormHook'))
    runner = build_runner(cfg)
    if args.ten_crop or args.flip:
        average_crops(runner)
    if args.out:
        save_predictions(runner, args.out)
    runner.test()
    if is_main_process():
        print(f'checkpoint  {cfg.load_from}')
        print(f'log         {runner.log_dir}/{runner.timestamp}.log')
        if args.out:
            print(f'predictions {args.out}')


def use_crops(cfg: Config, crop: str) -> None:
    """Test on ten crops of each image, or two: the pipeline; see :func:`average_crops`.

    Raises:
        ValueError: a pipeline that has no such test.
    """
    from mlrfnet_mm.engine.cross_dataset import geometry_steps

    for step in geometry_steps(cfg, '--ten-crop' if crop == 'ten' else '--flip'):
        step['crop'] = crop


def average_crops(runner: Runner) -> None:
    """Let the built model predict as :class:`mlrfnet_mm.TenCropClassifier` does.

    Raises:
        ValueError: a model that is not an ImageClassifier.
    """
    from mmengine.model import is_model_wrapper
    from mmpretrain.models import ImageClassifier

    from mlrfnet_mm.models import TenCropClassifier

    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not isinstance(model, ImageClassifier):
        raise ValueError(
            f'several crops need an mmpretrain.ImageClassifier, the model is {type(model).__name__}'
        )
    model.predict = MethodType(TenCropClassifier.predict, model)


def save_predictions(runner: Runner, out: str) -> None:
    """Tell the evaluator's MultiLabelAUC or StudyAUC to save its predictions.

    Raises:
        ValueError: another suffix than .npz, or no such metric in the config.
        OSError: a folder that cannot be written to.
    """
    from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
    from mlrfnet_mm.evaluation.metrics import MultiLabelAUC

    if not out.endswith('.npz'):
        raise ValueError(f'--out must end in .npz, got {out}')
    metrics = runner.test_loop.evaluator.metrics
    writers = [metric for metric in metrics if isinstance(metric, MultiLabelAUC)]
    if not writers:
        names = [type(metric).__name__ for metric in metrics]
        raise ValueError(
            '--out needs an mlrfnet_mm.MultiLabelAUC or mlrfnet_mm.StudyAUC in test_evaluator, '
            f'which has {names}'
        )
    folder = Path(out).parent
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder):  # fails now, not after the whole test
        pass
    writers[0].out = out
    writers[0].checkpoint = checkpoint_digest(runner.cfg.load_from)
