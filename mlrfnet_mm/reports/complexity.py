"""Size, arithmetic and time of a network for one image (MLRFNet, Table 8).

Multiply-adds are counted by mmengine (fvcore's counts: convolutions, products of matrices and
normalizations); FLOPs, two per multiply-add, by torch, which counts convolutions and products
only. What papers call FLOPs are mostly multiply-adds: the 4.29 G of Table 8 are.
"""

import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.engine.machine import usable_device
from mlrfnet_mm.engine.parts import crop_size
from mlrfnet_mm.models.channels import build_model
from mlrfnet_mm.reports.output.tables import Record, Table

WARM_UP = 5


@dataclass(frozen=True)
class Complexity:
    """Of one network and one image.

    Attributes:
        parts: name → (parameters, multiply-adds); ``total`` is the whole network.
        flops: of the whole network.
        seconds: of each timed pass, batch 1, from tensor to scores.
        device: its name.
        size: pixels of the square image's side.
        channels: of the image.
    """

    parts: dict[str, tuple[int, int]]
    flops: int
    seconds: np.ndarray
    device: str
    size: int
    channels: int

    def table(self, config: str) -> Table:
        """Lay out; the CSV has full counts."""
        parameters, adds = self.parts['total']
        records: list[Record] = [
            {
                'part': name,
                'parameters': p,
                'parameter_share': f'{p / parameters:.2%}',
                'multiply_adds': a,
                'multiply_adds_g': f'{a / 1e9:.4f}',
                'multiply_add_share': f'{a / adds:.2%}',
            }
            for name, (p, a) in self.parts.items()
        ]
        low, median, high = np.quantile(self.seconds, [0.25, 0.5, 0.75]) * 1e3
        records[-1] |= dict(flops=self.flops, median_ms=median, q1_ms=low, q3_ms=high)
        columns = {
            'part': 'part',
            'parameters': 'parameters',
            'share': 'parameter_share',
            'multiply-adds (G)': 'multiply_adds_g',
            'share ': 'multiply_add_share',
        }
        shape = f'{self.channels}×{self.size}×{self.size}'
        notes = [
            f'{self.flops / 1e9:.4f} G FLOPs (two per multiply-add; convolutions and matrix '
            'products). Multiply-adds count normalizations too.',
            f'Time per image at batch 1: median {median:.1f} ms, quartiles {low:.1f}–{high:.1f} ms '
            f'of {len(self.seconds)} passes after {WARM_UP} of warm-up, from tensor to logits '
            f'without loading; {self.device}, {date.today()}.',
        ]
        return Table('complexity', f'{config}, one image of {shape}', columns, records, notes)


def measure(
    config: str | Path, size: int | None = None, device: str = 'cpu', runs: int = 30
) -> Complexity:
    """Build a config's network with random weights and measure it.

    Args:
        config: config file.
        size: pixels of the square image's side; None is that of the config's test.
        device: of torch, as ``'cpu'`` or ``'cuda'``.
        runs: timed passes.

    Raises:
        ValueError: a size or runs below 1, a config without a model, a device that torch
            does not see.
    """
    return compare({str(config): read_config(config)}, size, device, runs)[str(config)]


