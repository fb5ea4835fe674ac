"""mlrfnet_mm: MLRFNet (Li et al., IEEE Access 2023) as parts for OpenMMLab configs.

``import mlrfnet_mm`` imports nothing else. The parts are found by name,
``type='mlrfnet_mm.ECANeck'``, through the registries of :mod:`mlrfnet_mm.registry`, which need one
of the two OpenMMLab stacks; statistics and figures of saved predictions need none.
``mlrfnet_mm.CXRInferencer`` predicts image files; it is imported when it is first asked for.

After ``import mlrfnet_mm``, a config anywhere inherits one that is shipped by
``_base_ = 'mlrfnet_mm::mlrfnet_xray14.py'``, and ``mmengine.hub.get_config`` takes the same name.
mmengine itself knows a fixed list of packages, wants a folder in the name, and asks
``pkg_resources``, which setuptools no longer has: so its two functions that read such names get one
more branch, for ours alone. Where mmengine is not imported yet, that waits until it is.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

__version__ = '0.1.0.dev0'
NOTICE = 'Research use, not for diagnosis.'  # on everything that is written
SHIPPED = 'mlrfnet_mm::'  # begins the name of a shipped config in another config's _base_
STACK = ('torch', 'mmengine', 'mmcv', 'mmpretrain')


def config_file(name: str) -> str:
    """Path of a config that is shipped, for the command line and for other projects' configs.

    >>> config_file('mlrfnet_xray14').endswith('configs/mlrfnet_xray14.py')
    True

    Args:
        name: as in the folder ``configs``, or the file's name alone where it is the only one;
            with or without ``.py``, and with or without ``mlrfnet_mm::`` before it. A label
            graph's ends in ``.json``.

    Raises:
        FileNotFoundError: no such config, or several.
    """
    package = Path(__file__).resolve().parent
    folders = (package / '.mim' / 'configs', package.parent / 'configs')  # wheel, checkout
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    wanted = name.removeprefix(SHIPPED)
    wanted = wanted if wanted.endswith(('.py', '.json')) else f'{wanted}.py'
    if (folder / wanted).is_file():
        return str(folder / wanted)
    found = [] if '/' in wanted else sorted(folder.rglob(wanted))
    if len(found) == 1:
        return str(found[0])
    shipped = sorted(path.stem for path in folder.glob('*.py'))
    if found:
        several = ', '.join(path.relative_to(folder).as_posix() for path in found)
        raise FileNotFoundError(f'several shipped configs are called {name!r}: {several}')
    raise FileNotFoundError(
        f'no config {name!r}: neither a file in {Path.cwd()} nor one that is shipped '
        f'({", ".join(shipped)}, and those in the folders below {folder})'
    )


def require_stack() -> None:
    """Say which extra to install where there is no OpenMMLab stack.

    Raises:
        ImportError: a package of the stack cannot be found.
    """
    missing = [name for name in STACK if find_spec(name) is None]
    if missing:
        raise ImportError(
            f'this part of mlrfnet_mm needs an OpenMMLab stack, and {", ".join(missing)} cannot be '
            "found. Install exactly one of the two: pip install 'mlrfnet-mm[openmmlab]' "
            "(mmpretrain, mmengine, mmcv-lite) or pip install 'mlrfnet-mm[onedl]' (their "
            'maintained fork). They share their import names, so both together break each other.'
        )


def __getattr__(name: str) -> Any:
    """Import the inferencer on demand; without an OpenMMLab stack, the one of exported networks."""
    if name == 'CXRInferencer':
        if any(find_spec(package) is None for package in STACK):
            return import_module('mlrfnet_mm.inference.bundle.inferencer').BundleInferencer
        return import_module('mlrfnet_mm.inference.inferencer').CXRInferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def _extend_config(module: ModuleType) -> None:
    """Let ``_base_ = 'mlrfnet_mm::…'`` of a config be a shipped one, read as if it lay near."""
    theirs = getattr(module.Config, '_get_cfg_path', None)
    if theirs is None:
        warnings.warn(
            "this mmengine reads _base_ in another way: 'mlrfnet_mm::NAME' cannot be inherited; "
            "write _base_ = __import__('mlrfnet_mm').config_file('NAME')",
            stacklevel=2,
        )
        return

    @wraps(theirs)
    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith(SHIPPED):
            return config_file(cfg_path), None  # no scope: each type has its owner's prefix
        return theirs(cfg_path, filename)

    module.Config._get_cfg_path = staticmethod(get_cfg_path)


def _extend_hub(module: ModuleType) -> None:
    """Let ``mmengine.hub.get_config('mlrfnet_mm::…')`` read a shipped config."""
    theirs = module.get_config

    @wraps(theirs)
    def get_config(cfg_path: str, pretrained: bool = False) -> Any:
        if not cfg_path.startswith(SHIPPED):
            return theirs(cfg_path, pretrained)
        if pretrained:
            raise ValueError(f'{cfg_path}: no weights are published, leave out pretrained=True')
        return module.Config.fromfile(config_file(cfg_path))

    module.get_config = get_config  # type: ignore[attr-defined]
    package = sys.modules.get(module.__package__ or '')
    if hasattr(package, 'get_config'):  # imported already
        package.get_config = get_config  # type: ignore[union-attr]


class _Extended(SourceFileLoader):
    """Loads one of mmengine's files, then extends it."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        EXTENSIONS[module.__name__](module)


class _Extensions(MetaPathFinder):
    """Finds the files of mmengine that are extended, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in EXTENSIONS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Extended(fullname, spec.loader.path)
        return spec


EXTENSIONS: dict[str, Callable[[ModuleType], None]] = {
    'mmengine.config.config': _extend_config,
    'mmengine.hub.hub': _extend_hub,
}
for _name, _extend in EXTENSIONS.items():
    if _name in sys.modules:
        _extend(sys.modules[_name])
sys.meta_path.insert(0, _Extensions())
