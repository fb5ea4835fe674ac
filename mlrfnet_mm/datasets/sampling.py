"""Class-aware sampling: findings are drawn equally often, and images for them.

Shen et al., ECCV 2016, https://arxiv.org/abs/1512.05830; with a cap on how often an image comes in
an epoch.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler, Subset

from mlrfnet_mm.datasets.transforms.draws import CopyIndex
from mlrfnet_mm.registry import DATA_SAMPLERS


def class_aware_indices(
    groups: Sequence[Sequence[int]], count: int, max_repeats: int, rng: np.random.Generator
) -> list[int]:
    """Draw a class uniformly and then an image with it, ``count`` times.

    The images of a class come in random order, each once before one comes again. One that was drawn
    ``max_repeats`` times, for whatever class, is drawn no more; a class without any left is drawn
    no more.

    Args:
        groups: the images of each class.
        count: number of draws.
        max_repeats: how often an image may come.
        rng: source of the draws.

    Raises:
        ValueError: fewer than ``count`` draws are possible.
    """
    images = np.unique(np.concatenate([np.asarray(group, int) for group in groups]))
    if len(images) * max_repeats < count:
        raise ValueError(
            f'{len(images)} images, each at most {max_repeats} times, are fewer than the {count} '
            'of an epoch: raise max_repeats, or lower num_samples'
        )
    left = dict.fromkeys(images.tolist(), max_repeats)
    classes = [list(group) for group in groups if len(group)]
    waiting: list[list[int]] = [[] for _ in classes]  # of each class, in the order of this round
    drawn: list[int] = []
    while len(drawn) < count:
        c = int(rng.integers(len(classes)))
        while waiting[c] and not left[waiting[c][-1]]:
            waiting[c].pop()
        if not waiting[c]:
            classes[c] = [i for i in classes[c] if left[i]]
            if not classes[c]:
                del classes[c], waiting[c]
                continue
            waiting[c] = rng.permutation(classes[c]).tolist()
        image = waiting[c].pop()
        left[image] -= 1
        drawn.append(image)
    return drawn


def findings_of(dataset: Any, index: int) -> list[int]:
    """Indices of an item's findings, also inside mmengine's wrappers and torch's ``Subset``.

    Raises:
        TypeError: a data set without ``get_cat_ids``, which tells them.
    """
    if isinstance(dataset, Subset):
        return findings_of(dataset.dataset, dataset.indices[index])
    if hasattr(dataset, '_get_ori_dataset_idx'):  # mmengine's wrappers
        place = dataset._get_ori_dataset_idx(index)
        if isinstance(place, tuple):  # ConcatDataset: which of its parts, and the index there
            return findings_of(dataset.datasets[place[0]], place[1])
        return findings_of(dataset.dataset, place)
    if not hasattr(dataset, 'get_cat_ids'):
        raise TypeError(
            'ClassAwareSampler asks get_cat_ids(index) for the findings of an image, and '
            f'{type(dataset).__name__} has none; mlrfnet_mm.ChestXray14, CheXpert and MIMICCXR do'
        )
    found: list[int] = dataset.get_cat_ids(index)
    return found


@DATA_SAMPLERS.register_module()
class ClassAwareSampler(Sampler):
    """:func:`class_aware_indices` of a training set, for any number of processes.

    The draws depend on seed and epoch alone: so a resumed training goes on as the whole one would
    have, and the processes share one epoch's draws among them. A copy of an image is augmented in
    another way than the first (:class:`mlrfnet_mm.SeedDrawsHook`). With a loss of its own weights,
    such as ``pos_weight``, findings would be balanced twice; :class:`DistributionBalancedLoss`
    knows of the sampling.

    ::

        train_dataloader.sampler = dict(type='mlrfnet_mm.ClassAwareSampler', max_repeats=10)

    Args:
        dataset: that of the loader; ``get_cat_ids(index)`` of it, or of the data set in its
            wrappers, names an image's findings. An unknown label is not a finding.
        max_repeats: how often an image may come in an epoch.
        no_finding: draw images without a finding as a class of their own; False draws none.
        num_samples: draws of an epoch, of all processes together; the number of images by default.
        seed: of the draws; the runner gives its own.

    Raises:
        ValueError: a number below 1; too few images for an epoch.
        TypeError: a data set that does not tell the findings.
    """

    def __init__(
        self,
        dataset: Any,
        max_repeats: int = 10,
        no_finding: bool = True,
        num_samples: int | None = None,
        seed: int | None = None,
    ) -> None:
        for name, value in dict(max_repeats=max_repeats, num_samples=num_samples).items():
            if value is not None and (isinstance(value, bool) or value < 1):
                raise ValueError(f'ClassAwareSampler: {name} must be at least 1, got {value}')
        self.rank, self.world_size = get_dist_info()
        self.seed: int = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.size = len(dataset)
        self.max_repeats = max_repeats
        self.num_samples = -(-(num_samples or self.size) // self.world_size)  # of this process
        self.groups = self._group(dataset, no_finding)
        if not self.groups:
            raise ValueError('ClassAwareSampler: no image has a finding, and no_finding=False')
        self._epoch_indices()  # refuses what cannot be drawn

    def _group(self, dataset: Any, no_finding: bool) -> list[list[int]]:
        groups: dict[int, list[int]] = {}
        for index in range(self.size):
            found = findings_of(dataset, index)
            for c in found or ([-1] if no_finding else []):
                groups.setdefault(int(c), []).append(index)
        return [groups[c] for c in sorted(groups)]

    def _epoch_indices(self) -> list[int]:
        rng = np.random.default_rng((self.seed, self.epoch))
        total = self.num_samples * self.world_size
        return class_aware_indices(self.groups, total, self.max_repeats, rng)

    def __iter__(self) -> Iterator[int]:
        """Indices of this process; the copies of an image know which copy they are."""
        copies: dict[int, int] = {}
        indices = []
        for index in self._epoch_indices():
            copy = copies[index] = copies.get(index, -1) + 1
            indices.append(CopyIndex(index, index + copy * self.size))
        return iter(indices[self.rank :: self.world_size])

    def __len__(self) -> int:
        """Draws of this process in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the draws of an epoch; mmengine's ``DistSamplerSeedHook`` does so."""
        self.epoch = epoch
