"""The network's time against mmpretrain's stock assembly: python benchmarks/network.py [--compile].

Stock is what a user would assemble from mmpretrain alone: Res2Net-50 26w x 4s as here, global
pooling, a linear multi-label head, binary cross-entropy. All are measured in turn, round by
round, so that a busy machine slows all of them; the table gives medians and their ratio to stock.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.engine.machine import bfloat16_units
from mlrfnet_mm.models import build_model
from mlrfnet_mm.models.fold_batch_norm import fold_batch_norm


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--config', default='configs/mlrfnet_xray14.py')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--compile', action='store_true', help='torch.compile too; minutes')
    return parser.parse_args()


def seconds(function: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def assemblies(config: str) -> dict[str, Any]:
    """Build the networks, with random weights."""
    model = read_config(config).model
    model.backbone.init_cfg = None
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    ours = build_model(model).to(device)
    head = dict(
        type='mmpretrain.MultiLabelLinearClsHead',
        num_classes=14,
        in_channels=2048,
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    )
    gap = dict(type='mmpretrain.GlobalAveragePooling')
    stock = MODELS.build({**model, 'neck': gap, 'head': head}).to(device)
    return {'stock': stock, 'MLRFNet': ours}


def test_step(model: Any, images: Tensor) -> Callable[[], object]:
    """Make a function that predicts one batch."""

    @torch.no_grad()
    def step() -> object:
        return model(images)

    return step


def train_step(model: Any, images: Tensor) -> Callable[[], object]:
    """Make a function that goes forward and backward through one batch."""
    samples = [DataSample().set_gt_score(torch.ones(14)).to(images.device) for _ in images]

    def step() -> object:
        model.zero_grad(set_to_none=True)
        loss, _ = model.parse_losses(model(images, samples, mode='loss'))
        return loss.backward()

    return step


def in_bfloat16(step: Callable[[], object]) -> Callable[[], object]:
    """The same step as ``--amp`` has it on a CPU."""

    def cast() -> object:
        with torch.autocast('cpu', torch.bfloat16):
            return step()

    return cast


def main() -> None:
    """Measure and print a Markdown table."""
    args = parse_args()
    networks = assemblies(args.config)
    if args.compile:
        compiled: Any = copy.deepcopy(networks['MLRFNet'])
        compiled.forward = torch.compile(compiled.forward)
        networks['MLRFNet, compiled'] = compiled
    tests = dict(networks)
    tests['MLRFNet, BatchNorm folded'] = folded = copy.deepcopy(networks['MLRFNet'])
    device = next(folded.parameters()).device
    fold_batch_norm(folded, torch.randn(2, 3, 224, 224, device=device))
    name = torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'
    print(f'{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, {date.today()}')
    print('\n| step | network | median s | spread s | ratio to stock |\n|---|---|---|---|---|')
    for title, models, make, batch in (
        ('test, batch 1', tests, test_step, 1),
        ('test, batch 16', tests, test_step, 16),
        ('train, batch 16', networks, train_step, 16),
    ):
        images = torch.randn(batch, 3, 224, 224, device=device)
        steps = {}
        for key, model in models.items():
            model.train(make is train_step)  # returns nothing sensible for mmpretrain's ResNet
            steps[key] = make(model, images)
            steps[key]()  # warm-up
        if make is train_step and device.type == 'cpu' and bfloat16_units():
            steps['MLRFNet, --amp'] = in_bfloat16(steps['MLRFNet'])
            steps['MLRFNet, --amp']()
        times: dict[str, list[float]] = {key: [] for key in steps}
        for _ in range(args.rounds):
            for key, step in steps.items():
                times[key].append(seconds(step))
        stock = statistics.median(times['stock'])
        for key, values in times.items():
            median = statistics.median(values)
            spread = f'{min(values):.3f}–{max(values):.3f}'
            print(f'| {title} | {key} | {median:.3f} | {spread} | {stock / median:.2f} |')


if __name__ == '__main__':
    main()
