"""A generated chest data set in ChestX-ray14's own layout: 14 findings with true labels and boxes.

It is a physics toy, not a simulator, and carries no medical truth. A chest is a map of attenuation
(`anatomy`), the findings change it (`findings`), and an image is Beer–Lambert
transmission I = exp(-attenuation), with scatter, detector blur, quantum noise and a film-like
display. It serves to try a training pipeline end to end where the real images are not at hand.

An image depends on (seed, patient, index, size) alone: not on the number of patients or of workers.
"""

from mlrfnet_mm.datasets.phantom.exposure import PhantomImage, render
from mlrfnet_mm.datasets.phantom.files import PhantomSummary, write_phantom

__all__ = ['PhantomImage', 'PhantomSummary', 'render', 'write_phantom']
