"""Random draws of an image that depend on seed, epoch and index alone.

Worker processes come and go, and their number differs between machines: a draw from a worker's own
generator cannot be repeated. So :class:`mlrfnet_mm.SeedDrawsHook` tells the data set seed, epoch;
the data set puts ``draw = (seed, epoch, index)`` into each item, and transforms and label policies
draw by :func:`uniforms`.
"""

import struct
from collections.abc import Mapping
from hashlib import shake_128
from typing import Any

import numpy as np

GEOMETRY, CONTRAST, LABELS = range(3)  # purposes: independent streams of one image


def uniforms(item: Mapping[str, Any], purpose: int, count: int) -> list[float]:
    """Draw numbers from [0, 1) for an item.

    They are a hash of ``draw`` and the purpose: to seed one of numpy's generators for so few
    numbers takes eight times as long. Without ``draw`` in the item (no hook, or training by
    iterations, which has no epochs) they come from numpy's global state, which mmengine seeds in
    each worker.

    Args:
        item: what a pipeline hands on; ``draw`` is a triple of integers from 0 to 2**64 - 1.
        purpose: ``GEOMETRY``, ``CONTRAST`` or ``LABELS``.
        count: how many numbers.
    """
    draw = item.get('draw')
    if draw is None:
        return np.random.random_sample(count).tolist()
    digest = shake_128(struct.pack('<4Q', *draw, purpose)).digest(8 * count)
    return [(n >> 11) * 2**-53 for n in struct.unpack(f'<{count}Q', digest)]  # 53 bits, as numpy's
