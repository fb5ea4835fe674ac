"""Data sets: the published ones in a folder each; what tables share in ``tables.py``."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
from mlrfnet_mm.datasets.published.chestxray14.dataset import ChestXray14
from mlrfnet_mm.datasets.published.chexpert.dataset import CheXpert
from mlrfnet_mm.datasets.published.mimic_cxr.dataset import MIMICCXR
from mlrfnet_mm.datasets.published.vindr_cxr.dataset import VinDrCXR

__all__ = ['MIMICCXR', 'CheXpert', 'ChestXray14', 'VinDrCXR']
