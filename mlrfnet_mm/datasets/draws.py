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


def uniforms(item: Mapping[str, Any], purpose: int, count: int) -> np.ndarray:
    """Draw numbers from [0, 1) for an item, float64 of shape ``(count,)``.

    They are a hash of ``draw`` and the purpose: to seed a generator for so few numbers takes ten
    times as long (19 us; 2 us for seven). Without ``draw`` in the item (no hook, or training by
    iterations, which has no epochs) they come from numpy's global state, which mmengine seeds in
    each worker.

    Args:
        item: what a pipeline hands on; ``draw`` is a triple of integers from 0 to 2**64 - 1.
        purpose: ``GEOMETRY``, ``CONTRAST`` or ``LABELS``.
        count: how many numbers.
    """
    draw = item.get('draw')
    if draw is None:
        return np.random.random_sample(count)
    digest = shake_128(struct.pack('<4Q', *draw, purpose)).digest(8 * count)
    return (np.frombuffer(digest, '<u8') >> np.uint64(11)) * 2.0**-53  # 53 bits, as numpy takes
