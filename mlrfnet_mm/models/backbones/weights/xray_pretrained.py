"""Published chest X-ray weights for a backbone, strictly, and the range of gray levels they take.

The sources are in ``xray_sources.py``. No mapping was tried on a published file: none could be had
here; the tests make files with the published names and shapes.
"""

import math
import pickle
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mlrfnet_mm.models.backbones.weights.timm_pretrained import FILE_SUFFIXES, TimmPretrained
from mlrfnet_mm.models.backbones.weights.xray_sources import (
    XRAY_SOURCES,
    XraySource,
    head,
    map_names,
    source_of,
)
from mlrfnet_mm.registry import WEIGHT_INITIALIZERS

SUFFIXES = (*FILE_SUFFIXES, '.pth.tar')
CONVERSION = """import torch
from safetensors.torch import save_file

content = torch.load({file!r}, map_location='cpu', weights_only=False)  # runs what the file says
weights = content.state_dict() if hasattr(content, 'state_dict') else {part}
save_file({{k: v.contiguous().clone() for k, v in weights.items()}}, {to!r})
"""


def fold_channels(weight: Tensor, channels: int) -> Tensor:
    """A first convolution for images of another number of channels, 1 or 3.

    An image with three equal channels gives the same output as its one channel does.

    Args:
        weight: (C, 1, h, w) or (C, 3, h, w).
        channels: of the result, the other number.
    """
    one = weight.sum(1, keepdim=True)
    return one if channels == 1 else (one / 3).repeat(1, 3, 1, 1)


