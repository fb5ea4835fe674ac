"""Mixed precision on processors that compute in bfloat16."""

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mlrfnet_mm.registry import OPTIM_WRAPPERS

UNITS = ('avx512_bf16', 'amx_bf16', 'bf16')  # in x86's flags, the last in ARM's features


def bfloat16_units(cpuinfo: str | Path = '/proc/cpuinfo') -> list[str]:
    """The units for bfloat16 that Linux says this processor has; elsewhere none are known."""
    try:
        text = Path(cpuinfo).read_text()
    except OSError:
        return []
    flags = re.search(r'^(?:flags|Features)\s*:(.*)$', text, re.M)
    return [unit for unit in UNITS if flags and unit in flags[1].split()]


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper with forward passes under torch's bfloat16 autocast on the CPU.

    mmengine's AmpOptimWrapper refuses CPUs, and scales losses so that gradients in float16 do not
    vanish: bfloat16 has the range of float32 and needs no scale. Parameters, gradients and the
    optimizer's state stay float32. It does not look whether the processor has units for bfloat16:
    without them it is slow (``mlrfnet train --amp`` looks).

    Args:
        options: those of mmengine's OptimWrapper.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        units = ', '.join(bfloat16_units()) or f'no units for it known on this {platform.machine()}'
        print_log(f'Mixed precision: bfloat16 on the CPU ({units})', logger='current')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Forward passes within are autocast."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield
