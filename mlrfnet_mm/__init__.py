"""mlrfnet_mm: MLRFNet (Li et al., IEEE Access 2023) as parts for OpenMMLab configs.

``import mlrfnet_mm`` imports nothing else. The parts are found by name,
``type='mlrfnet_mm.ECANeck'``, through the registries of :mod:`mlrfnet_mm.registry`, which need one
of the two OpenMMLab stacks; statistics and figures of saved predictions need none.
``mlrfnet_mm.CXRInferencer`` predicts image files; it is imported when it is first asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = '0.1.0.dev0'
NOTICE = 'Research use, not for diagnosis.'  # on everything that is written


def config_file(name: str) -> str:
    """Path of a config that is shipped, for the command line and for other projects' configs.

    >>> config_file('mlrfnet_xray14').endswith('configs/mlrfnet_xray14.py')
    True

    Args:
        name: as in the folder ``configs``, or the file's name alone where it is the only one;
            with or without ``.py``. A label graph's ends in ``.json``.

    Raises:
        FileNotFoundError: no such config, or several.
    """
    package = Path(__file__).resolve().parent
    folders = (package / '.mim' / 'configs', package.parent / 'configs')  # wheel, checkout
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    wanted = name if name.endswith(('.py', '.json')) else f'{name}.py'
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


def __getattr__(name: str) -> Any:
    """Import the inferencer on demand: it needs matplotlib and all layers, training does not."""
    if name == 'CXRInferencer':
        return import_module('mlrfnet_mm.inference.inferencer').CXRInferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
