"""Test a checkpoint on another data set than its own (``tools/test.py … --on OTHER_CONFIG``)."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config

from mlrfnet_mm.engine.runner import check_plain, torch_load_mode

SHARED = {
    'mlrfnet_mm.MultiLabelAUC': 'mlrfnet_mm.SharedAUC',
    'mlrfnet_mm.StudyAUC': 'mlrfnet_mm.SharedStudyAUC',
}
GEOMETRY = 'mlrfnet_mm.XrayGeometry'


def use_other_data(cfg: Config, other: Config, options: Mapping[str, Any] | None = None) -> None:
    """Test on the other config's test data, with the model and the image size of ``cfg``.

    The model's classes and training data are read from the checkpoint ``cfg.load_from``, and the
    metric counts the findings that both have: see
    :mod:`mlrfnet_mm.evaluation.shared_findings`.

    Args:
        cfg: of the model; its test loader and evaluator are replaced.
        other: of the other data set.
        options: of ``--cfg-options``; those of the test loader are put over the other's, too.

    Raises:
        ValueError: a checkpoint that does not say what it was trained on, a pipeline without just
            one XrayGeometry, another metric than MultiLabelAUC or StudyAUC.
    """
    meta = training_data(cfg.load_from, bool(cfg.get('trust_checkpoint', False)))
    size = copy.deepcopy(_geometry(cfg))
    cfg.test_dataloader = copy.deepcopy(other.test_dataloader)
    step = _geometry(cfg)
    step.clear()
    step.update(size)
    chosen = {k: v for k, v in (options or {}).items() if k.startswith('test_dataloader.')}
    cfg.merge_from_dict(chosen)
    metrics = other.test_evaluator
    metrics = copy.deepcopy(metrics if isinstance(metrics, list) else [metrics])
    for metric in metrics:
        if metric.type not in SHARED:
            raise ValueError(
                f'--on takes test_evaluator of {" or ".join(SHARED)}, {other.filename} has '
                f'{metric.type}'
            )
        metric.type = SHARED[metric.type]
        metric.update(model_classes=meta['classes'], trained_on=meta['stamp'])
    cfg.test_evaluator = metrics


def training_data(checkpoint: str, trust: bool = False) -> dict[str, Any]:
    """Classes and stamp of the data that a checkpoint was trained on.

    Raises:
        ValueError: the file does not say.
    """
    if not trust:
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


def _geometry(cfg: Config) -> Any:
    """The one XrayGeometry of the test pipeline."""
    steps = cfg.test_dataloader.dataset.pipeline
    found = [step for step in steps if step['type'] == GEOMETRY]
    if len(found) != 1:
        raise ValueError(
            f'--on needs one {GEOMETRY} in each test pipeline, got {[s["type"] for s in steps]}'
        )
    return found[0]
