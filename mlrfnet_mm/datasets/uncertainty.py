"""What to make of labels that the CheXpert labeller calls uncertain: policies, as data.

A policy says between which limits the target of an uncertain label is drawn. Equal limits are no
draw; NaN is our convention for an unknown label: losses give 0 there and metrics leave it out.
U-… are of Irvin et al., AAAI 2019 (https://arxiv.org/abs/1901.07031); LSR-… are label smoothing
of Pham et al., "Interpreting chest X-rays via CNNs that exploit hierarchical disease dependencies
and uncertainty labels", 2021 (https://arxiv.org/abs/1911.06475).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.datasets.published.chexpert.tables import (
    FINDINGS,
    POSITIVE,
    SCORED,
    UNCERTAIN,
    VIEWS,
    Xrays,
)
from mlrfnet_mm.datasets.published.chexpert.tree import TREES, given_ancestors, propagate_up
from mlrfnet_mm.datasets.tables import check_patient_folders, stable_bucket
from mlrfnet_mm.datasets.transforms.draws import LABELS, uniforms
from mlrfnet_mm.datasets.xray_dataset import XrayDataset

POLICIES = {
    'U-Ones': (1.0, 1.0),
    'U-Zeros': (0.0, 0.0),
    'U-Ignore': (np.nan, np.nan),
    'LSR-Ones': (0.55, 0.85),
    'LSR-Zeros': (0.0, 0.3),
}
MIXES = {
    # The paper's. The nine classes that it does not score are zeros, too.
    'U-O&U-Z': {'default': 'U-Zeros', 'Atelectasis': 'U-Ones', 'Edema': 'U-Ones'},
}
CLASSES = dict(all=FINDINGS, scored=SCORED)


def policy_by_class(
    policy: str | Mapping[str, str], among: Sequence[str] = FINDINGS
) -> dict[str, str]:
    """Return the policy of each class.

    Args:
        policy: a key of ``POLICIES`` or ``MIXES``, or a mapping of classes to keys of
            ``POLICIES``, in which ``default`` stands for the classes that are not named.
        among: the data set's classes.

    >>> policy_by_class('U-O&U-Z')['Edema']
    'U-Ones'

    Raises:
        ValueError: for an unknown policy or class, and a class without a policy.
    """
    if isinstance(policy, str):
        if policy not in POLICIES and policy not in MIXES:
            raise ValueError(
                f'policy must be one of {", ".join((*POLICIES, *MIXES))}, or a mapping of classes '
                f'to policies, got {policy!r}'
            )
        policy = MIXES.get(policy, {'default': policy})
    if not isinstance(policy, Mapping):
        raise ValueError(f'policy must be a name or a mapping of classes to names, got {policy!r}')
    for name, value in policy.items():
        if name != 'default' and name not in among:
            raise ValueError(
                f"policy has a key {name!r}; keys are 'default' and {', '.join(among)}"
            )
        if not isinstance(value, str) or value not in POLICIES:
            raise ValueError(
                f'policy for {name!r} must be one of {", ".join(POLICIES)}, got {value!r}'
            )
    unnamed = [name for name in among if name not in policy]
    if unnamed and 'default' not in policy:
        raise ValueError(f"policy has none for {unnamed[0]!r}; add it, or a 'default'")
    return {name: policy.get(name) or policy['default'] for name in among}


def policy_name(policy: str | Mapping[str, str]) -> str:
    """Return one line for stamps, such as ``'U-Ones'`` or ``'default U-Zeros, Edema U-Ones'``."""
    if isinstance(policy, str):
        return policy
    return ', '.join(f'{name} {value}' for name, value in policy.items())


def limits(
    policy: str | Mapping[str, str],
    classes: Sequence[str] = FINDINGS,
    among: Sequence[str] = FINDINGS,
) -> np.ndarray:
    """Return the limits of an uncertain label's target, float64 of shape ``(2, K)``.

    Args:
        policy: see `policy_by_class`.
        classes: the K that are wanted.
        among: all of the data set's.
    """
    by_class = policy_by_class(policy, among)
    return np.array([POLICIES[by_class[name]] for name in classes]).T


def targets(
    codes: np.ndarray,
    limits: np.ndarray,
    item: Mapping[str, Any] | None,
    columns: Sequence[int] = range(len(FINDINGS)),
    count: int = len(FINDINGS),
) -> np.ndarray:
    """Return targets, float32 of shape ``(K,)``: positive 1, negative and blank 0, uncertain drawn.

    Args:
        codes: the labels' codes, ``(K,)``.
        limits: as `limits` gives them, ``(2, K)``.
        item: what `draws.uniforms` takes. ``None`` makes those unknown (NaN) that would have to be
            drawn: a random soft label is not a truth to evaluate against.
        columns: place among all of the data set's classes of each of the K: a class has the same
            draw whatever the others are.
        count: number of all classes.
    """
    target = (codes == POSITIVE).astype(np.float32)
    uncertain = codes == UNCERTAIN
    if not uncertain.any():
        return target
    low, high = limits
    value = low
    if (uncertain & (low < high)).any():  # false for NaN
        if item is None:
            value = np.where(low < high, np.nan, low)
        else:
            drawn = np.array(uniforms(item, LABELS, count))[list(columns)]
            value = low + (high - low) * drawn
    target[uncertain] = value[uncertain]
    return target


class UncertainXrayDataset(XrayDataset):
    """Base of CheXpert and MIMIC-CXR-JPG: label codes in the items, a policy when they are read.

    ``metainfo`` holds, next to dataset and classes, the stamp, ``policy`` and ``views`` as plain
    strings, and ``scored``: the five classes that CheXpert's evaluation counts.

    Args:
        data_root: as in `XrayDataset`.
        stamp: ``protocol`` and ``split``.
        policy: see `policy_by_class`.
        views: ``'all'`` or ``'frontal'``.
        classes: ``'all'`` 14, or the five ``'scored'``, in the order of ``SCORED``.
        tree: ``None``, ``'up'`` or ``'conditional'``; see `CheXpert`.
        test_mode: for evaluation: labels that the policy would draw are unknown. They are in
            every split but ``train``, too.
        lazy_init: read nothing before the first use.
        options: of `XrayDataset`.
    """

    def __init__(
        self,
        data_root: str | None,
        stamp: Mapping[str, str],
        policy: str | Mapping[str, str],
        views: str,
        classes: str,
        tree: str | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        **options: Any,
    ) -> None:
        if views not in VIEWS:
            raise ValueError(f'views must be one of {", ".join(VIEWS)}, got {views!r}')
        if classes not in CLASSES:
            raise ValueError(f'classes must be one of {", ".join(CLASSES)}, got {classes!r}')
        if tree is not None and tree not in TREES:
            raise ValueError(f'tree must be one of {", ".join(TREES)} or None, got {tree!r}')
        if tree and classes != 'all':
            raise ValueError(
                f"tree={tree!r} needs classes='all', got {classes!r}: parents are among the labels "
                'that are not scored'
            )
        self._tree = tree
        self._limits = limits(policy, CLASSES[classes])
        self._columns = [FINDINGS.index(name) for name in CLASSES[classes]]
        self._draws_labels = stamp['split'] == 'train' and not test_mode
        name = policy_name(policy) + (f', tree {tree}' if tree else '')
        stamp = dict(stamp, policy=name, views=views)
        super().__init__(data_root, stamp, test_mode=test_mode, lazy_init=True, **options)
        self._metainfo['classes'] = CLASSES[classes]
        if not lazy_init:
            self.full_init()

    def _items(self, folder: Path, table: Path, images: Xrays, note: str = '') -> list[dict]:
        """Make the items of the views that are wanted, and the summary.

        Raises:
            FileNotFoundError: see `check_patient_folders`.
            ValueError: if no image is left.
        """
        meta = self._metainfo
        if meta['views'] == 'frontal':
            images = images.keep([view == 'Frontal' for view in images.views])
        if not images.paths:
            raise ValueError(
                f"{table}: {meta['protocol']}/{meta['split']} has no frontal image; set views='all'"
            )
        paths = [f'{folder}/{path}' for path in images.paths]
        if self.store is None:
            check_patient_folders(table, paths, images.lines)
        codes = np.frombuffer(b''.join(images.codes), np.uint8).reshape(len(paths), -1)
        codes = propagate_up(codes) if self._tree else codes[:, self._columns]
        self._summary = self._summarize(images, codes, note)
        data, width = codes.tobytes(), codes.shape[1]
        starts = range(0, len(data), width)
        items: list[dict[str, Any]] = [
            {'img_path': path, 'gt_score': data[start : start + width], 'view': view}
            for path, start, view in zip(paths, starts, images.views, strict=True)
        ]
        for item, sex, age in zip(items, images.sexes, images.ages, strict=bool(images.sexes)):
            item['sex'], item['age'] = sex, age
        return items

    def _summarize(self, images: Xrays, codes: np.ndarray, note: str) -> str:
        meta = self._metainfo
        counts = zip(
            meta['classes'],
            (codes == POSITIVE).sum(0).tolist(),
            (codes == UNCERTAIN).sum(0).tolist(),
            strict=True,
        )
        studies = {path.rsplit('/', 1)[0] for path in images.paths}
        return (
            f'{meta["dataset"]} {meta["protocol"]}/{meta["split"]}: {len(images.paths):,} images '
            f'({meta["views"]} views), {len(studies):,} studies, '
            f'{len(set(images.patients())):,} patients{note}; policy {meta["policy"]}; '
            'positive (and uncertain) images: '
            + ', '.join(f'{name} {sure:,} ({unsure:,})' for name, sure, unsure in counts)
        )

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The item without its image; patient, study and image ID are parts of its path."""
        info = super().get_data_info(idx)
        _, patient, study, name = info['img_path'].rsplit('/', 3)
        info['patient_id'] = patient
        info['study_id'] = f'{patient}/{study}'
        info['image_id'] = f'{patient}/{study}/{name}'
        return info

    def encode(self, item: dict[str, Any]) -> np.ndarray:
        """The codes under the policy, float32 of shape ``(K,)``."""
        codes = np.frombuffer(item['gt_score'], np.uint8)
        target = self._target(codes, item)
        if self._tree == 'conditional':
            target[~given_ancestors(codes)] = np.nan
        return target

    def _target(self, codes: np.ndarray, item: dict[str, Any]) -> np.ndarray:
        if not self._draws_labels:
            return targets(codes, self._limits, None)
        if 'draw' in item:  # by the image, not by its place among those that are kept
            seed, epoch, _ = item['draw']
            image = '/'.join(item['img_path'].rsplit('/', 3)[1:])
            item = dict(draw=(seed, epoch, stable_bucket(image, 2**64)))
        return targets(codes, self._limits, item, self._columns)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Indices of the item's findings with a target of at least one half."""
        return np.flatnonzero(self.get_data_info(idx)['gt_score'] >= 0.5).tolist()

    def extra_repr(self) -> list[str]:
        """Protocol, split, policy, views and folder, for ``repr``."""
        meta = self._metainfo
        return [
            f'Protocol and split: \t{meta["protocol"]}/{meta["split"]}',
            f'Policy: \t{meta["policy"]}',
            f'Views: \t{meta["views"]}',
            f'Folder: \t{self.data_root}',
        ]
