"""One call for every kind of heat map."""

import numpy as np
import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor

from mlrfnet_mm.inference.heatmaps.grad_cam import CAM_METHODS, grad_cam, package
from mlrfnet_mm.inference.heatmaps.receptive_field import Step, shrinking_steps
from mlrfnet_mm.inference.heatmaps.score_maps import level_maps
from mlrfnet_mm.models import ScoreMapHead
from mlrfnet_mm.xrays.heat import combined_map, score_map_level

METHODS = ('score_maps', 'mrfc', *CAM_METHODS)  # and score_maps1, mrfc1, …: single levels


def default_method(model: ImageClassifier) -> str:
    """The head's own score maps where it has them, else Grad-CAM."""
    return 'score_maps' if isinstance(model.head, ScoreMapHead) else 'gradcam'


class HeatMapper:
    """Heat maps of a classifier by one method.

    Args:
        model: an mmpretrain ImageClassifier in evaluation mode.
        method: ``'score_maps'``, the weighted sum of the head's class score maps (see
            ``score_maps.py``); ``'score_maps1'``, ``'score_maps2'``, … one level's, high resolution
            first; ``'mrfc'``, ``'mrfc1'``, … the same by the name of MLRFNet's head; or one of the
            Grad-CAM family.
        layer: target layer of the Grad-CAM family; None takes the backbone's last map.

    Raises:
        ValueError: an unknown method, a level that the head does not have, score maps of a head
            without them, or a layer for score maps.
        ImportError: the Grad-CAM family without the ``grad-cam`` package.
    """

    def __init__(
        self, model: ImageClassifier, method: str = 'score_maps', layer: str | None = None
    ) -> None:
        self.model, self.method, self.layer = model, method, layer
        self.level: int | None = None
        self._steps: dict[tuple[int, int], list[Step]] = {}  # by the input's size
        if method in CAM_METHODS:
            package()
            return
        self.level = score_map_level(method, METHODS)
        if layer:
            raise ValueError(f'{method} has no target layer, got layer={layer!r}; leave it out')
        if not isinstance(model.head, ScoreMapHead):
            raise ValueError(
                f'{method} needs a ScoreMapHead, such as MRFCHead; the model has '
                f'{type(model.head).__name__}: take gradcam'
            )
        levels = len(model.head.in_channels)
        if self.level is not None and self.level >= levels:
            raise ValueError(f'{method}: the head has {levels} levels only')

    def __call__(self, inputs: Tensor, classes: Tensor) -> np.ndarray:
        """Maps at the input's resolution, (N, M, H, W) float32.

        Score maps are in units of the logits; those of the Grad-CAM family go from 0 to 1.

        Args:
            inputs: normalized images (N, C, H, W).
            classes: (N, M) int64, the findings of each image to be mapped.
        """
        size = (inputs.shape[-2], inputs.shape[-1])
        if size not in self._steps:
            self._steps[size] = shrinking_steps(self.model.backbone, inputs)
        steps = self._steps[size]
        if self.method in CAM_METHODS:
            maps = [
                grad_cam(self.model, inputs, column.tolist(), self.method, self.layer, steps)
                for column in classes.unbind(1)
            ]
            return np.stack(maps, 1)
        with torch.no_grad():
            feats = self.model.extract_feat(inputs)
            levels = level_maps(self.model.head, feats, classes.to(inputs.device), size, steps)
        if self.level is None:
            return combined_map(levels, self.model.head.lam)
        return levels[self.level]
