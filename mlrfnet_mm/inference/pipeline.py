"""The test pipeline of a config, for single images and for maps that must find the way back."""

from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmpretrain.datasets import PackInputs
from mmpretrain.registry import TRANSFORMS

from mlrfnet_mm.datasets.transforms import LoadXray, XrayGeometry
from mlrfnet_mm.engine.parts import is_part, leaf_datasets, part_class

META = ('img_path', 'patient_id', 'geometry', 'ori_shape')


STEPS = (LoadXray, XrayGeometry, PackInputs)
PLACING = {'type', 'scale', 'crop_size', 'crop', 'pad_val'}  # no random ones


def placing_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """Return the test pipeline's configs; its samples know ``geometry`` and ``ori_shape`` too.

    Raises:
        ValueError: other steps, which might move pixels without a word of it in ``geometry`` (or
            run what a stranger's config says); a random or a tenfold crop.
    """
    scope = cfg.get('default_scope', 'mmpretrain')
    data = next(leaf_datasets(cfg.test_dataloader.dataset))  # the first of several
    steps = [dict(step) for step in data.get('pipeline', [])]
    geometry = steps[1] if len(steps) > 1 else {}
    good = len(steps) == len(STEPS) and all(
        is_part(MMENGINE_TRANSFORMS, step.get('type'), scope, kind)
        for step, kind in zip(steps, STEPS, strict=True)
    )
    if not good or set(geometry) - PLACING or geometry.get('crop', 'center') != 'center':
        raise ValueError(
            'the test pipeline must be mlrfnet_mm.LoadXray, mlrfnet_mm.XrayGeometry and '
            "mmpretrain.PackInputs, the second with crop='center' and without random changes, "
            f'got {steps}'
        )
    for step, kind in zip(steps, STEPS, strict=True):
        step['type'] = part_class(MMENGINE_TRANSFORMS, step['type'], scope) or kind
    steps[-1]['meta_keys'] = META
    return steps


def compose(steps: list[dict[str, Any]]) -> Compose:
    """Build the transforms."""
    return Compose([TRANSFORMS.build(step) for step in steps])
