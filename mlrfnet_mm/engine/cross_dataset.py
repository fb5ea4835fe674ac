"""Test a checkpoint on another data set than its own (``mlrfnet test … --on OTHER_CONFIG``)."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, METRICS, TRANSFORMS
from mmpretrain.datasets import PackInputs

from mlrfnet_mm.datasets.published.labeled_xrays import WHOLE
from mlrfnet_mm.datasets.transforms import XrayGeometry
from mlrfnet_mm.datasets.xray_dataset import XrayDataset
from mlrfnet_mm.engine.checkpoint import check_plain, local_file, torch_load_mode
from mlrfnet_mm.engine.parts import is_part, leaf_datasets, part_class
from mlrfnet_mm.evaluation.metrics import MultiLabelAUC, StudyAUC

SHARED = {StudyAUC: 'mlrfnet_mm.SharedStudyAUC', MultiLabelAUC: 'mlrfnet_mm.SharedAUC'}


def use_other_data(
    cfg: Config, other: Config, options: Mapping[str, Any] | None = None, near: bool = False
) -> None:
    """Test on the other config's test data, with the model and the image size of ``cfg``.

    The model's classes and training data are read from the checkpoint ``cfg.load_from``, and the
    metric counts the findings that both have: see
    :mod:`mlrfnet_mm.evaluation.metrics.shared_findings`.

    Args:
        cfg: of the model; its test loader and evaluator are replaced.
        other: of the other data set.
        options: of ``--cfg-options``; those of the test loader are put over the other's, too.
        near: count findings that are only near, too.

    Raises:
        ValueError: no test data in ``other``, a checkpoint that does not say what it was trained
            on, a pipeline without just one XrayGeometry, another metric than MultiLabelAUC or
            StudyAUC.
    """
    if not other.get('test_dataloader') or not other.get('test_evaluator'):
        raise ValueError(f'--on needs a config with test data, {other.filename} has none')
    meta = training_data(cfg.load_from, bool(cfg.get('trust_checkpoint', False)))
    scope = take_test_data(cfg, other, options)
    for dataset in leaf_datasets(cfg.test_dataloader.dataset):
        for step in dataset.get('pipeline', []):
            if is_part(TRANSFORMS, step['type'], scope, PackInputs):
                step['type'] = 'mlrfnet_mm.PackOtherLabels'
    seen = warn_of_seen_images(cfg, meta, scope)
    metrics = other.test_evaluator
    metrics = copy.deepcopy(metrics if isinstance(metrics, list) else [metrics])
    for metric in metrics:
        shared = [
            name for kind, name in SHARED.items() if is_part(METRICS, metric.type, scope, kind)
        ]
        if not shared:
            raise ValueError(
                f'--on needs a test_evaluator of {" or ".join(k.__name__ for k in SHARED)}, '
                f'{other.filename} has {metric.type}'
            )
        metric.type = shared[0]
        metric.update(model_classes=meta['classes'], trained_on=meta['stamp'])
        metric.update(near=near, same_images=seen)
    cfg.test_evaluator = metrics


def take_test_data(
    cfg: Config, other: Config, options: Mapping[str, Any] | None = None
) -> str | None:
    """Put the other config's test loader into ``cfg``, with the image size of ``cfg``.

    Args:
        cfg: of the model.
        other: of the data set.
        options: of ``--cfg-options``; those of the test loader are put over the other's, too.

    Returns:
        The other's ``default_scope``, for the names in its loader.

    Raises:
        ValueError: no test data in ``other``, a pipeline without just one XrayGeometry.
    """
    if not other.get('test_dataloader'):
        raise ValueError(f'--on needs a config with test data, {other.filename} has none')
    size = copy.deepcopy(geometry_steps(cfg, '--on')[0])
    scope: str | None = other.get('default_scope')
    cfg.test_dataloader = copy.deepcopy(other.test_dataloader)
    for step in geometry_steps(cfg, '--on', scope):
        step.clear()
        step.update(size)
    chosen = {k: v for k, v in (options or {}).items() if k.startswith('test_dataloader.')}
    cfg.merge_from_dict(chosen)
    return scope


def warn_of_seen_images(cfg: Config, trained: Mapping[str, Any], scope: str | None) -> bool:
    """Log why a model has seen images of the test loader, see :func:`seen_images`; whether it has.

    Args:
        cfg: with a test_dataloader.
        trained: what :func:`training_data` gives.
        scope: of the type names in the loader.
    """
    reasons = [
        seen_images(trained, dataset, scope)
        for dataset in leaf_datasets(cfg.test_dataloader.dataset)
    ]
    for reason in dict.fromkeys(filter(None, reasons)):
        print_log(reason, 'current', logging.WARNING)
    return any(reasons)


def use_split(cfg: Config, split: str) -> None:
    """Test on another split of the same data set.

    Raises:
        ValueError: a data set without splits.
    """
    loader = cfg.get('test_dataloader') or {}
    for dataset in leaf_datasets(loader.get('dataset')):
        if not isinstance(dataset, dict) or 'split' not in dataset:
            raise ValueError(f'--split {split}: the test data set has no split to choose')
        dataset['split'] = split


def training_data(checkpoint: str, trust: bool = False) -> dict[str, Any]:
    """Classes, stamp and what it is made of, of the data that a checkpoint was trained on.

    Raises:
        ValueError: the file does not say.
    """
    if not trust:
        checkpoint = local_file(checkpoint)
        check_plain(checkpoint)
    with torch_load_mode(weights_only=not trust):
        meta = torch.load(checkpoint, map_location='meta').get('meta', {}).get('dataset_meta', {})
    missing = [key for key in ('dataset', 'protocol', 'split', 'classes') if key not in meta]
    if missing:
        raise ValueError(
            f'{checkpoint} does not say what it was trained on (meta.dataset_meta without '
            f'{", ".join(missing)}): its outputs have no names to match with another data set'
        )
    origin = {key: meta.get(key) for key in ('dataset', 'protocol', 'split', 'images_of')}
    stamp = '{dataset} {protocol}/{split}'.format(**meta)
    return dict(classes=tuple(meta['classes']), stamp=stamp, **origin)


def seen_images(trained: Mapping[str, Any], dataset: Mapping[str, Any], scope: str | None) -> str:
    """Say why a model has seen the images of a data set; ``''`` if they are others.

    RSNA Pneumonia, SIIM-ACR Pneumothorax and ChestX-Det have images of ChestX-ray14 under other
    names (``images_of`` in their ``METAINFO``), so which of them are in a split of it is not known.
    The splits of one protocol are apart, and the radiologists' test images are all in the official
    test list.

    Args:
        trained: what :func:`training_data` gives.
        dataset: config of the data set, not wrapped.
        scope: of its type's name.
    """
    kind = part_class(DATASETS, dataset.get('type'), scope)
    if not isinstance(kind, type) or not issubclass(kind, XrayDataset):
        return ''
    options = {k: v for k, v in dataset.items() if k not in ('type', 'pipeline', 'prepared')}
    meta = kind(**options, lazy_init=True).metainfo
    own = trained['images_of'] or trained['dataset']
    theirs = meta.get('images_of') or kind.METAINFO['dataset']
    if theirs not in own:
        return ''
    split = meta['split']
    if meta['protocol'] == trained['protocol'] == 'official' and split == 'test':
        return ''
    known = kind.METAINFO['dataset'] in trained['dataset']
    if known and meta['protocol'] == trained['protocol'] and split not in (trained['split'], WHOLE):
        return ''
    return (
        f'{meta["dataset"]} {meta["protocol"]}/{split} has images of {theirs}, and so has '
        f'{trained["stamp"]}, on which the model was trained: it has seen some or all of them. '
        "The numbers are not those of new images, and the stamp says 'same images'"
    )


def geometry_steps(cfg: Config, option: str, scope: str | None = None) -> list[Any]:
    """The XrayGeometry of the test pipeline, one of each data set inside a wrapper.

    Args:
        cfg: with a test_dataloader.
        option: what needs it, for the error.
        scope: of the type names; None is the config's ``default_scope``.

    Raises:
        ValueError: none or several in a pipeline.
    """
    found = []
    for dataset in leaf_datasets(cfg.test_dataloader.dataset):
        steps = dataset.get('pipeline', [])
        scope = scope or cfg.get('default_scope')
        geometry = [s for s in steps if is_part(TRANSFORMS, s['type'], scope, XrayGeometry)]
        if len(geometry) != 1:
            raise ValueError(
                f'{option} needs one mlrfnet_mm.XrayGeometry in each test pipeline, got '
                f'{[s["type"] for s in steps]}'
            )
        found += geometry
    return found
