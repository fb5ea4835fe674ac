"""Heat maps of a classifier: where a finding's score comes from, in the image's own pixels."""

from mlrfnet_mm.inference.heatmaps.mapper import METHODS, HeatMapper, default_method
from mlrfnet_mm.inference.heatmaps.placement import shrunk, to_image

__all__ = ['METHODS', 'HeatMapper', 'default_method', 'shrunk', 'to_image']
