"""The images of a config's splits, with what the tables say of each.

A data set refuses faulty tables, and names the first fault. An audit wants them all, so where
ChestX-ray14's tables are refused they are read again without that judgment.
"""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mlrfnet_mm.datasets.published.chestxray14.dataset import ChestXray14
from mlrfnet_mm.datasets.published.chestxray14.tables import (
    FINDINGS,
    LABEL_TABLE,
    Labels,
    index_images,
    is_validation,
    list_names,
    read_labels,
)
from mlrfnet_mm.datasets.published.chexpert.tables import find_folders
from mlrfnet_mm.datasets.tables import read_columns, read_names, table_file
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.engine.parts import leaf_datasets, part_class
from mlrfnet_mm.reports.audit.problems import ERROR, Problem, joined

PARTS = ('train', 'val', 'test')


@dataclass
class Split:
    """The images of one data set of one loader; lists of one length, '' or NaN where not known.

    Attributes:
        part: ``'train'``, ``'val'`` or ``'test'``; with a number where a loader has several data
            sets, and with the config's name where several are audited.
        source: number of the config; only splits of one config must be disjoint.
        stamp: what it is, as ``'ChestX-ray14 official/train'``.
        root: the data set's folder.
        classes: names of the K findings.
        paths: of the images.
        images: their names in prediction files.
        labels: (N, K) float32, 0, 1 or NaN (unknown).
    """

    part: str
    source: int
    stamp: str
    root: Path
    classes: tuple[str, ...]
    paths: list[str]
    images: list[str]
    labels: np.ndarray
    patients: list[str]
    studies: list[str]
    views: list[str]
    sexes: list[str]
    ages: np.ndarray


def read_splits(
    cfg: Config, source: int = 0, prefix: str = ''
) -> tuple[list[Split], list[Problem]]:
    """Read what a config's loaders are about; no image is opened.

    Args:
        cfg: the config.
        source: its number.
        prefix: before the names of its splits.

    Raises:
        FileNotFoundError: the data set's folder is not there.
        ValueError: a config without data, or a data set without labels.
    """
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    splits, problems = [], []
    for part in PARTS:
        loader = cfg.get(f'{part}_dataloader') or {}
        leaves = list(leaf_datasets(loader.get('dataset')))
        for number, leaf in enumerate(leaves, 1):
            name = f'{prefix}{part}' + (f' {number}' if len(leaves) > 1 else '')
            split, refused = _read_leaf(leaf, name, source, cfg.get('default_scope'))
            problems += refused
            if split is not None:
                splits.append(split)
    if not splits and not problems:
        raise ValueError('the config has no data: no train_dataloader, val_dataloader or so')
    for split in splits:
        if not any(split.sexes) or 'Frontal' in split.views:  # CheXpert's table has AP and PA
            _add_people(split)
    return splits, joined(problems)


def _read_leaf(
    leaf: Any, name: str, source: int, scope: str | None
) -> tuple[Split | None, list[Problem]]:
    """One data set, or what it is refused for with what can be read in spite of that."""
    if not isinstance(leaf, Mapping):
        return _of_dataset(leaf, name, source), []
    kind = part_class(DATASETS, leaf.get('type'), scope)
    try:
        config = dict(leaf, test_mode=True, pipeline=[]) if _ours(kind) else dict(leaf)
        return _of_dataset(DATASETS.build(config), name, source), []
    except (ValueError, FileNotFoundError) as error:
        if _ours(kind) and not kind.find_folder(leaf.get('data_root'))[0].is_dir():  # type: ignore[union-attr]
            raise
        text = ' '.join(str(error).split())
        problems = [Problem(ERROR, 'refused', name, str(leaf.get('type')), text)]
    if kind is ChestXray14:
        with suppress(ValueError, FileNotFoundError):  # said by the refusal
            split, more = _of_chestxray14(leaf, name, source)
            return split, problems + more
    return None, problems


def _ours(kind: type | None) -> bool:
    return isinstance(kind, type) and issubclass(kind, XrayDataset)


def _of_dataset(dataset: Any, name: str, source: int) -> Split:
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    meta = dataset.metainfo
    if not items or 'gt_score' not in items[0] or 'classes' not in meta:
        raise ValueError(
            f'{type(dataset).__name__} has no classes, or items without gt_score; take one of '
            "this project's data sets"
        )
    protocol = f' {meta["protocol"]}' if meta.get('protocol') else ''
    return Split(
        part=name,
        source=source,
        stamp=f'{meta.get("dataset", type(dataset).__name__)}{protocol}/{meta.get("split", name)}',
        root=Path(getattr(dataset, 'data_root', '')),
        classes=tuple(meta['classes']),
        paths=[item['img_path'] for item in items],
        images=[str(item.get('image_id', Path(item['img_path']).name)) for item in items],
        labels=np.stack([item['gt_score'] for item in items]),
        patients=[str(item.get('patient_id', '')) for item in items],
        studies=[str(item.get('study_id', '')) for item in items],
        views=[str(item.get('view', '')) for item in items],
        sexes=[_sex(item.get('sex')) for item in items],
        ages=np.array([_years(item.get('age')) for item in items]),
    )


