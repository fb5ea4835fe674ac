"""ChestX-ray14: 112,120 frontal X-rays of 30,805 patients with 14 findings.

Wang et al., "ChestX-ray8: Hospital-Scale Chest X-Ray Database and Benchmarks on Weakly-Supervised
Classification and Localization of Common Thorax Diseases", CVPR 2017.
https://nihcc.app.box.com/v/ChestXray-NIHCC (provided by the NIH Clinical Center)
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.datasets.published.chestxray14.tables import (
    FINDINGS,
    index_images,
    list_names,
    read_split,
)
from mlrfnet_mm.datasets.tables import refuse, summary_line
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.registry import DATASETS

URL = 'https://nihcc.app.box.com/v/ChestXray-NIHCC'


@DATASETS.register_module()
class ChestXray14(XrayDataset):
    """ChestX-ray14 in the folder layout and file formats that NIH publishes.

    Two protocols, whose numbers must not be compared (17,920 official test images are in the
    training list of ``chexnet``). Images and patients:

    ========  ===============  ==============  ==============
    protocol  train            val             test
    ========  ===============  ==============  ==============
    official  75,619 / 24,565  10,905 / 3,443  25,596 / 2,797
    chexnet   78,468 / 21,528  11,219 / 3,090  22,433 / 6,187
    ========  ===============  ==============  ==============

    - ``official``: NIH's ``train_val_list.txt`` and ``test_list.txt``. Validation is one eighth of
      the patients of the former, chosen by a hash of the patient ID: see `is_validation`.
    - ``chexnet``: the three lists of public CheXNet reimplementations.

    Labels are read from ``Data_Entry_2017_v2020.csv`` (or ``.csv.gz``) whatever the lists say. An
    item holds ``img_path``, ``gt_score`` (float32, ``(14,)``, 0 or 1; all zeros is "No Finding"),
    ``patient_id``, mmengine's ``sample_idx`` and, where the table has the columns, ``sex``
    (``'M'``, ``'F'``), ``age`` (years) and ``view`` (``'PA'``, ``'AP'``). ``metainfo`` holds
    ``dataset``, ``classes``, ``protocol`` and ``split`` as plain strings, to stamp numbers with.
    Only the published lists make it ``'ChestX-ray14'``: else ``dataset`` is
    ``'ChestX-ray14 own lists (official form)'``, with ``indices`` ``'part of …'``, and
    ``'generated phantom'`` in a folder that ``mlrfnet phantom`` wrote.

    Args:
        data_root: the folder with label table, lists and images; ``~`` is expanded. ``None`` takes
            the environment variable ``XRAY14_ROOT`` and, if that is not set, ``data/ChestX-ray14``.
        protocol: ``'official'`` or ``'chexnet'``.
        split: ``'train'``, ``'val'`` or ``'test'``.
        lists: other file names for the lists: keys ``train_val`` and ``test`` (official), or
            ``train``, ``val`` and ``test`` (chexnet). What is not named keeps its default, see
            ``LISTS``.
        pipeline: transforms, or their configs in mmpretrain's registry.
        prepared: folder of a prepared store, ``None`` (find it) or ``False``; see `XrayDataset`.
            With a store the images themselves may be absent.
        test_mode: as in mmengine.
        indices: the first so many images, or the images to keep, as in mmengine.
        lazy_init: read nothing before the first use.
        serialize_data: keep the items in one array that all workers share.
        shuffle_labels: seed of a control that must fail; see `XrayDataset`.

    Raises:
        FileNotFoundError: for a missing folder, table, list or image of the split.
        ValueError: for a patient or an image in two lists, a listed image without a label row, an
            unknown label, duplicates, malformed rows, an empty split and unknown names.
    """

    METAINFO = dict(dataset='ChestX-ray14', classes=FINDINGS)
    default_root = 'data/ChestX-ray14'
    root_variable = 'XRAY14_ROOT'

    def __init__(
        self,
        data_root: str | None = None,
        protocol: str = 'official',
        split: str = 'train',
        lists: Mapping[str, str] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        prepared: str | bool | None = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        serialize_data: bool = True,
        shuffle_labels: int | None = None,
    ) -> None:
        self.lists = list_names(protocol, split, lists)
        super().__init__(
            data_root,
            dict(protocol=protocol, split=split),
            pipeline=pipeline,
            prepared=prepared,
            test_mode=test_mode,
            indices=indices,
            lazy_init=lazy_init,
            serialize_data=serialize_data,
            shuffle_labels=shuffle_labels,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One lean item per image: ``gt_score`` as 14 bytes, an array only in `get_data_info`."""
        root = Path(self.data_root)
        protocol, split = self._metainfo['protocol'], self._metainfo['split']
        try:
            table = read_split(root, protocol, split, self.lists)
            folders = self._folders(root)
            refuse(
                [
                    f'{table.list_file.absolute()}, line {line}: no file {name} in an image '
                    f'folder of {root.absolute()}; get the missing archives or shorten the list'
                    for name, line in table.lines.items()
                    if name not in folders
                ],
                FileNotFoundError,
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'ChestX-ray14: {error}\n'
                f'The folder {root.absolute()} is from {self.root_origin}. Get the data set from '
                f'{URL} and set {self.root_variable} to its folder; `make train` runs on generated '
                'data instead.'
            ) from None
        if not table.published and self._metainfo['dataset'] == self.METAINFO['dataset']:
            self._metainfo['dataset'] = f'ChestX-ray14 own lists ({protocol} form)'
        patients, findings, people = table.labels
        targets = np.frombuffer(b''.join(findings[name] for name in table.lines), np.uint8)
        positives = targets.reshape(-1, len(FINDINGS)).sum(0, dtype=int).tolist()
        self._summary = summary_line(
            f'{self._metainfo["dataset"]} {protocol}/{split}',
            images=len(table.lines),
            patients=len({patients[name] for name in table.lines}),
            positives=dict(zip(FINDINGS, positives, strict=True)),
        )
        return [
            {
                'img_path': f'{folders[name]}/{name}',
                'gt_score': findings[name],
                'patient_id': patients[name],
                **(people[name]._asdict() if people else {}),
            }
            for name in table.lines
        ]

    def _folders(self, root: Path) -> dict[str, str]:
        """Return the folder of each image; without image folders, that which the store names."""
        try:
            return index_images(root)
        except FileNotFoundError:
            if self.store is None:
                raise
            paths = map(Path, self.store.index()[0])
            return {path.name: str(root / path.parent) for path in paths}

    def encode(self, item: dict[str, Any]) -> np.ndarray:
        """The 14 bytes as float32."""
        return np.frombuffer(item['gt_score'], np.uint8).astype(np.float32)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Indices of the item's findings; empty for "No Finding"."""
        return np.flatnonzero(self.get_data_info(idx)['gt_score']).tolist()

    def extra_repr(self) -> list[str]:
        """Protocol, split and folder, for ``repr``."""
        return [
            f'Protocol and split: \t{self._metainfo["protocol"]}/{self._metainfo["split"]}',
            f'Folder: \t{self.data_root}',
        ]
