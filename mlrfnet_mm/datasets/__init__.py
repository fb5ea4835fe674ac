"""Data sets: the published ones in a folder each, one's own in ``table_xrays``."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
from mlrfnet_mm.datasets.published.chestx_det.dataset import ChestXDet
from mlrfnet_mm.datasets.published.chestxray14.dataset import ChestXray14
from mlrfnet_mm.datasets.published.chestxray14.radiologists import NIHRadiologists
from mlrfnet_mm.datasets.published.chexpert.dataset import CheXpert
from mlrfnet_mm.datasets.published.mimic_cxr.dataset import MIMICCXR
from mlrfnet_mm.datasets.published.padchest.dataset import PadChest
from mlrfnet_mm.datasets.published.rsna.dataset import RSNAPneumonia
from mlrfnet_mm.datasets.published.siim.dataset import SIIMPneumothorax
from mlrfnet_mm.datasets.published.vindr_cxr.dataset import VinDrCXR
from mlrfnet_mm.datasets.sampling import ClassAwareSampler
from mlrfnet_mm.datasets.table_xrays.dataset import TableXrays

__all__ = [
    'MIMICCXR',
    'CheXpert',
    'ChestXDet',
    'ChestXray14',
    'ClassAwareSampler',
    'NIHRadiologists',
    'PadChest',
    'RSNAPneumonia',
    'SIIMPneumothorax',
    'TableXrays',
    'VinDrCXR',
]
