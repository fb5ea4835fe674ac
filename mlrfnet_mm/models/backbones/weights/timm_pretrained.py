"""ImageNet weights from timm for mmpretrain's backbones, strictly.

mmpretrain hosts no weights for Res2Net-50 26w x 4s; timm's ``res2net50_26w_4s`` has the same keys
and gives the same features. mmengine's own ``Pretrained`` only warns when keys do not fit.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from pathlib import Path

import timm
from mmengine.logging import print_log
from mmengine.model import BaseModule, update_init_info
from mmpretrain.models import TIMMBackbone
from timm.layers import resample_abs_pos_embed
from timm.models import Eva, VisionTransformer, load_state_dict
from torch import Tensor, nn

from mlrfnet_mm.registry import WEIGHT_INITIALIZERS

FILE_SUFFIXES = ('.safetensors', '.pth', '.pt', '.bin')
CLASSIFIERS = ('fc.', 'head.', 'classifier.')  # where timm's models keep the ImageNet classifier


def feature_names(keys: Iterable[str], net: nn.Module) -> dict[str, str]:
    """Names that a timm model's keys have in its ``features_only`` form; those it lacks are absent.

    timm takes some containers apart (``features.conv0`` becomes ``features_conv0``) and drops whole
    modules behind the last level. A part of a module that is there is never dropped. With
    ``feature_cls='getter'`` the network is a ``model`` within.
    """
    parts = {key.split('.')[0] for key in net.state_dict()}
    if parts == {'model'}:
        inner = feature_names(keys, net.get_submodule('model'))
        return {key: f'model.{name}' for key, name in inner.items()}
    named = {k: k if k.split('.')[0] in parts else k.replace('.', '_', 1) for k in keys}
    return {key: name for key, name in named.items() if name.split('.')[0] in parts}


def fit_positions(weights: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """Resample a vision transformer's position embedding to the backbone's image size.

    As timm does it, where it loads weights into a model of another ``img_size``. Other weights
    are left as they are.
    """
    fitted, own = dict(weights), net.state_dict()
    for key, value in weights.items():
        if not key.endswith('pos_embed') or key not in own or own[key].shape == value.shape:
            continue
        model = net.get_submodule(key.rpartition('.')[0])
        if not isinstance(model, Eva | VisionTransformer):
            continue
        prefix = 0 if model.no_embed_class else model.num_prefix_tokens  # class and registers
        side = sqrt(max(value.shape[1] - prefix, 0))
        if side.is_integer():  # else the mismatch is told where the weights are loaded
            grid = model.patch_embed.grid_size
            fitted[key] = resample_abs_pos_embed(value, list(grid), num_prefix_tokens=prefix)
            text = f'{key}: {side:.0f}x{side:.0f} places resampled to {grid[0]}x{grid[1]}'
            print_log(text, logger='current')
    return fitted


def _names(names: Sequence[str], argument: str) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ValueError(f'{argument} is a tuple of names, as ({names!r},)')
    return tuple(names)


@WEIGHT_INITIALIZERS.register_module()
class TimmPretrained:
    """Fill a backbone with a timm model's weights, as its ``init_cfg``.

    Every key of the backbone must be in the weights and every key of the weights, but for the
    ImageNet classifier, must be in the backbone; where a backbone is cut off or has modules of its
    own, ``drop`` and ``new`` name them, and a name that matches nothing is refused. In
    ``mmpretrain.TIMMBackbone`` the modules that ``features_only`` cuts off, behind the last level,
    are left out as well, and the position embedding of a vision transformer is resampled to its
    ``img_size``, as timm does it.

    Args:
        checkpoint: a file (``.safetensors``, ``.pth``, ``.pt``, ``.bin``; loaded weights-only) or a
            name of timm's, as ``res2net50_26w_4s.in1k`` or ``resnet50.tv_in1k``. For a name,
            ``NAME.safetensors`` or ``NAME.pth`` is looked for in the folder that the environment
            variable ``MLRFNET_WEIGHTS`` names (default ``weights``), then timm's hub is asked. timm
            reads both alike: files of the network's authors, with older names, fit too.
        drop: modules of the weights that the backbone has not, as ``features.norm5``; logged.
        new: modules of the backbone that the weights have not, which stay as they are; logged.

    Raises:
        FileNotFoundError: no such file, or the hub cannot be reached.
        ValueError: a name that timm does not know, keys or shapes that do not fit, names to drop
            or to keep that match nothing, or other initializers next to this one.
    """

    def __init__(self, checkpoint: str, drop: Sequence[str] = (), new: Sequence[str] = ()) -> None:
        self.checkpoint = checkpoint
        self.drop = _names(drop, 'drop')
        self.new = _names(new, 'new')

    def __call__(self, module: nn.Module) -> None:
        """Load into ``module`` and mark it as initialized, down to its last child."""
        if isinstance(getattr(module, 'init_cfg', None), list):
            raise ValueError(
                f'{type(self).__name__} fills the whole backbone, so that init_cfg must be this '
                f'one dict; the others would overwrite it: {module.init_cfg}'
            )
        given = self._read()
        names, net = {key: key for key in given}, module
        if isinstance(module, TIMMBackbone):
            net = module.timm_model
            names = feature_names(given, net)
        own = net.state_dict()
        names = {k: n for k, n in names.items() if n in own or not n.startswith(CLASSIFIERS)}
        weights = self._fit({name: given[key] for key, name in names.items()}, net)
        left = self._of(self.drop, weights, own, 'drop', 'the weights', 'the backbone')
        kept = self._of(self.new, own, weights, 'new', 'the backbone', 'the weights')
        loaded = {k: v for k, v in weights.items() if k not in left}
        try:
            net.load_state_dict(loaded | {k: own[k] for k in kept}, strict=True)
        except RuntimeError as error:
            raise ValueError(
                f'the weights of {self.checkpoint!r} do not fit {type(module).__name__}: backbone '
                f'config and weights must be of one network. {error}'
            ) from error
        # ResNet.init_weights and its like would zero the last BatchNorm of each block after this,
        # but for a `Pretrained` init_cfg; and children must not be initialized over the weights.
        if isinstance(module, BaseModule):
            module.init_cfg = dict(type='Pretrained', checkpoint=self.checkpoint)
        for child in module.modules():
            if isinstance(child, BaseModule) and child is not module:
                child.is_init = True
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'{type(self).__name__}: {self.checkpoint}')
        cut = [key for key in given if key not in names]
        print_log(self._report(len(loaded), sorted(left), sorted(kept), cut), logger='current')

    def _fit(self, weights: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
        """Weights in the shapes of the network."""
        return fit_positions(weights, net)

    def _report(self, loaded: int, left: list[str], kept: list[str], cut: list[str]) -> str:
        """Of tensors: how many were loaded, dropped by name, kept, cut off with the classifier."""
        report = f'ImageNet weights: {self.checkpoint}, {loaded} tensors'
        if left:
            report += f'; left out {len(left)} of {", ".join(self.drop)}'
        if kept:
            report += f'; not in them and new {len(kept)} of {", ".join(self.new)}'
        return report

    def _of(
        self,
        names: Sequence[str],
        there: Mapping[str, Tensor],
        other: Mapping[str, Tensor],
        argument: str,
        place: str,
        elsewhere: str,
    ) -> set[str]:
        """Keys of named modules, each of which must be in one place and not in the other."""
        found: set[str] = set()
        for name in names:
            keys = {key for key in there if key == name or key.startswith(f'{name}.')}
            common = sorted(keys & set(other))
            if common or not keys:
                what = f'also in {elsewhere}: {common[0]}' if common else f'not in {place}'
                raise ValueError(
                    f'{type(self).__name__} {self.checkpoint!r}: {argument}={name!r} is {what}; '
                    'leave the name out, or correct it'
                )
            found |= keys
        return found

    def _read(self) -> dict[str, Tensor]:
        if self.checkpoint.endswith(FILE_SUFFIXES):
            path = Path(self.checkpoint).expanduser()
            if not path.is_file():
                raise FileNotFoundError(
                    f'no weights file {path.absolute()}; give the path of a file, or a name of timm'
                )
            return load_state_dict(str(path), weights_only=True)
        if not timm.is_model(self.checkpoint):
            raise ValueError(
                f'{self.checkpoint!r} is neither a file ({", ".join(FILE_SUFFIXES)}) nor a model '
                f'of timm {timm.__version__}'
            )
        folder = Path(os.environ.get('MLRFNET_WEIGHTS', 'weights')).expanduser()
        candidates = [folder / f'{self.checkpoint}{suffix}' for suffix in ('.safetensors', '.pth')]
        files = [path for path in candidates if path.is_file()]
        return self._from_file(files[0]) if files else self._from_hub(candidates[0])

    def _from_file(self, path: Path) -> dict[str, Tensor]:
        overlay = dict(state_dict=load_state_dict(str(path), weights_only=True))
        try:
            model = timm.create_model(
                self.checkpoint, pretrained=True, pretrained_cfg_overlay=overlay
            )
        except RuntimeError as error:
            raise ValueError(
                f"{path} does not fit timm's {self.checkpoint!r}; get the file again. {error}"
            ) from error
        return model.state_dict()

    def _from_hub(self, wanted: Path) -> dict[str, Tensor]:
        try:
            return timm.create_model(self.checkpoint, pretrained=True).state_dict()
        except Exception as error:  # whatever the hub's client, its cache or a proxy raises
            raise FileNotFoundError(
                f'the ImageNet weights {self.checkpoint!r} are not in {wanted.absolute()}, '
                "and timm's hub did not give them. Put the file model.safetensors of "
                f'timm/{self.checkpoint} there under this name, or train from random weights on '
                'purpose: --cfg-options model.backbone.init_cfg=None. The hub said: '
                f'{type(error).__name__}: {error}'
            ) from error
