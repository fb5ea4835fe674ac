"""X-rays of one's own: a table with one row per image, its patient and its labels."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mlrfnet_mm.datasets.published.chexpert.tables import BLANK, POSITIVE, UNCERTAIN
from mlrfnet_mm.datasets.store.store import store_name
from mlrfnet_mm.datasets.table_xrays.images import (
    ages,
    check_files,
    check_studies,
    filled,
    image_paths,
    views,
)
from mlrfnet_mm.datasets.table_xrays.splits import SPLITS, assign, read_splits
from mlrfnet_mm.datasets.table_xrays.table import Table, read_table
from mlrfnet_mm.datasets.table_xrays.values import (
    Values,
    encode,
    label_columns,
    meanings,
    near_misses,
)
from mlrfnet_mm.datasets.tables import stable_bucket
from mlrfnet_mm.datasets.uncertainty import limits, policy_name, targets
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.registry import DATASETS

OWN = 'own table'


@DATASETS.register_module()
class TableXrays(XrayDataset):
    """X-rays and findings of any table, CSV or Parquet; ``mlrfnet new`` writes a config for one.

    The table has one row per image: its file, its patient, and a column per finding. Files are
    PNG, JPEG, TIFF or DICOM, read as in prediction. A label that is blank or NaN is unknown, not
    negative: losses and metrics leave it out (NaN), unless ``negative`` has a blank.

    Which split an image belongs to is one of:

    - a column that says ``train``, ``val`` or ``test``: ``splits='split'``, its name;
    - a column with names of its own: ``dict(column='set', train='training', val=['dev', 'tune'],
      test='holdout')``; a fraction below 1 in place of a name is taken from the patients of
      ``train``;
    - fractions of the patients, chosen by a hash: ``dict(train=0.7, val=0.1, test=0.2)``.

    A patient in two splits is an error. ``metainfo`` has ``dataset`` (``'own table labels.csv
    1a2b3c4d'``: the file's name and the begin of its SHA-256), ``protocol`` (``'own-split'``, or
    ``'by-patient-0.7-0.1-0.2'``), ``split``, ``policy`` and ``classes``.

    An item holds ``img_path``, ``gt_score`` (float32, ``(K,)``), ``patient_id``, ``image_id`` (the
    path as the table has it) and, where their columns are named, ``study_id``
    (``'<patient>/<study>'``), ``view`` (``'Frontal'``, ``'Lateral'``, ``'Other'``; with a study but
    no column of views ``'Unknown'``), ``sex`` (as the table has it) and ``age`` (years).

    Args:
        data_root: folder that the table's relative paths begin at, and where a prepared store is
            looked for; ``~`` is expanded. ``None`` takes the environment variable
            ``TABLE_XRAYS_ROOT`` and, if that is not set, the working directory.
        table: the file, relative to ``data_root`` or absolute: CSV (UTF-8; commas, semicolons or
            tabs; also gzip), or Parquet, for which the extra ``parquet`` is needed.
        split: ``'train'``, ``'val'`` or ``'test'``: the images of this data set.
        splits: how the images are split, see above.
        image: column of the image files.
        patient: column of the patients.
        labels: columns of the findings, in the order of the classes. ``None`` takes those that
            hold nothing but labels in the whole table, a positive among them, and are not named
            by another argument; the log lists them.
        study: column of the studies; with it, scores are per study (``mlrfnet_mm.StudyAUC``), and
            all images of a study must have the same labels.
        view: column of the views: PA, AP, frontal, lateral, ….
        sex: column of the patients' sex.
        age: column of their age: years, or as DICOM has it (``'018M'``).
        positive: value, or list of values, of a positive label; ``1`` is also ``1.0`` and true.
        negative: of a negative one; ``(0, '')`` makes blanks negative, with ``unknown=()``.
        uncertain: of an uncertain one, of which ``policy`` says what it counts as.
        unknown: of one that is not known; ``''`` is a blank, NaN, NA and null.
        policy: ``'U-Ones'``, ``'U-Zeros'``, ``'U-Ignore'``, ``'LSR-Ones'``, ``'LSR-Zeros'``, or a
            mapping of classes to these; see `CheXpert`.
        pipeline: transforms, or their configs in mmpretrain's registry.
        prepared: folder of a prepared store, ``None`` (find it) or ``False``; see `XrayDataset`.
        test_mode: as in mmengine; and no soft labels are drawn.
        indices: the first so many images, or the images to keep, as in mmengine.
        lazy_init: read nothing before the first use; ``classes`` are known then if ``labels`` are.
        serialize_data: keep the items in one array that all workers share.
        shuffle_labels: seed of a control that must fail; see `XrayDataset`.

    Raises:
        FileNotFoundError: no table, or an image that is not there.
        ImportError: Parquet without the extra ``parquet``.
        ValueError: a column that is missing, a blank patient, an image twice, an entry that is no
            label or no split, a patient in two splits, a study with two labels, an empty split,
            and unknown names; each with file, row, value and the way out.
    """

    METAINFO = dict(dataset=OWN)
    default_root = '.'
    root_variable = 'TABLE_XRAYS_ROOT'

    def __init__(
        self,
        data_root: str | None = None,
        table: str = 'labels.csv',
        split: str = 'train',
        splits: str | Mapping[str, Any] = 'split',
        image: str = 'path',
        patient: str = 'patient_id',
        labels: Sequence[str] | None = None,
        study: str | None = None,
        view: str | None = None,
        sex: str | None = None,
        age: str | None = None,
        positive: Values = 1,
        negative: Values = 0,
        uncertain: Values = -1,
        unknown: Values = '',
        policy: str | Mapping[str, str] = 'U-Ignore',
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
        self._splits = read_splits(splits)
        self._codes = meanings(positive, negative, uncertain, unknown)
        self._columns: dict[str, str] = {'image': image, 'patient': patient}
        optional = dict(study=study, view=view, sex=sex, age=age)
        self._columns |= {key: name for key, name in optional.items() if name is not None}
        self._labels = _checked(labels, self._columns, self._splits.column)
        self._policy = policy
        self._draws_labels = split == 'train' and not test_mode
        self._table_name = table
        self._limits = np.empty((2, 0))
        stamp = dict(protocol=self._splits.protocol, split=split, policy=policy_name(policy))
        super().__init__(
            data_root,
            stamp,
            pipeline=pipeline,
            prepared=prepared,
            test_mode=test_mode,
            indices=indices,
            lazy_init=True,
            serialize_data=serialize_data,
            shuffle_labels=shuffle_labels,
        )
        if self._labels is not None:
            self._set_classes(self._labels)
        if not lazy_init:
            self.full_init()

    @property
    def table_file(self) -> Path:
        """The table."""
        return Path(self.data_root) / Path(self._table_name).expanduser()

    @property
    def image_column(self) -> str:
        """Column of the image files."""
        return self._columns['image']

    @property
    def tables_folder(self) -> Path:
        """Folder that holds the table."""
        return self.table_file.parent

    def list_images(self) -> list[str]:
        """Names of all images of the table, whatever their split, as a prepared store has them."""
        paths = image_paths(self._read(), self._columns['image'], self.data_root)
        return [store_name(path, self.data_root) for path in paths]

    def _read(self) -> Table:
        try:
            return read_table(self.table_file)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{error}. The folder {Path(self.data_root).absolute()} is from '
                f'{self.root_origin}: set data_root, or table to the file'
            ) from None

    def _set_classes(self, labels: Sequence[str]) -> None:
        self._limits = limits(self._policy, labels, labels)
        self._metainfo['classes'] = tuple(labels)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One lean item per image of the split: ``gt_score`` as bytes of label codes."""
        table = self._read()
        labels = self._labels
        if labels is None:
            labels = self._find_labels(table)
            self._set_classes(labels)
        paths = image_paths(table, self._columns['image'], self.data_root)
        patients = filled(table, self._columns['patient'], 'patient')
        codes = encode(table, labels, self._codes)
        found = assign(table, patients, self._splits)
        more = self._more(table, patients, codes, labels)
        if self.store is None:
            check_files(table, paths, self.root_origin)
        if self._metainfo['dataset'] == OWN:  # and not a generated phantom
            self._metainfo['dataset'] = f'{OWN} {table.path.name} {table.digest}'
        kept = [row for row, split in enumerate(found) if split == self._metainfo['split']]
        if not kept:
            counts = ', '.join(f'{name} {found.count(name):,}' for name in SPLITS)
            raise ValueError(
                f'{table.path}: {self._metainfo["split"]} has no image ({counts}): give '
                'splits, a column or fractions, that leave none empty'
            )
        self._summary = self._summarize(codes[kept], [patients[row] for row in kept])
        names = table.column(self._columns['image'], 'image')
        return [
            {
                'img_path': paths[row],
                'gt_score': codes[row].tobytes(),
                'patient_id': patients[row],
                'image_id': names[row],
                **{key: values[row] for key, values in more.items()},
            }
            for row in kept
        ]

    def _find_labels(self, table: Table) -> list[str]:
        named = [*self._columns.values(), *([self._splits.column] if self._splits.column else [])]
        labels = label_columns(table, self._codes, named)
        if not labels:
            raise ValueError(
                f'{table.path}: no column holds nothing but labels (1, 0, -1 or blank, if not said '
                f'otherwise) with a positive among them; its columns are '
                f'{", ".join(map(repr, table.columns))}: name them by labels=[…]'
            )
        print_log(f'{table.path}: labels taken are {", ".join(labels)}', logger='current')
        for miss in near_misses(table, self._codes, [*named, *labels]):
            print_log(miss, 'current', logging.WARNING)
        return labels

    def _more(
        self, table: Table, patients: Sequence[str], codes: np.ndarray, labels: Sequence[str]
    ) -> dict[str, Sequence[Any]]:
        """What is known of each row beyond its labels: key of the item → values."""
        columns, found = self._columns, dict[str, Sequence[Any]]()
        if 'study' in columns:
            names = filled(table, columns['study'], 'study')
            studies = [f'{patient}/{name}' for patient, name in zip(patients, names, strict=True)]
            check_studies(table, studies, codes, labels)
            found['study_id'], found['view'] = studies, ['Unknown'] * len(studies)
        if 'view' in columns:
            found['view'] = views(table, columns['view'])
        if 'sex' in columns:
            found['sex'] = table.column(columns['sex'], 'sex')
        if 'age' in columns:
            found['age'] = ages(table, columns['age'])
        return found

    def _summarize(self, codes: np.ndarray, patients: Sequence[str]) -> str:
        meta = self._metainfo
        sums = [(codes == code).sum(0).tolist() for code in (POSITIVE, UNCERTAIN, BLANK)]
        counts = zip(meta['classes'], *sums, strict=True)
        return (
            f'{meta["dataset"]} {meta["protocol"]}/{meta["split"]}: {len(codes):,} images, '
            f'{len(set(patients)):,} patients; policy {meta["policy"]}; positive (and uncertain, '
            'unknown) images: '
            + ', '.join(
                f'{name} {sure:,} ({unsure:,}, {none:,})' for name, sure, unsure, none in counts
            )
        )

    def encode(self, item: dict[str, Any]) -> np.ndarray:
        """The codes under the policy, float32 of shape ``(K,)``; unknown is NaN."""
        codes = np.frombuffer(item['gt_score'], np.uint8)
        place: dict[str, Any] | None = None
        if self._draws_labels:
            place = item
            if 'draw' in item:  # by the image, not by its place among those that are kept
                seed, epoch, _ = item['draw']
                place = dict(draw=(seed, epoch, stable_bucket(item['image_id'], 2**64)))
        target = targets(codes, self._limits, place, range(len(codes)), len(codes))
        target[codes == BLANK] = np.nan
        return target

    def get_cat_ids(self, idx: int) -> list[int]:
        """Indices of the item's findings with a target of at least one half."""
        return np.flatnonzero(self.get_data_info(idx)['gt_score'] >= 0.5).tolist()

    def extra_repr(self) -> list[str]:
        """Table, protocol, split, policy and folder, for ``repr``."""
        meta = self._metainfo
        return [
            f'Table: \t{self.table_file}',
            f'Protocol and split: \t{meta["protocol"]}/{meta["split"]}',
            f'Policy: \t{meta["policy"]}',
            f'Folder: \t{self.data_root}',
        ]


def _checked(
    labels: Sequence[str] | None, columns: Mapping[str, str], split: str | None
) -> list[str] | None:
    """Refuse labels that are no list of different names, or that are something else already."""
    if labels is None:
        return None
    if isinstance(labels, str) or not labels or not all(isinstance(x, str) for x in labels):
        raise ValueError(f'labels is a list of column names, or None to find them, got {labels!r}')
    taken = {name: argument for argument, name in columns.items()} | {split: 'splits'}
    for name in labels:
        if list(labels).count(name) > 1 or name in taken:
            other = f'{taken[name]} names it, too' if name in taken else 'it is there twice'
            raise ValueError(f'labels has {name!r}, and {other}; take it out of one')
    return list(labels)
