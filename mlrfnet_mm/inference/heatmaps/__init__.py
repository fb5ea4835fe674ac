"""Heat maps of a classifier: where a finding's score comes from, in the image's own pixels."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
from mlrfnet_mm.inference.heatmaps.mapper import METHODS, HeatMapper, default_method

__all__ = ['METHODS', 'HeatMapper', 'default_method']
