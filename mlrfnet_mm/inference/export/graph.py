"""The network as a graph: gray uint8 images in, logits and score maps out."""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from mlrfnet_mm.inference.heatmaps.receptive_field import cell_shift, shrinking_steps
from mlrfnet_mm.models import ScoreMapHead

LEAST_TORCH = (2, 6)


class ExportGraph(nn.Module):
    """A classifier with its normalization inside.

    Takes (N, 1, H, W) uint8, returns logits (N, K) float32 and, where the head is a
    :class:`~mlrfnet_mm.ScoreMapHead`, the score maps (N, K, h, w) of its levels, high resolution
    first.

    Args:
        model: in evaluation mode, with a data preprocessor of ``mean`` and ``std``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: ImageClassifier) -> None:
        super().__init__()
        self.model = model
        self.has_maps = isinstance(model.head, ScoreMapHead)
        self.register_buffer('mean', model.data_preprocessor.mean.clone())
        self.register_buffer('std', model.data_preprocessor.std.clone())

    def forward(self, gray: Tensor) -> tuple[Tensor, ...]:
        """Normalize and classify."""
        feats = self.model.extract_feat((gray.float() - self.mean) / self.std)
        logits = self.model.head(feats).float()
        if not self.has_maps:
            return (logits,)
        return (logits, *(scores.float() for scores in self.model.head.score_maps(feats)))


def level_shifts(model: ImageClassifier, size: int) -> tuple[tuple[float, float], ...]:
    """Where the cells of each level's maps lie, for :func:`~mlrfnet_mm.xrays.heat.spread`.

    Args:
        model: with any head; () where it has no score maps.
        size: side of the input.
    """
    if not isinstance(model.head, ScoreMapHead):
        return ()
    mean = model.data_preprocessor.mean
    inputs = torch.zeros(1, len(mean), size, size)
    with torch.no_grad():
        maps = model.head.score_maps(model.extract_feat(inputs))
    steps = shrinking_steps(model.backbone, inputs)
    sizes = [(scores.shape[-2], scores.shape[-1]) for scores in maps]
    return tuple(cell_shift(steps, (size, size), level) for level in sizes)


def write_onnx(model: ImageClassifier, size: int, path: Path) -> None:
    """Write the graph as ONNX, with any number of images at a time.

    Args:
        model: in evaluation mode, on the CPU.
        size: side of the input.
        path: file.

    Raises:
        ImportError: without the extra ``onnx``, or with an older torch.
        ValueError: a network that torch cannot export, with torch's reason, or for one number of
            images only.
    """
    if tuple(int(x) for x in torch.__version__.split('.')[:2]) < LEAST_TORCH:
        raise ImportError(
            f'export needs torch {".".join(map(str, LEAST_TORCH))} or later, found '
            f'{torch.__version__}'
        )
    try:
        import onnxscript  # noqa: F401 - what torch.onnx writes with
    except ImportError as error:
        raise ImportError("export needs pip install 'mlrfnet-mm[onnx]'") from error
    graph = ExportGraph(model).eval()
    gray = torch.randint(0, 256, (2, 1, size, size), dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings(), _quiet('torch.onnx', 'onnxscript'):
        warnings.simplefilter('ignore')
        names = ['logits', *(f'scores{i + 1}' for i in range(len(graph(gray)) - 1))]
        try:
            program: Any = torch.onnx.export(
                graph,
                (gray,),
                dynamo=True,
                verbose=False,
                dynamic_shapes=({0: torch.export.Dim('batch', min=1)},),
                input_names=['gray'],
                output_names=names,
            )
        except Exception as error:  # of any kind, by what the network does
            reason = str(error).strip().splitlines()
            raise ValueError(
                f'torch cannot export {type(model.backbone).__name__} with '
                f'{type(model.head).__name__}: {type(error).__name__}: '
                f'{" ".join(reason[:3]) if reason else ""}'
            ) from error
    if isinstance(images := program.model.graph.inputs[0].shape[0], int):
        raise ValueError(
            f'torch exports {type(model.backbone).__name__} with {type(model.head).__name__} for '
            f'{images} images at a time only: len(x) in a forward pass fixes the number, '
            'x.shape[0] does not'
        )
    program.save(str(path), external_data=False)


class _quiet:
    """Loggers that say only errors meanwhile."""

    def __init__(self, *names: str) -> None:
        self.loggers = [logging.getLogger(name) for name in names]

    def __enter__(self) -> None:
        self.levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *error: object) -> None:
        for logger, level in zip(self.loggers, self.levels, strict=True):
            logger.setLevel(level)
