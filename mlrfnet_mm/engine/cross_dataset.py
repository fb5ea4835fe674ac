"""Test a checkpoint on another data set than its own (``mlrfnet test … --data OTHER_CONFIG``)."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import METRICS, TRANSFORMS

from mlrfnet_mm.datasets.transforms import XrayGeometry
from mlrfnet_mm.engine.checkpoint import check_plain, local_file, torch_load_mode
from mlrfnet_mm.engine.parts import is_part, leaf_datasets
from mlrfnet_mm.evaluation.metrics import MultiLabelAUC, StudyAUC

SHARED = {StudyAUC: 'mlrfnet_mm.SharedStudyAUC', MultiLabelAUC: 'mlrfnet_mm.SharedAUC'}


def use_other_data(cfg: Config, other: Config, options: Mapping[str, Any] | None = None) -> None:
    """Test on the other config's test data, with the model and the image size of ``cfg``.

    The model's classes and training data are read from the checkpoint ``cfg.load_from``, and the
    metric counts the findings that both have: see
    :mod:`mlrfnet_mm.evaluation.metrics.shared_findings`.

    Args:
        cfg: of the model; its test loader and evaluator are replaced.
        other: of the other data set.
        options: of ``--cfg-options``; those of the test loader are put over the other's, too.

    Raises:
        ValueError: a checkpoint that does not say what it was trained on, a pipeline without just
            one XrayGeometry, another metric than MultiLabelAUC or StudyAUC.
    """
    meta = training_data(cfg.load_from, bool(cfg.get('trust_checkpoint', False)))
    size = copy.deepcopy(geometry_steps(cfg, '--data')[0])
    scope = other.get('default_scope')
    cfg.test_dataloader = copy.deepcopy(other.test_dataloader)
    for step in geometry_steps(cfg, '--data', scope):
        step.clear()
        step.update(size)
    chosen = {k: v for k, v in (options or {}).items() if k.startswith('test_dataloader.')}
    cfg.merge_from_dict(chosen)
    metrics = other.test_evaluator
    metrics = copy.deepcopy(metrics if isinstance(metrics, list) else [metrics])
    for metric in metrics:
        shared = [
            name for kind, name in SHARED.items() if is_part(METRICS, metric.type, scope, kind)
        ]
        if not shared:
            raise ValueError(
                f'--data needs a test_evaluator of {" or ".join(k.__name__ for k in SHARED)}, '
                f'{other.filename} has {metric.type}'
            )
        metric.type = shared[0]
        metric.update(model_classes=meta['classes'], trained_on=meta['stamp'])
    cfg.test_evaluator = metrics


def training_data(checkpoint: str, trust: bool = False) -> dict[str, Any]:
    """Classes and stamp of the data that a checkpoint was trained on.

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
    return dict(classes=tuple(meta['classes']), stamp='{dataset} {protocol}/{split}'.format(**meta))


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
