"""What the published sets with labels of 0 and 1 have in common, over `XrayDataset`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.datasets.tables import HASH_SPLITS, hash_split, refuse, summary_line
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.xrays.regions import Box

WHOLE = 'all'  # the split of external validation: every image that has labels
IMAGES = ('.dicom', '.dcm', '.png', '.jpg', '.jpeg')  # as published, or converted under their names


class LabeledXrays(XrayDataset):
    """Base of the published sets whose labels are a byte per class, without official splits.

    A subclass gives ``url``, ``splits``, and ``_read``; the splits ``train``, ``val`` and ``test``
    are those of `hash_split`, and ``all`` is for external validation.

    Args:
        data_root: as in `XrayDataset`.
        stamp: ``protocol``, ``split``, and more for ``metainfo``.
        options: of `XrayDataset`.

    Raises:
        ValueError: an unknown split.
    """

    url: str
    splits: tuple[str, ...] = (WHOLE, *HASH_SPLITS)

    def __init__(self, data_root: str | None, stamp: Mapping[str, str], **options: Any) -> None:
        if stamp['split'] not in self.splits:
            raise ValueError(
                f'split must be one of {", ".join(self.splits)}, got {stamp["split"]!r}'
            )
        lazy_init = options.pop('lazy_init', False)
        super().__init__(data_root, stamp, lazy_init=True, **options)
        if not lazy_init:
            self.full_init()

    def load_data_list(self) -> list[dict[str, Any]]:
        """One lean item per image: ``gt_score`` as bytes, an array only in `get_data_info`."""
        root = Path(self.data_root)
        try:
            return self._read(root)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{self.METAINFO["dataset"]}: {error}\n'
                f'The folder {root.absolute()} is from {self.root_origin}. Get the data set from '
                f'{self.url} and set {self.root_variable} to its folder.'
            ) from None

    def _read(self, root: Path) -> list[dict[str, Any]]:
        """Make the items of the split by `_items`."""
        raise NotImplementedError

    def read_boxes(self) -> list[Box]:
        """Where the findings are, of all images that the tables have; ``image`` is a file's stem.

        Raises:
            ValueError: a data set without such tables.
        """
        raise ValueError(f'{self.METAINFO["dataset"]} has no boxes and no masks')

    def _hashed(self, patient: str) -> str:
        """The split of a patient by `hash_split`."""
        return hash_split(self.METAINFO['dataset'], patient)

    def _in_split(self, patient: str) -> bool:
        """Whether a patient belongs to the split."""
        split = self._metainfo['split']
        return split == WHOLE or self._hashed(patient) == split

    def _items(
        self,
        table: Path,
        labels: Mapping[str, bytes],
        lines: Mapping[str, str | int],
        files: Mapping[str, str],
        where: str,
        patients: Mapping[str, str] | None = None,
        note: str = '',
    ) -> list[dict[str, Any]]:
        """Make the items and the summary.

        Args:
            table: that the images are from.
            labels: image → a byte per class.
            lines: image → line in the table, or in words where it is.
            files: image → path, of all images that are there; a prepared store stands for absent
                ones.
            where: the folders that were searched, for the error.
            patients: image → patient; ``None`` where no table says it: each image is its own.
            note: for the summary.

        Raises:
            FileNotFoundError: for an image that is nowhere.
            ValueError: no image in the split.
        """
        meta = self._metainfo
        if not labels:
            raise ValueError(
                f'{table}: {meta["protocol"]}/{meta["split"]} is empty; put more images into the '
                "table, or take split='all'"
            )
        if self.store:
            stored = {Path(name).stem: f'{self.data_root}/{name}' for name in self.store.index()[0]}
            files = {**stored, **files}
        refuse(
            [
                f'{table.absolute()}, {place if isinstance(place, str) else f"line {place}"}: no '
                f'image {name} in {where}; get the missing archives or remove the rows'
                for name in labels
                if name not in files and (place := lines[name])
            ],
            FileNotFoundError,
        )
        codes = np.frombuffer(b''.join(labels.values()), np.uint8).reshape(len(labels), -1)
        counts = self._positive(codes).sum(0, dtype=int).tolist()
        title = f'{meta["dataset"]} {meta["protocol"]}/{meta["split"]}'
        positives = dict(zip(meta['classes'], counts, strict=True))
        if patients is None:
            note = f' (patients are not known: each image counts as one){note}'
        owners = {patients[name] for name in labels} if patients else labels
        self._summary = summary_line(title, len(labels), len(owners), positives) + note
        return [
            {
                'img_path': files[name],
                'gt_score': code,
                'patient_id': patients[name] if patients else name,
            }
            for name, code in labels.items()
        ]

    def _positive(self, codes: np.ndarray) -> np.ndarray:
        """Which of the codes (N, K) are of findings that are there, for the counts."""
        return codes > 0

    def encode(self, item: dict[str, Any]) -> np.ndarray:
        """The bytes as float32."""
        return np.frombuffer(item['gt_score'], np.uint8).astype(np.float32)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Indices of the item's findings with a label of at least one half."""
        return np.flatnonzero(self.get_data_info(idx)['gt_score'] >= 0.5).tolist()

    def extra_repr(self) -> list[str]:
        """Protocol, split and folder, for ``repr``."""
        return [
            f'Protocol and split: \t{self._metainfo["protocol"]}/{self._metainfo["split"]}',
            f'Folder: \t{self.data_root}',
        ]


def check_classes(chosen: Sequence[str], known: Sequence[str], dataset: str) -> tuple[str, ...]:
    """Return chosen classes, after a look at their names.

    Raises:
        ValueError: none, one twice, or one that the data set does not have.
    """
    if isinstance(chosen, str) or not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f'classes must be a list of different names, got {chosen!r}')
    for name in chosen:
        if name not in known:
            raise ValueError(
                f'{dataset} has no finding {name!r}; it has {", ".join(map(repr, known))}'
            )
    return tuple(chosen)
