"""What depends on the machine and not on the method: workers, memory, collation, bfloat16."""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import DATASETS, DefaultScope
from torch import nn

from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.engine.parts import leaf_datasets, part_class
from mlrfnet_mm.registry import OPTIM_WRAPPERS
from mlrfnet_mm.xrays.cores import cores

UNITS = ('avx512_bf16', 'amx_bf16', 'bf16')  # in x86's flags, the last in ARM's features
MOST_WORKERS = 8  # docs/performance.md has what one of them delivers


def loader_defaults() -> dict[str, Any]:
    """Data loader settings for this machine.

    With a GPU: a worker for each core of the process but one, at most ``MOST_WORKERS``, and pinned
    memory. Without one, training itself takes the cores: one worker. Workers live as long as their
    loader.
    """
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    gpu = torch.cuda.is_available()
    workers = max(1, min(MOST_WORKERS, cores() // processes - 1)) if gpu else 1
    return dict(num_workers=workers, persistent_workers=True, pin_memory=gpu)


def fitting_batch(images: int) -> int:
    """Images in a batch: the recipe's 32, or fewer where memory or the images are few.

    Half of the GPU's memory, or of the machine's without one, must hold the training: 1.2 GiB and
    0.14 GiB per image of 224 x 224 (measured with MLRFNet in single precision on a CPU).

    Args:
        images: of the training split.
    """
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
    else:
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    fits = [n for n in (32, 16, 8, 4) if n <= images and 1.2 + 0.14 * n <= memory / 2**31]
    return fits[0] if fits else 2


def usable_device(name: str) -> torch.device:
    """The device of a name, tried out.

    Raises:
        ValueError: torch does not see it here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'torch cannot use device {name!r}: {error}') from error
    return device


def complete_loader(loader: Mapping[str, Any]) -> dict[str, Any]:
    """Fill what a data loader's config leaves open with :func:`loader_defaults`.

    What the config says stays as it is; ``num_workers=0`` leaves nothing to persist. The images of
    this project's data sets are stacked in the worker (``default_collate``): one tensor is handed
    over instead of one for each image.
    """
    filled = {**loader_defaults(), **loader}
    if filled['num_workers'] == 0 and 'persistent_workers' not in loader:
        filled['persistent_workers'] = False
    if 'collate_fn' not in loader and _all_ours(loader.get('dataset')):
        filled['collate_fn'] = dict(type='default_collate')
    return filled


def _all_ours(dataset: Any) -> bool:
    """Whether a loader's data set, built or as a config, holds this project's only."""
    current = DefaultScope.get_current_instance()
    scope = current.scope_name if current else None
    kinds = [
        part_class(DATASETS, leaf['type'], scope) if isinstance(leaf, Mapping) else type(leaf)
        for leaf in leaf_datasets(dataset)
    ]
    return bool(kinds) and all(kind and issubclass(kind, XrayDataset) for kind in kinds)


def parts(dataset: Any) -> Iterator[Any]:
    """Yield a data set, and those inside if it is one of mmengine's wrappers."""
    yield dataset
    inside = [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]
    for part in inside:
        if part is not None:
            yield from parts(part)


def describe() -> str:
    """One line for the log."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    defaults = ', '.join(f'{key}={value}' for key, value in loader_defaults().items())
    return f'Machine: {cores()} cores, {device}. Data loaders, where the config is open: {defaults}'


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
