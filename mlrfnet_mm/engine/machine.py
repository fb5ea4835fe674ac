"""Settings that depend on the machine and not on the method: workers, memory, batch size."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS

MOST_WORKERS = 8  # one of them feeds 2,500 images a second from a prepared store


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


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def complete_loader(loader: Mapping[str, Any]) -> dict[str, Any]:
    """Fill what a data loader's config leaves open with :func:`loader_defaults`.

    What the config says stays as it is; ``num_workers=0`` leaves nothing to persist.
    """
    filled = {**loader_defaults(), **loader}
    if filled['num_workers'] == 0 and 'persistent_workers' not in loader:
        filled['persistent_workers'] = False
    return filled


def describe() -> str:
    """One line for the log."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    defaults = ', '.join(f'{key}={value}' for key, value in loader_defaults().items())
    return f'Machine: {cores()} cores, {device}. Data loaders, where the config is open: {defaults}'


def largest_batch(fits: Callable[[int], bool], step: int = 8, limit: int = 1024) -> int:
    """Return the largest multiple of ``step`` up to ``limit`` that fits, by doubling and halving.

    Args:
        fits: whether a batch of this size fits; assumed true for all below one that does.
        step: the result is a multiple of it.
        limit: the largest size that is tried.

    Raises:
        ValueError: not even ``step`` fits.
    """
    low, high = 0, step
    while high <= limit and fits(high):
        low, high = high, 2 * high
    high = min(high, limit + step)
    while high - low > step:
        middle = (low + high) // 2 // step * step
        low, high = (middle, high) if fits(middle) else (low, middle)
    if not low:
        raise ValueError(f'not even a batch of {step} fits into the memory')
    return low


def find_batch_size(cfg: Config) -> int:
    """Find the largest training batch for the GPU: forward and backward on the config's images.

    A tenth of the memory is left for the optimizer and the allocator's own gaps.

    Raises:
        ValueError: this machine has no GPU (without one the system would end the process instead
            of saying that memory is short).
    """
    if not torch.cuda.is_available():
        raise ValueError(
            '--auto-batch-size needs a GPU, and torch sees none on this machine: leave it out, or '
            'set train_dataloader.batch_size'
        )
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model).cuda().train()
    torch.cuda.set_per_process_memory_fraction(0.9)

    def fits(size: int) -> bool:
        try:
            batch = pseudo_collate([dataset[i % len(dataset)] for i in range(size)])
            losses = model(**model.data_preprocessor(batch, True), mode='loss')
            model.parse_losses(losses)[0].backward()
        except torch.cuda.OutOfMemoryError:
            return False
        finally:
            model.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
        return True

    try:
        return largest_batch(fits)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
