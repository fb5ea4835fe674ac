"""Heat maps of a classifier: where a finding's score comes from, in the image's own pixels."""

from .mapper import METHODS, HeatMapper
from .placement import box_in_image, shrunk, to_image

__all__ = ['METHODS', 'HeatMapper', 'box_in_image', 'shrunk', 'to_image']
