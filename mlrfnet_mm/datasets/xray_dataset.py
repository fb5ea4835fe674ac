"""What the chest X-ray data sets have in common, over mmpretrain's BaseDataset."""

import logging
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from mlrfnet_mm.datasets.published.chestxray14.tables import PHANTOM_MANIFEST
from mlrfnet_mm.datasets.store.store import MANIFEST, PreparedStore, store_folder
from mlrfnet_mm.datasets.transforms import LoadXray, XrayGeometry

PART_OF = 'part of '
SHUFFLED = 'shuffled labels of '


def shuffle_columns(codes: np.ndarray, seed: int) -> np.ndarray:
    """Permute each column of (N, K) for itself: how often stays, with what else does not."""
    return np.random.default_rng(seed).permuted(codes, axis=0)


class XrayDataset(BaseDataset):
    """Base of the data sets: where the folder is, lean items, errors that name the image.

    A subclass gives ``default_root`` and ``root_variable``, sets ``self._summary`` in
    ``load_data_list`` (one line for the log) and turns an item's label code into ``gt_score`` in
    ``encode``.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``root_variable`` and, if that is not set, ``default_root``.
        stamp: plain strings for ``metainfo``, to stamp numbers with: ``protocol``, ``split``, …
        pipeline: transforms, or their configs in mmpretrain's registry.
        prepared: folder of a prepared store (``mlrfnet prepare``), made from these files at the
            pipeline's ``scale``. ``None`` takes ``<data_root>/prepared_<scale>`` if it is there and
            the pipeline begins with ``LoadXray`` and has an ``XrayGeometry``; ``False`` takes none.
        test_mode: as in mmengine.
        indices: the first so many images, or the images to keep, as in mmengine.
        lazy_init: read nothing before the first use.
        serialize_data: keep the items in one array that all workers share.
        shuffle_labels: a control that must fail: with this seed each finding's labels are permuted
            over all images of the split, for itself, which leaves every count and removes what
            labels have to do with images and with each other. The stamp says so.
    """

    default_root: str
    root_variable: str
    # (protocol, split) -> the split of the same images: they must not train and be tested on
    same_images: Mapping[tuple[str, str], str] = {}
    _summary: str
    _whole: int

    def __init__(
        self,
        data_root: str | None,
        stamp: Mapping[str, str],
        pipeline: Sequence[dict | Callable] = (),
        prepared: str | bool | None = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        serialize_data: bool = True,
        shuffle_labels: int | None = None,
    ) -> None:
        folder, self.root_origin = self.find_folder(data_root)
        super().__init__(
            ann_file='',
            data_root=str(folder),
            pipeline=pipeline,
            test_mode=test_mode,
            indices=indices,
            lazy_init=True,
            serialize_data=serialize_data,
        )
        if (least := min([indices] if isinstance(indices, int) else indices or [0])) < 0:
            raise ValueError(f'indices counts images or names their places from 0, got {least}')
        if prepared is True:
            raise ValueError('prepared is a folder, None (find it) or False, got True')
        seed = shuffle_labels
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise ValueError(f'shuffle_labels is a seed, a whole number from 0, got {seed!r}')
        self.shuffle_labels = seed
        self.prepared = prepared
        self.store: PreparedStore | None = None
        self._draws = torch.full((2,), -1).share_memory_()  # seed and epoch, seen by all workers
        # Not through the `metainfo` argument: there mmengine takes strings for file names.
        self._metainfo.update(stamp)
        if os.path.isfile(os.path.join(self.data_root, PHANTOM_MANIFEST)):
            self._metainfo['dataset'] = (
                'generated phantom'  # so that its numbers are not taken for real ones
            )
        if not lazy_init:
            self.full_init()

    @classmethod
    def find_folder(cls, data_root: str | None) -> tuple[Path, str]:
        """The data set's folder, and where its name comes from."""
        origins = {
            'the argument data_root': data_root,
            f'the environment variable {cls.root_variable}': os.environ.get(cls.root_variable),
            f'the default (no data_root given, {cls.root_variable} not set)': cls.default_root,
        }
        origin, root = next((key, root) for key, root in origins.items() if root)
        return Path(root).expanduser(), origin

    def full_init(self) -> None:
        """Read the tables, once, and log one line about them."""
        if self._fully_initialized:
            return
        self.store = self._find_store()
        super().full_init()
        self._say_part()
        kept = '' if self._indices is None else f' (`indices` keeps {len(self):,} of the images)'
        print_log(self._summary + kept, logger='current')
        if self.store:
            print_log(f'Images from the prepared store {self.store.folder}', logger='current')

    def _say_part(self) -> None:
        """Let the stamp say so where some images are left out."""
        name = self._metainfo['dataset']
        if len(self) < self._whole and not name.startswith(PART_OF):
            self._metainfo['dataset'] = f'{PART_OF}{name}'

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some images, as in mmengine, and say so in the stamp."""
        super().get_subset_(indices)
        self._say_part()

    def get_subset(self, indices: int | Sequence[int]) -> 'XrayDataset':
        """A data set of some of the images, as in mmengine, which says so in its stamp."""
        subset: XrayDataset = super().get_subset(indices)
        subset._say_part()
        return subset

    def _find_store(self) -> PreparedStore | None:
        steps = getattr(self.pipeline, 'transforms', [])
        geometry = [step for step in steps if isinstance(step, XrayGeometry)]
        usable = bool(geometry) and isinstance(steps[0], LoadXray)
        if self.prepared:
            if not usable:
                raise ValueError(
                    f'prepared={self.prepared!r} needs a pipeline that begins with '
                    'mlrfnet_mm.LoadXray and has an mlrfnet_mm.XrayGeometry'
                )
            folder = Path(os.path.expanduser(str(self.prepared)))
        elif self.prepared is False or not usable:
            return None
        else:
            folder = store_folder(self.data_root, geometry[0].scale)
            if not (folder / MANIFEST).is_file():
                if folder.is_dir():
                    print_log(f'{folder} is unfinished and not used', 'current', logging.WARNING)
                return None
        return PreparedStore(folder, geometry[0].scale, steps[0].bits)

    @property
    def tables_folder(self) -> Path:
        """Folder that holds the label tables."""
        return Path(self.data_root)

    def filter_data(self) -> list[dict[str, Any]]:
        """Give each item its row in the prepared store, if there is one, and shuffle labels."""
        self._whole = len(self.data_list)  # before ``indices``
        if self.shuffle_labels is not None:
            codes = [np.frombuffer(item['gt_score'], np.uint8) for item in self.data_list]
            shuffled = shuffle_columns(np.stack(codes), self.shuffle_labels)
            for item, row in zip(self.data_list, shuffled, strict=True):
                item['gt_score'] = row.tobytes()
            self._metainfo['dataset'] = f'{SHUFFLED}{self._metainfo["dataset"]}'
            self._summary += f'; labels SHUFFLED with seed {self.shuffle_labels}, a control'
        if self.store:
            paths = [item['img_path'] for item in self.data_list]
            rows = self.store.rows(paths, Path(self.data_root))
            for item, row in zip(self.data_list, rows, strict=True):
                item['row'] = row
        return self.data_list

    def encode(self, item: dict[str, Any]) -> np.ndarray:
        """Return ``gt_score``, float32 of shape ``(K,)``, from the item's ``gt_score`` bytes."""
        raise NotImplementedError

    def set_draws(self, seed: int, epoch: int) -> None:
        """Make every draw of an image depend on (seed, epoch, index), in all workers."""
        if not self._draws.is_shared():  # a copy of a data set has a tensor of its own
            self._draws.share_memory_()
        self._draws.copy_(torch.tensor([seed, epoch]))

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        """The layout of mmengine's by one join, instead of an array for each item."""
        items = [pickle.dumps(item, protocol=4) for item in self.data_list]
        self.data_list.clear()
        ends = np.cumsum([len(item) for item in items], dtype=np.int64)
        return np.frombuffer(b''.join(items), np.uint8), ends

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The item without its image; ``gt_score`` is float32 of shape ``(K,)``."""
        info = super().get_data_info(idx)
        seed, epoch = self._draws.tolist()
        if seed >= 0:
            info['draw'] = (seed, epoch, getattr(idx, 'outer', info['sample_idx']))
        info['gt_score'] = self.encode(info)
        return info

    def prepare_data(self, idx: int) -> Any:
        """The item after the pipeline; each error names the image, and no image is left out.

        Raises:
            RuntimeError: if a transform fails, or if one returns None, on which mmengine would
                take another image instead.
        """
        info = self.get_data_info(idx)
        path = info['img_path']
        try:
            if self.store:
                row = info.pop('row')
                info['img'] = self.store.image(row)
                info['ori_shape'] = tuple(self.store.shapes[row].tolist())
            data = self.pipeline(info)
        except Exception as error:
            raise RuntimeError(f'{path}: {type(error).__name__}: {error}') from error
        if data is None:
            raise RuntimeError(f'{path}: the pipeline returned None instead of this image')
        return data
