"""CheXpert: 223,414 frontal and lateral X-rays of 64,540 patients with 14 labels, some uncertain.

Irvin et al., "CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert
Comparison", AAAI 2019. https://stanfordmlgroup.github.io/competitions/chexpert/
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlrfnet_mm.datasets.published.chestxray14.tables import PHANTOM_MANIFEST
from mlrfnet_mm.datasets.published.chexpert.tables import (
    FINDINGS,
    SCORED,
    find_folders,
    read_split,
    table_name,
)
from mlrfnet_mm.datasets.uncertainty import UncertainXrayDataset
from mlrfnet_mm.registry import DATASETS

URL = 'https://stanfordmlgroup.github.io/competitions/chexpert/'


@DATASETS.register_module()
class CheXpert(UncertainXrayDataset):
    """CheXpert in the folder layout and file formats that Stanford publishes.

    Two protocols, whose numbers must not be compared. Images, studies and patients:

    ===============  ============================  ======================  =================
    protocol         train                         val                     valid
    ===============  ============================  ======================  =================
    held-out         216,541 / 181,837 / 62,540    6,873 / 5,804 / 2,000   234 / 200 / 200
    select-on-valid  223,414 / 187,641 / 64,540    is ``valid``            234 / 200 / 200
    ===============  ============================  ======================  =================

    - ``held-out``: ``val`` is 1/32 of the patients of ``train.csv``, chosen by a hash of the
      patient: see `is_validation`. ``valid``, the 200 studies that radiologists labeled, is for
      ``mlrfnet test`` only.
    - ``select-on-valid``: the paper's own habit: epochs and thresholds are chosen on the very
      studies that give the result, which flatters it.

    The folder holds ``train.csv`` and ``valid.csv`` (or ``.csv.gz``) and images at
    ``train/patient00001/study1/view1_frontal.jpg``. It may have any name, be the only one with
    tables directly in ``data_root``, and the column ``Path`` may begin with any prefix. That each
    patient has a folder is checked at once, by one listing; a single missing image of the 223,414
    is named when it is to be read.

    An item holds ``img_path``, ``gt_score`` (float32, ``(K,)``), ``patient_id``
    (``'patient00001'``), ``study_id`` (``'patient00001/study1'``), ``image_id``
    (``'patient00001/study1/view1_frontal.jpg'``), ``view`` (``'Frontal'`` or ``'Lateral'``) and
    mmengine's ``sample_idx``. A positive label is 1, a negative or blank one 0, an uncertain one
    what ``policy`` makes of it; NaN is unknown. Soft labels (``LSR-…``) are drawn again for each
    image and epoch from the seed, whatever other images and classes are kept, in ``train`` without
    ``test_mode`` only; elsewhere they are NaN, as a random label is not a truth.

    Args:
        data_root: the folder; ``~`` is expanded. ``None`` takes the environment variable
            ``CHEXPERT_ROOT`` and, if that is not set, ``data/CheXpert``.
        protocol: ``'held-out'`` or ``'select-on-valid'``.
        split: ``'train'``, ``'val'`` or ``'valid'``.
        policy: ``'U-Ones'``, ``'U-Zeros'``, ``'U-Ignore'``, ``'LSR-Ones'``, ``'LSR-Zeros'``, the
            paper's ``'U-O&U-Z'``, or a mapping of classes to the first five, in which ``default``
            stands for the classes that are not named.
        views: ``'all'`` or ``'frontal'``.
        classes: ``'all'`` 14 or the five ``'scored'``.
        tree: with ``classes='all'``, the labels as a tree (Pham et al., see ``tree.py``). ``'up'``
            makes the ancestors of a positive label positive; ``'conditional'`` does so and makes a
            label unknown unless all its ancestors are positive (an uncertain one is not).
        pipeline: transforms, or their configs in mmpretrain's registry.
        prepared: folder of a prepared store, ``None`` (find it) or ``False``; see `XrayDataset`.
            With a store the images themselves may be absent.
        test_mode: as in mmengine; and no soft labels are drawn.
        indices: the first so many images, or the images to keep, as in mmengine.
        lazy_init: read nothing before the first use.
        serialize_data: keep the items in one array that all workers share.
        shuffle_labels: seed of a control that must fail; see `XrayDataset`.

    Raises:
        FileNotFoundError: for a missing folder, table or patient.
        ValueError: for a patient in both tables, duplicates, malformed rows, an unknown label, an
            empty split and unknown names.
    """

    METAINFO = dict(dataset='CheXpert', classes=FINDINGS, scored=SCORED)
    default_root = 'data/CheXpert'
    root_variable = 'CHEXPERT_ROOT'
    same_images = {('select-on-valid', 'val'): 'valid'}

    def __init__(
        self,
        data_root: str | None = None,
        protocol: str = 'held-out',
        split: str = 'train',
        policy: str | Mapping[str, str] = 'U-O&U-Z',
        views: str = 'all',
        classes: str = 'all',
        tree: str | None = None,
        pipeline: Sequence[dict | Callable] = (),
        prepared: str | bool | None = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        serialize_data: bool = True,
        shuffle_labels: int | None = None,
    ) -> None:
        table_name(protocol, split)  # refuses unknown names also under lazy_init
        super().__init__(
            data_root,
            dict(protocol=protocol, split=split),
            policy,
            views,
            classes,
            tree,
            pipeline=pipeline,
            prepared=prepared,
            test_mode=test_mode,
            indices=indices,
            lazy_init=True,
            serialize_data=serialize_data,
            shuffle_labels=shuffle_labels,
        )
        self._folders = find_folders(Path(self.data_root))
        if any((folder / PHANTOM_MANIFEST).is_file() for folder in self._folders):
            self._metainfo['dataset'] = 'generated phantom'
        if not lazy_init:
            self.full_init()

    @property
    def tables_folder(self) -> Path:
        """Folder that holds the label tables: ``data_root``, or the one below it that has them."""
        return self._folders[0] if self._folders else Path(self.data_root)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One lean item per image: ``gt_score`` as bytes, an array only in `get_data_info`."""
        root = Path(self.data_root)
        try:
            if len(self._folders) > 1:
                found = ' and in '.join(folder.name for folder in self._folders)
                raise FileNotFoundError(f'tables in {found}; name one of these folders.')
            folder = self.tables_folder
            meta = self._metainfo
            table, images = read_split(folder, meta['protocol'], meta['split'])
            return self._items(folder, table, images)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'CheXpert: {error}\n'
                f'The folder {root.absolute()} is from {self.root_origin}. Get the data set from '
                f'{URL} and set {self.root_variable} to its folder.'
            ) from None
