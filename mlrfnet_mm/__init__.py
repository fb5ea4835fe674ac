"""mlrfnet_mm: MLRFNet (Li et al., IEEE Access 2023) as parts for OpenMMLab configs.

``import mlrfnet_mm`` only checks that an OpenMMLab stack is there. The parts are found by name,
``type='mlrfnet_mm.ECANeck'``, through the registries of :mod:`mlrfnet_mm.registry`.
``mlrfnet_mm.CXRInferencer`` predicts image files; it is imported when it is first asked for.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

__version__ = '0.1.0.dev0'
NOTICE = 'Research use, not for diagnosis.'  # on everything that is written

_missing = [name for name in ('mmengine', 'mmcv', 'mmpretrain') if find_spec(name) is None]
if _missing:
    raise ImportError(
        f'mlrfnet_mm needs an OpenMMLab stack, and {", ".join(_missing)} cannot be found. Install '
        "exactly one of the two: pip install 'mlrfnet-mm[openmmlab]' (mmpretrain, mmengine, "
        "mmcv-lite) or pip install 'mlrfnet-mm[onedl]' (their maintained fork). They share their "
        'import names, so both together break each other.'
    )


def __getattr__(name: str) -> Any:
    """Import the inferencer on demand: it needs matplotlib and all layers, training does not."""
    if name == 'CXRInferencer':
        return import_module('mlrfnet_mm.analysis.inferencer').CXRInferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
