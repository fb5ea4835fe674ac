"""Random draws of an image that depend on seed, epoch and index alone.

Worker processes come and go, and their number differs between machines: a draw from a worker's own
generator cannot be repeated. So :class:`mlrfnet_mm.SeedDrawsHook` tells the data set seed, epoch;
the data set puts ``draw = (seed, epoch, index)`` into each item, and transforms and label policies
draw by :func:`uniforms`.
"""

import struct
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import shake_128
from typing import Any

import numpy as np
from torch.utils.data import Subset

# Purposes: independent streams of one image. Last, as each further SeededCompose takes the next.
GEOMETRY, CONTRAST, LABELS, SEED = range(4)


def uniforms(item: Mapping[str, Any], purpose: int, count: int) -> list[float]:
    """Draw numbers from [0, 1) for an item.

    They are a hash of ``draw`` and the purpose: to seed one of numpy's generators for so few
    numbers takes eight times as long. Without ``draw`` in the item (no hook, or training by
    iterations, which has no epochs) they come from numpy's global state, which mmengine seeds in
    each worker.

    Args:
        item: what a pipeline hands on; ``draw`` is a triple of integers from 0 to 2**64 - 1.
        purpose: ``GEOMETRY``, ``CONTRAST``, ``LABELS``, or from ``SEED`` on.
        count: how many numbers.
    """
    draw = item.get('draw')
    if draw is None:
        return np.random.random_sample(count).tolist()
    digest = shake_128(struct.pack('<4Q', *draw, purpose)).digest(8 * count)
    return [(n >> 11) * 2**-53 for n in struct.unpack(f'<{count}Q', digest)]  # 53 bits, as numpy's


class CopyIndex(int):
    """Index of an item that also knows the index in the outermost wrapper, ``outer``."""

    outer: int

    def __new__(cls, index: int, outer: int) -> 'CopyIndex':
        """Make an index that acts as ``index``."""
        self = super().__new__(cls, index)
        self.outer = outer
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return CopyIndex, (int(self), self.outer)


class CopyIndices(list):
    """Indices of a ``Subset`` that pass on which of its items is asked for."""

    def __getitem__(self, index: Any) -> Any:
        """The index in the data set, as a ``CopyIndex``."""
        found = super().__getitem__(index)
        if isinstance(index, slice):
            return found
        return CopyIndex(found, getattr(index, 'outer', int(index)))


def tell_copies(wrapper: Any) -> None:
    """Let a wrapper of mmengine's or torch's pass on which of its items is asked for.

    ``RepeatDataset`` and ``ClassBalancedDataset`` ask for an image several times in an epoch, as
    does ``ClassAwareSampler``, and the draws of these copies must differ, see ``CopyIndex``; the
    wrappers hand on the image's own index only.
    """
    if isinstance(wrapper, Subset) and not isinstance(wrapper.indices, CopyIndices):
        wrapper.indices = CopyIndices(wrapper.indices)
    find = getattr(wrapper, '_get_ori_dataset_idx', None)
    if find is not None and not isinstance(find, partial):
        wrapper._get_ori_dataset_idx = partial(_with_outer, find)


def _with_outer(find: Callable[[int], Any], index: int) -> Any:
    outer = getattr(index, 'outer', int(index))
    found = find(index)
    if isinstance(found, tuple):  # ConcatDataset: which of its parts, and the index there
        return *found[:-1], CopyIndex(found[-1], outer)
    return CopyIndex(found, outer)
