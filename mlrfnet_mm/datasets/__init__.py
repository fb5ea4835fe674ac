"""Data sets: one file each; what their tables share is in ``tables.py``."""

from mlrfnet_mm.datasets.chestxray14 import ChestXray14

__all__ = ['ChestXray14']
