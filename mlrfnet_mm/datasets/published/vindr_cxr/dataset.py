"""VinDr-CXR: 18,000 frontal X-rays, of which three radiologists each have read 15,000.

Nguyen et al., "VinDr-CXR: An open dataset of chest X-rays with radiologist's annotations",
Scientific Data 2022. https://physionet.org/content/vindr-cxr/ (credentialed access), and without
the labels of the 3,000 test images
https://www.kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.datasets.published.labeled_xrays import IMAGES, WHOLE, LabeledXrays
from mlrfnet_mm.datasets.published.vindr_cxr.tables import (
    ALL_FINDINGS,
    FINDINGS,
    KAGGLE,
    READINGS,
    combine,
    read_boxes,
    read_votes,
    tables_folder,
)
from mlrfnet_mm.datasets.tables import HASH_SPLITS, index_files, table_file
from mlrfnet_mm.registry import DATASETS
from mlrfnet_mm.xrays.regions import Box

CLASSES = dict(kaggle=FINDINGS, physionet=ALL_FINDINGS)
SPLITS = dict(kaggle=(WHOLE, *HASH_SPLITS), physionet=HASH_SPLITS)


@DATASETS.register_module()
class VinDrCXR(LabeledXrays):
    """VinDr-CXR in the file formats of Kaggle and of PhysioNet.

    - ``kaggle``: ``train.csv`` (or ``.csv.gz``) and ``train/<image_id>.dicom``: 15,000 images,
      14 findings. ``all`` for external validation, or ``train``, ``val`` and ``test`` by a hash
      (see `hash_split`).
    - ``physionet``: ``image_labels_train.csv`` and ``image_labels_test.csv``, in the folder or in
      its ``annotations``, with ``train/`` and ``test/``: 27 findings. ``test`` is the official one,
      of the consensus of five radiologists; ``val`` is taken from the training images by the hash.

    No table names patients, so a hash of the image stands for them: two images of one patient may
    be in two splits. "No finding" is not a class: its target is all zeros. Images that were
    converted to PNG or JPEG under their names are read, too.

    An item holds ``img_path``, ``gt_score`` (float32, ``(K,)``), ``patient_id`` (the image) and
    mmengine's ``sample_idx``. The stamp's protocol is ``'kaggle-majority'`` and the like, as labels
    of another reading are another truth.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``VINDR_CXR_ROOT`` and, if that is not set, ``data/VinDr-CXR``.
        protocol: ``'kaggle'`` or ``'physionet'``.
        split: ``'all'`` (kaggle only), ``'train'``, ``'val'`` or ``'test'``.
        reading: how three readers become one label: ``'majority'`` (two of them), ``'any'``,
            ``'all'``, or ``'share'``: their share as a soft label, for training only.
        pipeline: transforms, or their configs in mmpretrain's registry.
        prepared: folder of a prepared store, ``None`` (find it) or ``False``; see `XrayDataset`.
            With a store the images themselves may be absent.
        test_mode: as in mmengine; and soft labels are refused.
        indices: the first so many images, or the images to keep, as in mmengine.
        lazy_init: read nothing before the first use.
        serialize_data: keep the items in one array that all workers share.
        shuffle_labels: seed of a control that must fail; see `XrayDataset`.

    Raises:
        FileNotFoundError: for a missing folder, table or image.
        ValueError: for unknown names, soft labels in ``test_mode``, a reading other than
            ``'majority'`` of the consensus, and what the tables' readers refuse.
    """

    METAINFO = dict(dataset='VinDr-CXR', classes=FINDINGS)
    default_root = 'data/VinDr-CXR'
    root_variable = 'VINDR_CXR_ROOT'
    url = 'https://physionet.org/content/vindr-cxr/'

    def __init__(
        self,
        data_root: str | None = None,
        protocol: str = 'kaggle',
        split: str = WHOLE,
        reading: str = 'majority',
        pipeline: Sequence[dict | Callable] = (),
        prepared: str | bool | None = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        serialize_data: bool = True,
        shuffle_labels: int | None = None,
    ) -> None:
        if protocol not in CLASSES:
            raise ValueError(f'protocol must be one of {", ".join(CLASSES)}, got {protocol!r}')
        if reading not in READINGS:
            raise ValueError(f'reading must be one of {", ".join(READINGS)}, got {reading!r}')
        if reading == 'share' and test_mode:
            raise ValueError(
                "reading='share' gives soft labels, which are for training: no AUC is defined on "
                "them; with test_mode=True set reading='majority', 'any' or 'all'"
            )
        if protocol == 'physionet' and split == 'test' and reading != 'majority':
            raise ValueError(
                f'reading={reading!r}: the official test has one consensus per image; set '
                "reading='majority'"
            )
        self.splits = SPLITS[protocol]
        self.protocol, self.reading = protocol, reading
        self._readers = 1
        super().__init__(
            data_root,
            dict(protocol=f'{protocol}-{reading}', split=split),
            pipeline=pipeline,
            prepared=prepared,
            test_mode=test_mode,
            indices=indices,
            lazy_init=True,
            serialize_data=serialize_data,
            shuffle_labels=shuffle_labels,
        )
        self._metainfo['classes'] = CLASSES[protocol]
        if not lazy_init:
            self.full_init()

    @property
    def part(self) -> str:
        """``'train'`` or ``'test'``: the published table and folder that hold the split."""
        official = self.protocol == 'physionet' and self._metainfo['split'] == 'test'
        return 'test' if official else 'train'

    def _read(self, root: Path) -> list[dict[str, Any]]:
        table, self._readers, votes, lines = read_votes(root, self.protocol, self.part)
        kept = {name: code for name, code in votes.items() if self._in_split(name)}
        files = index_files([root / self.part], IMAGES)
        return self._items(table, kept, lines, files, str((root / self.part).absolute()))

    def _in_split(self, patient: str) -> bool:
        if self.protocol == 'kaggle':
            return super()._in_split(patient)
        return self.part == 'test' or (self._hashed(patient) == 'val') == (
            self._metainfo['split'] == 'val'
        )

    def _positive(self, codes: np.ndarray) -> np.ndarray:
        return combine(codes, self._readers, self.reading) >= 0.5

    def encode(self, item: dict[str, Any]) -> np.ndarray:
        """The readers' votes as labels, float32 of shape ``(K,)``; see `combine`."""
        return combine(np.frombuffer(item['gt_score'], np.uint8), self._readers, self.reading)

    def read_boxes(self) -> list[Box]:
        """Every reader's boxes of the findings that the label has by ``reading``.

        A finding that a share of the readers sees counts as with ``'any'``.
        """
        root = Path(self.data_root)
        name = KAGGLE if self.protocol == 'kaggle' else f'annotations_{self.part}.csv'
        folder = root if self.protocol == 'kaggle' else tables_folder(root)
        votes = read_votes(root, self.protocol, self.part)
        place = {finding: k for k, finding in enumerate(CLASSES[self.protocol])}
        labels = {
            image: combine(np.frombuffer(code, np.uint8), votes.readers, self.reading) > 0
            for image, code in votes.votes.items()
        }
        return [
            box
            for _, box in read_boxes(table_file(folder, name))
            if box.image in labels and labels[box.image][place[box.finding]]
        ]
