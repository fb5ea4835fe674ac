"""The test pipeline of a config, for single images and for maps that must find the way back."""

from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS

META = ('img_path', 'patient_id', 'geometry', 'ori_shape')


def placing_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """Return the test pipeline's configs; its samples know ``geometry`` and ``ori_shape`` too.

    Raises:
        ValueError: a pipeline of other steps than this project's, or of ten crops.
    """
    steps = [dict(step) for step in cfg.test_dataloader.dataset.pipeline]
    types = [step['type'] for step in steps]
    geometry = next((s for s in steps if s['type'] == 'mlrfnet_mm.XrayGeometry'), {})
    good = types[:1] == ['mlrfnet_mm.LoadXray'] and types[-1:] == ['mmpretrain.PackInputs']
    if not good or not geometry or geometry.get('crop', 'centre') != 'centre':
        raise ValueError(
            'the test pipeline must be mlrfnet_mm.LoadXray, mlrfnet_mm.XrayGeometry with '
            f"crop='centre' and mmpretrain.PackInputs, got {types} with {geometry}"
        )
    steps[-1]['meta_keys'] = META
    return steps


def compose(steps: list[dict[str, Any]]) -> Compose:
    """Build the transforms."""
    return Compose([TRANSFORMS.build(step) for step in steps])
