"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [--out predictions.npz]."""

import argparse

from mmengine.config import Config
from mmengine.dist import is_main_process

from mlrfnet_mm.engine.launch import (
    add_common_arguments,
    build_runner,
    checkpoint_digest,
    load_config,
    resolve_checkpoint,
)
from mlrfnet_mm.engine.other_data import SHARED, use_other_data


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test a checkpoint on the test split.')
    add_common_arguments(parser)
    parser.add_argument(
        'checkpoint', help='checkpoint file, or a work dir: its best, else its latest checkpoint'
    )
    parser.add_argument('--out', metavar='NPZ', help='file for scores, labels and image names')
    parser.add_argument(
        '--on',
        metavar='CONFIG',
        help="test on this config's data instead, over the findings that both data sets have",
    )
    parser.add_argument(
        '--ten-crop',
        action='store_true',
        help='mean score of the centre, the corners and their mirror images; ten times the work',
    )
    parser.add_argument(
        '--fuse-conv-bn',
        action='store_true',
        help='fold BatchNorm into the convolutions: the same scores to float rounding, sooner',
    )
    return parser.parse_args()


def main() -> None:
    """Evaluate on the config's test data loader."""
    args = parse_args()
    cfg = load_config(args)
    cfg.load_from = resolve_checkpoint(args.checkpoint)
    cfg.resume = False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.on:
        use_other_data(cfg, Config.fromfile(args.on), args.cfg_options)
    if args.ten_crop:
        use_ten_crops(cfg)
    if args.fuse_conv_bn:
        cfg.setdefault('custom_hooks', []).append(dict(type='mlrfnet_mm.FuseBatchNormHook'))
    if args.out:
        save_predictions(cfg, args.out)
    runner = build_runner(cfg)
    runner.test()
    if is_main_process():
        print(f'checkpoint  {cfg.load_from}')
        print(f'log         {runner.log_dir}/{runner.timestamp}.log')
        if args.out:
            print(f'predictions {args.out}')


def use_ten_crops(cfg: Config) -> None:
    """Test on ten crops of each image.

    Raises:
        ValueError: a model or a pipeline that has no such test.
    """
    pipeline = cfg.test_dataloader.dataset.pipeline
    geometry = [step for step in pipeline if step['type'] == 'mlrfnet_mm.XrayGeometry']
    if cfg.model.type != 'mmpretrain.ImageClassifier' or len(geometry) != 1:
        raise ValueError(
            '--ten-crop needs a model of type mmpretrain.ImageClassifier and one '
            f'mlrfnet_mm.XrayGeometry in the test pipeline, got {cfg.model.type} and '
            f'{[step["type"] for step in pipeline]}'
        )
    cfg.model.type = 'mlrfnet_mm.TenCropClassifier'
    geometry[0]['crop'] = 'ten'


def save_predictions(cfg: Config, out: str) -> None:
    """Tell the evaluator's MultiLabelAUC or StudyAUC to save its predictions.

    Raises:
        ValueError: another suffix than .npz, or no such metric in the config.
    """
    if not out.endswith('.npz'):
        raise ValueError(f'--out must end in .npz, got {out}')
    metrics = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    known = ('mlrfnet_mm.MultiLabelAUC', 'mlrfnet_mm.StudyAUC', *SHARED.values())
    writers = [metric for metric in metrics if metric.type in known]
    if not writers:
        raise ValueError(f'--out needs {" or ".join(known)} in test_evaluator; there is none')
    writers[0].out = out
    writers[0].checkpoint = checkpoint_digest(cfg.load_from)


if __name__ == '__main__':
    main()