@WEIGHT_INITIALIZERS.register_module()
class XrayPretrained(TimmPretrained):
    """Fill a backbone with published chest X-ray weights, as its ``init_cfg``.

    The backbone is ``mmpretrain.TIMMBackbone`` with the source's network, or another one with
    timm's names, as ``mmpretrain.ResNet``. Every key of the file is mapped, or known to be of
    another part (classifier, decoder, thresholds); every key of the backbone is filled: anything
    else is refused. The log has the numbers, what was left out, and the license.

    A first convolution for gray images is spread over three channels, or three are summed for a
    backbone with ``in_channels=1`` (:func:`fold_channels`); a position embedding of another number
    of patches is resampled. The preprocessor must normalize as the source did, with ``source`` of
    :class:`XrayDataPreprocessor`; ``mlrfnet_mm.SafeRunner`` compares.

    Args:
        source: a name of ``XRAY_SOURCES``, as ``torchxrayvision_densenet121``.
        checkpoint: a local file, loaded weights-only; nothing is downloaded.
        drop: modules of the weights that the backbone has not, by timm's names; logged.
        new: modules of the backbone that the weights have not, which stay as they are; logged.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown source; a pickle of more than weights, with the conversion to run
            elsewhere; keys or shapes that do not fit; other initializers next to this one.
    """

    def __init__(
        self, source: str, checkpoint: str, drop: Sequence[str] = (), new: Sequence[str] = ()
    ) -> None:
        super().__init__(checkpoint, drop, new)
        self.name, self.source = source, source_of(source)
        self.left: list[str] = []  # keys of the file that are not of the backbone

    def _read(self) -> dict[str, Tensor]:
        path = Path(self.checkpoint).expanduser()
        if not path.is_file() or not path.name.endswith(SUFFIXES):
            raise FileNotFoundError(
                f'no weights file {path.absolute()} ({", ".join(SUFFIXES)}): get that of '
                f'{self.name} from {self.source.url} (license: {self.source.license}), or train '
                'from random weights on purpose: --cfg-options model.backbone.init_cfg=None'
            )
        weights = read_weights(path, self.source)
        try:
            names, self.left = map_names(weights, self.source)
        except ValueError as error:
            raise ValueError(
                f'{path} is not a file of {self.name} ({self.source.url}): {error}'
            ) from None
        joined = {}
        for name, keys in names.items():
            parts = [weights[key] for key in keys]
            if len({part.shape[1:] for part in parts}) > 1:
                raise ValueError(
                    f'{path}: {", ".join(keys)} are the parts of {name}, and of several shapes: '
                    f'{[tuple(part.shape) for part in parts]}'
                )
            joined[name] = parts[0] if len(parts) == 1 else torch.cat(parts)
        return joined

    def _fit(self, weights: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
        own = net.state_dict()
        fitted = {}
        for key, value in weights.items():
            new = own[key].shape if key in own else value.shape
            if len(new) == value.ndim == 4 and {new[1], value.shape[1]} == {1, 3}:
                if new[1] == 1 and len(self.source.takes.mean) == 3:
                    raise ValueError(
                        f'{self.name} takes three channels with ranges of their own '
                        f'(mean {self.source.takes.mean}), which cannot become one: in_channels=3'
                    )
                value = fold_channels(value, new[1])
            fitted[key] = value
        return super()._fit(fitted, net)

    def _report(self, loaded: int, left: list[str], kept: list[str], cut: list[str]) -> str:
        report = f'{self.name}: {loaded} tensors of {self.checkpoint} loaded'
        for what, keys in (
            ('left out', self.left),
            ('cut off with the backbone', cut),
            ('dropped by name', left),
            ('not in them and new', kept),
        ):
            counts = Counter(_module(key) for key in keys)
            named = ', '.join(f'{key} ({n})' if n > 1 else key for key, n in counts.items())
            report += f'; {what}: {len(keys)}' + (f', {named}' if keys else '')
        by = self.source
        return (
            f'{report}. Normalized by mean {by.takes.mean}, std {by.takes.std}'
            f'{f"; before that, {by.also}" if by.also else ""}. License: {by.license} ({by.url})'
        )


def _module(key: str) -> str:
    return '.'.join(key.split('.')[: -1 if '.' in key else None][:2])


def read_weights(path: Path, source: XraySource) -> dict[str, Tensor]:
    """The tensors of a file by name, without ``module.``; no code of the file is run.

    Raises:
        ValueError: more than tensors and plain values in it, no weights, or damage.
    """
    content: Any
    if path.suffix == '.safetensors':
        try:
            content = load_file(path)
        except SafetensorError as error:
            raise ValueError(f'{path} is damaged, get it again: {error}') from error
    else:
        try:
            content = torch.load(path, map_location='cpu', weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, OSError) as error:
            raise ValueError(_refusal(path, source, error)) from None
        part = next((part for part in source.parts if part in content), None)
        content = content if part is None else content[part]
    if not isinstance(content, Mapping) or not all(torch.is_tensor(x) for x in content.values()):
        held = list(content) if isinstance(content, Mapping) else [type(content).__name__]
        raise ValueError(
            f'{path} has no weights under {" or ".join(source.parts)}, where those of {source.url} '
            f'are, but {head([str(key) for key in held])}'
        )
    return {key.removeprefix('module.'): value for key, value in content.items()}


def _refusal(path: Path, source: XraySource, error: Exception) -> str:
    """Why a file is not read, and what to do elsewhere; torch's own text advises to read it."""
    asked = re.search(r"(?:GLOBAL|global|class) '?([\w.]+\.\w+)", str(error))
    if not asked or not isinstance(error, pickle.UnpicklingError):
        return f'{path} is damaged, or not a file of weights ({type(error).__name__}); get it again'
    part = 'content'
    for name in reversed(source.parts):
        part = f'content.get({name!r}, {part})'
    to = f'{path.name.split(".")[0]}.safetensors'
    return (
        f'{path} is a pickle of more than weights (it asks for {asked[1]}): to read it is to run '
        'it, and it was not read. On a machine that may be lost, with the packages of its authors, '
        f'run\n\n{CONVERSION.format(file=path.name, part=part, to=to)}\nand give the .safetensors '
        'file as checkpoint'
    )


def started_from(config: Any) -> list[str]:
    """Names of the chest X-ray weights in a model's config, each with its license."""
    if isinstance(config, Mapping):
        if str(config.get('type')).split('.')[-1] == 'XrayPretrained':
            name = str(config.get('source'))
            known = XRAY_SOURCES.get(name)
            return [f'{name} (license: {known.license if known else "not known here"})']
        config = list(config.values())
    if not isinstance(config, list | tuple):
        return []
    return list(dict.fromkeys(name for part in config for name in started_from(part)))


def check_input_range(model: nn.Module) -> None:
    """Compare the preprocessor with the weights that a model is about to be filled with.

    Args:
        model: a classifier; one with other weights, or without a preprocessor, passes.

    Raises:
        ValueError: it does not normalize as their source did.
    """
    by = getattr(model, 'data_preprocessor', None)
    mean, std = [0.0], [1.0]
    if by is not None and getattr(by, '_enable_normalize', False):
        mean, std = by.mean.flatten().tolist(), by.std.flatten().tolist()
    for module in model.modules():
        settings = getattr(module, 'init_cfg', None) or []
        for cfg in settings if isinstance(settings, list) else [settings]:
            if str(cfg.get('type')).split('.')[-1] != 'XrayPretrained':
                continue
            takes = source_of(str(cfg.get('source'))).takes
            if not (_same(mean, takes.mean) and _same(std, takes.std)):
                raise ValueError(
                    f'{cfg["source"]} takes images normalized by mean {list(takes.mean)} and std '
                    f"{list(takes.std)}, the model's data_preprocessor has {mean} and {std}: set "
                    "model.data_preprocessor=dict(type='mlrfnet_mm.XrayDataPreprocessor', "
                    f'source={cfg["source"]!r}), or these numbers, once per channel'
                )


def _same(numbers: Sequence[float], source: Sequence[float]) -> bool:
    """Whether the numbers, one for each channel, are the source's, one for each or for all."""
    theirs = list(source) * len(numbers) if len(source) == 1 else list(source)
    return len(numbers) == len(theirs) and all(
        math.isclose(x, y, rel_tol=1e-5) for x, y in zip(numbers, theirs, strict=True)
    )
