"""The test pipeline of a config, for single images and for maps that must find the way back."""

from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS

META = ('img_path', 'patient_id', 'geometry', 'ori_shape')


STEPS = ['mlrfnet_mm.LoadXray', 'mlrfnet_mm.XrayGeometry', 'mmpretrain.PackInputs']
PLACING = {'type', 'scale', 'crop_size', 'crop', 'pad_val', 'corners'}  # no random ones


def placing_pipeline(cfg: Config) -> list[dict[str, Any]]:
    """Return the test pipeline's configs; its samples know ``geometry`` and ``ori_shape`` too.

    Raises:
        ValueError: other steps, which might move pixels without a word of it in ``geometry`` (or
            run what a stranger's config says); a random or a tenfold crop.
    """
    steps = [dict(step) for step in cfg.test_dataloader.dataset.pipeline]
    geometry = steps[1] if len(steps) > 1 else {}
    good = [step.get('type') for step in steps] == STEPS and not set(geometry) - PLACING
    if not good or geometry.get('crop', 'centre') != 'centre':
        raise ValueError(
            f"the test pipeline must be {', '.join(STEPS)}, the second with crop='centre' and "
            f'without random changes, got {steps}'
        )
    steps[-1]['meta_keys'] = META
    return steps


def compose(steps: list[dict[str, Any]]) -> Compose:
    """Build the transforms."""
    return Compose([TRANSFORMS.build(step) for step in steps])
