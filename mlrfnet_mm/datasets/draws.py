"""Random draws of an image that depend on seed, epoch and index alone.

Worker processes come and go, and their number differs between machines: a draw from a worker's own
generator cannot be repeated. So :class:`mlrfnet_mm.SeedDrawsHook` tells the data set seed, epoch;
the data set puts ``draw = (seed, epoch, index)`` into each item, and transforms and label policies
draw from :func:`generator`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

GEOMETRY, CONTRAST, LABELS = range(3)  # purposes: independent streams of one image


def generator(item: Mapping[str, Any], purpose: int) -> np.random.Generator:
    """Return the generator of an item for one purpose.

    Without ``draw`` in the item (no hook, or training by iterations, which has no epochs) it is
    seeded from numpy's global state, which mmengine seeds in each worker.

    Args:
        item: what a pipeline hands on; ``draw`` is a triple of non-negative integers.
        purpose: ``GEOMETRY``, ``CONTRAST`` or ``LABELS``.
    """
    draw = item.get('draw')
    key = (*draw, purpose) if draw is not None else int(np.random.randint(2**31))
    return np.random.default_rng(key)
