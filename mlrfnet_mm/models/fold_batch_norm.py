"""Fold BatchNorms into the convolutions that feed them: the same function with fewer passes."""

from collections import Counter

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import fuse_conv_bn_eval

TOLERANCE = 1e-3  # of the largest logit; float32 rounding stays near 1e-6
CONVS = (nn.Conv2d, Conv2dSame)  # others may do more with their weights
NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm, BatchNormAct2d)


def fold_batch_norm(model: nn.Module, inputs: Tensor) -> tuple[int, int]:
    """Fold in place what one forward pass shows to be foldable, and compare the outputs.

    A BatchNorm is folded where its input is the very output of a convolution, and both are called
    once; the order of the modules says nothing (Res2Net keeps them in two lists, DenseNet has
    norms that follow a concatenation). The activation that timm's ``BatchNormAct2d`` holds stays.
    Other subclasses of convolution or BatchNorm, whatever they compute, are left alone.
    The model is in evaluation mode afterwards.

    Args:
        model: called as ``model(inputs)``, it returns a tensor or a tuple of tensors.
        inputs: a batch as the model accepts it; real images make the comparison meaningful.

    Returns:
        Numbers of BatchNorms folded and found.

    Raises:
        RuntimeError: the folded network's outputs differ by more than 1e-3 of the largest.
    """
    model.eval()  # not chained: mmpretrain's ResNet returns None here
    names = {module: name for name, module in model.named_modules()}
    with torch.no_grad():
        expected = _outputs(model, inputs)
        pairs = _pairs(model, inputs)
        for conv, norm in pairs:
            _set(model, names[conv], fuse_conv_bn_eval(conv, norm))
            _set(model, names[norm], _rest(norm))
        found = _outputs(model, inputs)
    for ours, theirs in zip(found, expected, strict=True):
        error = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-12))
        if not error <= TOLERANCE:
            raise RuntimeError(
                f'after folding BatchNorm the outputs of {type(model).__name__} differ by '
                f'{error:.1e} of the largest, more than {TOLERANCE}: leave --fuse-conv-bn out'
            )
    norms = [m for m in names if isinstance(m, _BatchNorm)]
    return len(pairs), len(norms)


def _outputs(model: nn.Module, inputs: Tensor) -> tuple[Tensor, ...]:
    outputs = model(inputs)
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _pairs(model: nn.Module, inputs: Tensor) -> list[tuple[nn.Conv2d, _BatchNorm]]:
    """Pairs of a convolution and the BatchNorm that reads its output, each called once."""
    sources: dict[int, nn.Conv2d] = {}
    outputs: list[Tensor] = []  # kept alive, so that an id stays one tensor's
    calls: Counter[nn.Module] = Counter()
    readers: Counter[int] = Counter()
    pairs: list[tuple[nn.Conv2d, _BatchNorm]] = []

    def after_conv(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        calls[module] += 1
        outputs.append(output)
        sources[id(output)] = module

    def before_norm(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(module, _BatchNorm)
        calls[module] += 1
        readers[id(args[0])] += 1
        if id(args[0]) in sources:
            pairs.append((sources[id(args[0])], module))

    handles = [m.register_forward_hook(after_conv) for m in model.modules() if type(m) in CONVS]
    handles += [
        m.register_forward_pre_hook(before_norm) for m in model.modules() if type(m) in NORMS
    ]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    several = {sources[key] for key, number in readers.items() if number > 1 and key in sources}
    return [
        (conv, norm)
        for conv, norm in pairs
        if calls[conv] == calls[norm] == 1 and conv not in several
    ]


def _rest(norm: nn.Module) -> nn.Module:
    """Return what a BatchNorm does besides the normalization."""
    if isinstance(norm, BatchNormAct2d):
        return nn.Sequential(norm.drop, norm.act)
    return nn.Identity()


def _set(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition('.')
    setattr(model.get_submodule(parent), last, module)
