"""MIMIC-CXR-JPG: 377,110 X-rays with the 14 labels of CheXpert, in its own files.

Johnson et al., "MIMIC-CXR-JPG, a large publicly available database of labeled chest radiographs",
2019. https://physionet.org/content/mimic-cxr-jpg/ (credentialed access)
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS, SCORED
from mlrfnet_mm.datasets.published.mimic_cxr.tables import SPLITS, read_split
from mlrfnet_mm.datasets.uncertainty import UncertainXrayDataset
from mlrfnet_mm.registry import DATASETS

URL = 'https://physionet.org/content/mimic-cxr-jpg/'


@DATASETS.register_module()
class MIMICCXR(UncertainXrayDataset):
    """MIMIC-CXR-JPG in the folder layout and file formats of PhysioNet.

    The folder holds ``mimic-cxr-2.0.0-chexpert.csv``, ``…-split.csv``, ``…-metadata.csv`` (each
    also as ``.csv.gz``) and images at ``files/p10/p10000032/s50414267/<dicom_id>.jpg``. The splits
    are the official ones; a patient in two of them is an error. Classes have CheXpert's order,
    whatever the order of the columns.

    Images of studies that have no row of labels (eight studies, by the published totals) cannot be
    used: they are left out with a warning that counts them, and the log's summary says so, too.

    An item is as in `CheXpert`: ``patient_id`` is ``'p10000032'``, ``study_id``
    ``'p10000032/s50414267'``, ``image_id`` ``'p10000032/s50414267/<dicom_id>.jpg'``, ``view``
    ``'Frontal'`` for the ViewPosition PA or AP, ``'Lateral'`` for LATERAL or LL, and ``'Other'``
    for what is left, blank included.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``MIMIC_CXR_ROOT`` and, if that is not set, ``data/MIMIC-CXR-JPG``.
        split: ``'train'``, ``'validate'`` or ``'test'``.
        policy: as in `CheXpert`.
        views: ``'all'`` or ``'frontal'``.
        classes: ``'all'`` 14 or the five ``'scored'``.
        pipeline: transforms, or their configs in mmpretrain's registry.
        prepared: as in `CheXpert`.
        test_mode: as in mmengine; and no soft labels are drawn.
        indices: the first so many images, or the images to keep, as in mmengine.
        lazy_init: read nothing before the first use.
        serialize_data: keep the items in one array that all workers share.
        shuffle_labels: seed of a control that must fail; see `XrayDataset`.

    Raises:
        FileNotFoundError: for a missing folder, table or patient.
        ValueError: for a patient in two splits, duplicates, malformed rows, an unknown label,
            tables that disagree, an empty split and unknown names.
    """

    METAINFO = dict(dataset='MIMIC-CXR-JPG', classes=FINDINGS, scored=SCORED)
    default_root = 'data/MIMIC-CXR-JPG'
    root_variable = 'MIMIC_CXR_ROOT'

    def __init__(
        self,
        data_root: str | None = None,
        split: str = 'train',
        policy: str | Mapping[str, str] = 'U-O&U-Z',
        views: str = 'all',
        classes: str = 'all',
        pipeline: Sequence[dict | Callable] = (),
        prepared: str | bool | None = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        serialize_data: bool = True,
        shuffle_labels: int | None = None,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {", ".join(SPLITS)}, got {split!r}')
        super().__init__(
            data_root,
            dict(protocol='official', split=split),
            policy,
            views,
            classes,
            pipeline=pipeline,
            prepared=prepared,
            test_mode=test_mode,
            indices=indices,
            lazy_init=lazy_init,
            serialize_data=serialize_data,
            shuffle_labels=shuffle_labels,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One lean item per image: ``gt_score`` as bytes, an array only in `get_data_info`."""
        root = Path(self.data_root)
        try:
            table, images, unlabeled = read_split(root, self._metainfo['split'])
            note = ''
            if unlabeled:
                study, line = next(iter(unlabeled.items()))
                note = f', without {len(unlabeled)} studies that have no labels'
                print_log(
                    f'{len(unlabeled)} studies have no row of labels, their images are left out; '
                    f'the first is {study} ({table}, line {line})',
                    'current',
                    logging.WARNING,
                )
            return self._items(root, table, images, note)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'MIMIC-CXR-JPG: {error}\n'
                f'The folder {root.absolute()} is from {self.root_origin}. Get the data set from '
                f'{URL} and set {self.root_variable} to its folder.'
            ) from None