def compare(
    configs: Mapping[str, Config], size: int | None = None, device: str = 'cpu', runs: int = 30
) -> dict[str, Complexity]:
    """Measure several networks in one run, by :func:`measure`.

    The passes go round: one of each network, then the next of each. So what changes on the machine
    meanwhile (heat, other programs) meets all of them.
    """
    if (size is not None and size < 1) or runs < 1:
        raise ValueError(f'size and runs must be at least 1, got {size} and {runs}')
    place = usable_device(device)
    networks, counts = [], []
    for name, cfg in configs.items():
        if 'model' not in cfg:
            raise ValueError(f'config {name} has no model')
        side = size or crop_size(cfg)
        model = build_model(cfg.model, side, cfg.get('default_scope', 'mmpretrain'))
        model.to(place).eval()
        image = torch.zeros(1, input_channels(model), side, side, device=place)
        with torch.no_grad():
            model(image)  # what is made once for all images is not counted
            parts = count_parts(model, image)
            with FlopCounterMode(display=False) as counter:
                model(image)
        networks.append((model, image))
        counts.append((parts, counter.get_total_flops()))
    with torch.no_grad():
        seconds = np.array(list(_rounds(networks, runs)))  # (runs, networks)
    return {
        name: Complexity(
            parts, flops, seconds[:, i], device_name(place), image.shape[-1], image.shape[1]
        )
        for i, (name, (parts, flops), (_, image)) in enumerate(
            zip(configs, counts, networks, strict=True)
        )
    }


def comparison(found: Mapping[str, Complexity]) -> Table:
    """Lay out what :func:`compare` found, one row for each network (Table 8 of the paper)."""
    records: list[Record] = []
    for name, each in found.items():
        low, median, high = np.quantile(each.seconds, [0.25, 0.5, 0.75]) * 1e3
        parameters, adds = each.parts['total']
        records.append(
            {
                'network': name,
                'size': each.size,
                'parameters': parameters,
                'multiply_adds': adds,
                'multiply_adds_g': f'{adds / 1e9:.4f}',
                'flops': each.flops,
                'flops_g': f'{each.flops / 1e9:.4f}',
                'ms': median,
                'ms_low': low,
                'ms_high': high,
            }
        )
    columns = {
        'network': 'network',
        'size': 'size',
        'parameters': 'parameters',
        'multiply-adds (G)': 'multiply_adds_g',
        'FLOPs (G)': 'flops_g',
        'ms per image (quartiles)': 'ms',
    }
    one = next(iter(found.values()))
    notes = [
        'Multiply-adds: convolutions, matrix products and normalizations, without fused attention. '
        'FLOPs, two per multiply-add: convolutions, matrix products and attention.',
        f'Time: median and quartiles of {len(one.seconds)} passes at batch 1 after {WARM_UP} of '
        'warm-up, from tensor to logits without loading, one pass of each network in turn; '
        f'random weights; {one.device}, {date.today()}.',
    ]
    return Table('complexity', 'Size, arithmetic and time for one image', columns, records, notes)


def input_channels(model: nn.Module) -> int:
    """Channels that the first convolution takes."""
    return next(m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d))


def count_parts(model: nn.Module, image: torch.Tensor) -> dict[str, tuple[int, int]]:
    """Parameters and multiply-adds of each top-level part and, last, of the whole."""
    analyzer = FlopAnalyzer(model, image)
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    adds = analyzer.by_module()
    children = {name: child for name, child in model.named_children() if list(child.parameters())}
    modules = {**children, 'total': model}
    return {
        name: (
            sum(p.numel() for p in module.parameters()),
            int(adds['' if name == 'total' else name]),
        )
        for name, module in modules.items()
    }


def _rounds(networks: Sequence[tuple[nn.Module, torch.Tensor]], runs: int) -> Iterator[list[float]]:
    """Seconds of each network in each round after the warm-up."""
    for i in range(WARM_UP + runs):
        seconds = []
        for model, image in networks:
            start = time.perf_counter()
            model(image)
            if image.device.type == 'cuda':
                torch.cuda.synchronize(image.device)
            seconds.append(time.perf_counter() - start)
        if i >= WARM_UP:
            yield seconds


def device_name(device: torch.device) -> str:
    """What the numbers were measured on."""
    if device.type == 'cuda':
        return f'{torch.cuda.get_device_name(device)}, torch {torch.__version__}'
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        found = re.search(r'^model name\s*:\s*(.+)$', info.read_text(), re.M)
        name = found[1].strip() if found else name
    threads = torch.get_num_threads()
    return f'{device.type}: {name}, {threads} threads, torch {torch.__version__}'
