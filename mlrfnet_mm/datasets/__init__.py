"""Data sets: one file each; what their tables share is in ``tables.py``."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
from mlrfnet_mm.datasets.chestxray14.dataset import ChestXray14
from mlrfnet_mm.datasets.chexpert.dataset import CheXpert
from mlrfnet_mm.datasets.mimic_cxr.dataset import MIMICCXR
from mlrfnet_mm.datasets.sampling import ClassAwareSampler

__all__ = ['MIMICCXR', 'CheXpert', 'ChestXray14', 'ClassAwareSampler']
