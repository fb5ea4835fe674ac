"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [--out predictions.npz]."""

import argparse

from mmengine.dist import is_main_process

from mlrfnet_mm.engine.launch import (
    add_common_arguments,
    build_runner,
    load_config,
    resolve_checkpoint,
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test a checkpoint on the test split.')
    add_common_arguments(parser)
    parser.add_argument(
        'checkpoint', help='checkpoint file, or a work dir: its best, else its latest checkpoint'
    )
    parser.add_argument('--out', metavar='NPZ', help='file for scores, labels and image names')
    return parser.parse_args()


def main() -> None:
    """Evaluate on the config's test data loader."""
    args = parse_args()
    cfg = load_config(args)
    cfg.load_from = resolve_checkpoint(args.checkpoint)
    cfg.resume = False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.out:
        for metric in cfg.test_evaluator:
            if metric.type == 'mlrfnet_mm.MultiLabelAUC':
                metric.out = args.out
    runner = build_runner(cfg)
    runner.test()
    if is_main_process():
        print(f'checkpoint  {cfg.load_from}')
        print(f'log         {runner.log_dir}/{runner.timestamp}.log')
        if args.out:
            print(f'predictions {args.out}')


if __name__ == '__main__':
    main()
