"""Train a model: mlrfnet train mlrfnet_xray14."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mlrfnet_mm.commands.options import add, add_runner_options, new_parser

if TYPE_CHECKING:
    from mmengine.config import Config


def make_parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(prog, 'Train a model.')
    add(parser, 'config')
    add_runner_options(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or without a value from the latest in the work dir',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size x processes / base batch size',
    )
    return parser


def main(argv: Sequence[str] | None = None, prog: str = 'mlrfnet train') -> None:
    """Train, and leave in order."""
    args = make_parser(prog).parse_args(argv)
    from mlrfnet_mm.engine.launch import run_in_order

    run_in_order(lambda: train(args), prog)


def train(args: argparse.Namespace) -> None:
    """Train, then say where things lie."""
    from mmengine.dist import is_main_process

    from mlrfnet_mm.engine.launch import (
        build_runner,
        check_optimizer,
        check_validation_data,
        load_config,
    )
    from mlrfnet_mm.reports.output.curves import plot_curves

    cfg = load_config(args)
    check_validation_data(cfg)
    check_optimizer(cfg)
    if args.amp:
        use_amp(cfg)
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    runner = build_runner(cfg)
    runner.train()
    if is_main_process():
        best = runner.message_hub.runtime_info.get('best_ckpt')
        print(f'checkpoint  {best or runner.message_hub.runtime_info.get("last_ckpt")}')
        print(f'log         {runner.log_dir}/{runner.timestamp}.log')
        with suppress(FileNotFoundError):  # the resumed run was at its end: nothing was trained
            print(f'curves      {plot_curves(cfg.work_dir)}')


def use_amp(cfg: Config) -> None:
    """Switch the optimizer wrapper to mixed precision: float16, on a CPU bfloat16.

    Raises:
        ValueError: a CPU that has no units for it.
    """
    from mmengine.device import get_device

    from mlrfnet_mm.engine.machine import bfloat16_units

    if get_device() == 'cpu':
        if not bfloat16_units():
            raise ValueError(
                '--amp needs a GPU or a CPU with units for bfloat16 (avx512_bf16, amx_bf16): '
                'torch sees no GPU on this machine, and its CPU does not name them; leave it out'
            )
        cfg.optim_wrapper.type = 'mlrfnet_mm.BFloat16OptimWrapper'
        for key in ('loss_scale', 'dtype'):  # of mmengine's AmpOptimWrapper
            cfg.optim_wrapper.pop(key, None)
        return
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
