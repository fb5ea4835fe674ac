"""Transforms of one-channel X-rays; what mmpretrain has (PackInputs) is borrowed from there."""

from mlrfnet_mm.datasets.transforms.contrast import XrayContrast
from mlrfnet_mm.datasets.transforms.degradation import XrayDegradation
from mlrfnet_mm.datasets.transforms.geometry import XrayGeometry
from mlrfnet_mm.datasets.transforms.loading import LoadXray
from mlrfnet_mm.datasets.transforms.other_labels import PackOtherLabels
from mlrfnet_mm.datasets.transforms.seeded_compose import SeededCompose

__all__ = [
    'LoadXray',
    'PackOtherLabels',
    'SeededCompose',
    'XrayContrast',
    'XrayDegradation',
    'XrayGeometry',
]
