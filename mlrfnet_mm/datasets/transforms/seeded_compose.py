"""Other projects' random transforms, with draws that can be repeated."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mlrfnet_mm.datasets.transforms.draws import SEED, uniforms
from mlrfnet_mm.registry import TRANSFORMS

USED = 'seeded'  # how many of these an item has been through


@TRANSFORMS.register_module()
class SeededCompose(BaseTransform):
    """Transforms that draw from numpy's or Python's global generator, as mmpretrain's do.

    While they run, the generators are seeded for (seed, epoch, index) of the item; then they are as
    before. So an image is augmented the same way for any number of workers and after a resume, as
    by this project's transforms. Several of these in a pipeline draw different numbers.

    Args:
        transforms: transforms, or their configs, as a pipeline has them.
    """

    def __init__(self, transforms: Sequence[dict | Callable]) -> None:
        self.compose = Compose(transforms)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Seed, run, restore."""
        used = results.get(USED, 0)
        results[USED] = used + 1
        (u,) = uniforms(results, SEED + used, 1)
        of_numpy, of_python = np.random.get_state(), random.getstate()
        np.random.seed(int(u * 2**32))
        random.seed(u)
        try:
            changed: dict[str, Any] | None = self.compose(results)
            return changed
        finally:
            np.random.set_state(of_numpy)
            random.setstate(of_python)

    def __repr__(self) -> str:
        return f'SeededCompose({self.compose})'
