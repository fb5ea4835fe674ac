"""Transforms that mmpretrain lacks: X-rays as one grey channel from file to device."""

from mlrfnet_mm.datasets.transforms.load_xray import LoadXray, decode_grey, read_grey
from mlrfnet_mm.datasets.transforms.xray_contrast import XrayContrast
from mlrfnet_mm.datasets.transforms.xray_geometry import XrayGeometry, resize

__all__ = ['LoadXray', 'XrayContrast', 'XrayGeometry', 'decode_grey', 'read_grey', 'resize']
