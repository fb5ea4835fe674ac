"""A generated chest data set in the layout of ChestX-ray14 or CheXpert, with true labels.

It is a physics toy, not a simulator, and carries no medical truth. A chest is a map of attenuation
(`anatomy`; from the side `lateral`), the findings change it (`findings`), and an image is
Beer–Lambert transmission I = exp(-attenuation), with scatter, detector blur, quantum noise and a
film-like display (`film`). It serves to try a training pipeline end to end where the real images
are not at hand.

An image depends on (seed, patient, index, size) alone: not on the number of patients or of workers.
"""

from mlrfnet_mm.datasets.phantom.chexpert.files import write_chexpert_phantom
from mlrfnet_mm.datasets.phantom.exposure import PhantomImage, render
from mlrfnet_mm.datasets.phantom.files import write_phantom
from mlrfnet_mm.datasets.phantom.folder import PhantomSummary
from mlrfnet_mm.datasets.phantom.lateral import render_lateral

__all__ = [
    'PhantomImage',
    'PhantomSummary',
    'render',
    'render_lateral',
    'write_chexpert_phantom',
    'write_phantom',
]