def _of_chestxray14(leaf: Mapping[str, Any], name: str, source: int) -> tuple[Split, list[Problem]]:
    """ChestX-ray14's tables without judgment, and what is wrong with them.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table that cannot be read.
    """
    root = ChestXray14.find_folder(leaf.get('data_root'))[0]
    protocol, part = leaf.get('protocol', 'official'), leaf.get('split', 'train')
    lists = list_names(protocol, part, leaf.get('lists'))
    labels = read_labels(table_file(root, LABEL_TABLE))
    key = 'train_val' if protocol == 'official' and part != 'test' else part
    names = list(read_names(root / lists[key]))
    problems = [
        Problem(ERROR, 'refused', name, image, f'no row in {LABEL_TABLE}')
        for image in names
        if image not in labels.patients
    ]
    names = [image for image in names if image in labels.patients]
    if key == 'train_val':
        names = [i for i in names if is_validation(labels.patients[i]) == (part == 'val')]
    folders: dict[str, str] = {}
    with suppress(FileNotFoundError):  # no image folder: said where files are looked for
        folders = index_images(root)
    split = Split(
        part=name,
        source=source,
        stamp=f'{ChestXray14.METAINFO["dataset"]} {protocol}/{part}',
        root=root,
        classes=FINDINGS,
        paths=[f'{folders.get(image, root / "images")}/{image}' for image in names],
        images=names,
        labels=_matrix(labels, names),
        patients=[str(labels.patients[image]) for image in names],
        studies=[''] * len(names),
        views=[''] * len(names),
        sexes=[''] * len(names),
        ages=np.full(len(names), np.nan),
    )
    return split, problems


def _matrix(labels: Labels, names: list[str]) -> np.ndarray:
    codes = b''.join(labels.findings[name] for name in names)
    return np.frombuffer(codes, np.uint8).reshape(-1, len(FINDINGS)).astype(np.float32)


def _add_people(split: Split) -> None:
    """Add sex, age and view where the tables of ChestX-ray14 or CheXpert have them."""
    people: dict[str, tuple[str, str, str]] = {}
    with suppress(FileNotFoundError):
        people = {row[0]: (row[5], row[4], row[6]) for row in _entries(split.root)}
        keys = [path.rsplit('/', 1)[-1] for path in split.paths]
    for folder in find_folders(split.root) if not people and split.root.is_dir() else ():
        for table in ('train.csv', 'valid.csv'):
            with suppress(FileNotFoundError, ValueError):  # ValueError: without these columns
                rows = read_columns(table_file(folder, table), ('Path', 'Sex', 'Age', 'AP/PA'))
                people |= {_tail(path): (sex, age, view) for _, (path, sex, age, view) in rows}
        keys = [_tail(path) for path in split.paths]
    if not people:
        return
    found = [people.get(key, ('', '', '')) for key in keys]
    split.sexes = [_sex(sex) for sex, _, _ in found]
    split.ages = np.array([_years(age) for _, age, _ in found])
    split.views = [
        view if known in ('', 'Frontal') and view else known
        for known, (_, _, view) in zip(split.views, found, strict=True)
    ]


def _tail(path: str) -> str:
    """Patient, study and file of a path of CheXpert."""
    return '/'.join(path.rsplit('/', 3)[1:])


def _sex(text: Any) -> str:
    """``'F'``, ``'M'``, ``'U'`` …: the first letter."""
    return str(text or '').strip()[:1].upper()


def _years(age: Any) -> float:
    """Age from ``58``, ``'58'`` or, in ChestX-ray14's first table, ``'058Y'``; NaN for others."""
    if isinstance(age, int | float):
        return float(age)
    text = str(age or '').strip().removesuffix('Y')
    return float(text) if text.isdecimal() else np.nan


def _entries(root: Path) -> Iterator[list[str]]:
    """Rows of ChestX-ray14's label table that reach the view, the seventh column."""
    content = table_file(root, LABEL_TABLE).read_bytes()
    content = gzip.decompress(content) if content[:2] == b'\x1f\x8b' else content
    text = io.StringIO(content.decode('utf-8-sig', errors='replace'), newline='')
    rows = csv.reader(text)
    if next(rows, [])[4:7] == ['Patient Age', 'Patient Gender', 'View Position']:
        yield from (row for row in rows if len(row) >= 7)
