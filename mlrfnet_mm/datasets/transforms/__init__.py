"""Transforms of one-channel X-rays; what mmpretrain has (PackInputs) is borrowed from there."""

from mlrfnet_mm.datasets.transforms.contrast import XrayContrast
from mlrfnet_mm.datasets.transforms.geometry import XrayGeometry, fit
from mlrfnet_mm.datasets.transforms.loading import LoadXray, read_gray
from mlrfnet_mm.datasets.transforms.other_labels import PackOtherLabels

__all__ = ['LoadXray', 'PackOtherLabels', 'XrayContrast', 'XrayGeometry', 'fit', 'read_gray']
