"""The Grad-CAM family, by the ``grad-cam`` package (pip install 'mlrfnet-mm[cam]').

Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391; the package's own list names the
others. The target layer is by default the last feature map that the backbone hands on, whatever the
backbone: Res2Net, ResNet, DenseNet, ConvNeXt, Swin, EfficientNet and timm's alike.
"""

import importlib
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from mlrfnet_mm.inference.heatmaps.receptive_field import Step, cell_shift
from mlrfnet_mm.xrays.heat import spread

CAM_METHODS = {
    'gradcam': 'GradCAM',
    'gradcam++': 'GradCAMPlusPlus',
    'layercam': 'LayerCAM',
    'hirescam': 'HiResCAM',
    'xgradcam': 'XGradCAM',
    'eigengradcam': 'EigenGradCAM',
    'eigencam': 'EigenCAM',  # the same map for every finding
}


class TappedClassifier(nn.Module):
    """An mmpretrain classifier from normalized images (N, C, H, W) to logits (N, K).

    The last feature map of the backbone passes through ``tap``, a module to hang hooks on that
    every backbone has.
    """

    def __init__(self, model: ImageClassifier) -> None:
        super().__init__()
        self.model: Any = model  # not nn.Module: that has Tensors for attributes, to mypy
        self.tap = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K)."""
        *earlier, last = self.model.backbone(x)
        feats: Any = (*earlier, self.tap(last))
        if self.model.with_neck:
            feats = self.model.neck(feats)
        return self.model.head(feats)


def is_map(output: object) -> bool:
    """Whether a module's output is a feature map (N, C, H, W) of more than one place."""
    return isinstance(output, Tensor) and output.ndim == 4 and output[0, 0].numel() > 1


def tokens_to_map(output: object) -> Tensor:
    """Bring a layer's output to (N, C, H, W).

    Takes that itself; tokens (N, H*W, C) of a square map, one class token before them or none; and
    (N, H, W, C), told by H = W ≠ C.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(output, Tensor):
        raise ValueError(
            f'a layer that gives a {type(output).__name__} has no map; name one inside it, whose '
            'output is one tensor'
        )
    if output.ndim == 4:
        _, a, b, c = output.shape
        return output.permute(0, 3, 1, 2) if a == b != c else output
    if output.ndim == 3:
        for first in (0, 1):
            side = round((output.shape[1] - first) ** 0.5)
            if side > 1 and side * side == output.shape[1] - first:
                places = output[:, first:].unflatten(1, (side, side))
                return places.permute(0, 3, 1, 2)
    raise ValueError(
        f'a layer whose output is {tuple(output.shape)} has no map; name one whose output is '
        '(N, C, H, W) or (N, H*W, C) of a square map'
    )


def find_layer(
    classifier: TappedClassifier, inputs: Tensor, name: str | None
) -> tuple[nn.Module, tuple[int, int]]:
    """Return the target layer, the named module of the model or the fitting one, and its (h, w).

    That is the tap on the backbone's last output or, where this is a vector (ConvNeXt with
    ``gap_before_final_norm``), the last of the backbone's modules whose output is a map.

    Raises:
        ValueError: no such module, or one without a map; no module with a map.
    """
    if name:
        layer = _named(classifier, name)
        outputs = [output for _, output in _outputs(classifier, inputs, [layer])]
        if not outputs:
            raise ValueError(f'layer {name!r} takes no part in the scores; take one of backbone')
        return layer, _size(tokens_to_map(outputs[-1]))
    watched = [*classifier.model.backbone.modules(), classifier.tap]
    maps = [(m, output) for m, output in _outputs(classifier, inputs, watched) if is_map(output)]
    if not maps:
        raise ValueError(
            f'no module of {type(classifier.model.backbone).__name__} gives a map (N, C, H, W); '
            'name a layer whose output is (N, H*W, C)'
        )
    return maps[-1][0], _size(tokens_to_map(maps[-1][1]))


def _size(feature: Tensor) -> tuple[int, int]:
    return feature.shape[-2], feature.shape[-1]


def _named(classifier: TappedClassifier, name: str) -> nn.Module:
    try:
        layer: nn.Module = classifier.model.get_submodule(name)
    except AttributeError:
        stages = ', '.join(f'backbone.{n}' for n, _ in classifier.model.backbone.named_children())
        raise ValueError(f'the model has no layer {name!r}; some that it has: {stages}') from None
    return layer


def _outputs(
    classifier: TappedClassifier, inputs: Tensor, watched: Iterable[nn.Module]
) -> list[tuple[nn.Module, object]]:
    """Modules with their outputs for the first image, in the order of their calls."""
    seen: list[tuple[nn.Module, object]] = []
    handles = [
        module.register_forward_hook(lambda m, _, output: seen.append((m, output)))
        for module in watched
    ]
    try:
        with torch.no_grad():
            classifier(inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    return seen


def package() -> ModuleType:
    """Import ``pytorch_grad_cam``.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module('pytorch_grad_cam')
    except ImportError as error:
        raise ImportError(f"Grad-CAM needs pip install 'mlrfnet-mm[cam]': {error}") from error


def grad_cam(
    model: ImageClassifier,
    inputs: Tensor,
    classes: Sequence[int],
    method: str,
    layer: str | None = None,
    steps: Sequence[Step] = (),
) -> np.ndarray:
    """One map for each image of a batch, (N, H, W) float32 from 0 to 1, at the input's size.

    Args:
        model: an mmpretrain classifier in evaluation mode.
        inputs: normalized images (N, C, H, W).
        classes: N indices: the finding of each image whose logit is explained.
        method: key of ``CAM_METHODS``.
        layer: name of the target layer in the model, as ``'backbone.layer3'``; None: see
            :func:`find_layer`.
        steps: of the backbone, see :func:`shrinking_steps`: the package takes a layer's cells as
            tiles; by them the map is moved to where the cells are.

    Raises:
        ImportError: without the package.
        ValueError: see :func:`find_layer`.
    """
    library = package()
    classifier = TappedClassifier(model)
    targets = [library.utils.model_targets.ClassifierOutputTarget(k) for k in classes]
    kind = getattr(library, CAM_METHODS[method])
    target, level = find_layer(classifier, inputs, layer)
    # A leaf with gradient: so that frozen stages, which have none themselves, pass one on.
    leaf = inputs.detach().clone().requires_grad_()
    with torch.enable_grad(), kind(classifier, [target], reshape_transform=tokens_to_map) as cam:
        maps = cam(leaf, targets=targets)
    model.zero_grad(set_to_none=True)
    size = (inputs.shape[-2], inputs.shape[-1])
    shift = cell_shift(steps, size, level)
    return spread(np.asarray(maps, np.float32), size, shift)
