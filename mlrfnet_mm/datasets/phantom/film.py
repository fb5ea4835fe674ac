"""From attenuation to gray levels: transmission, scatter, quantum noise and a film-like display."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mlrfnet_mm.datasets.phantom.anatomy import Map


class Film(NamedTuple):
    """One exposure's beam and display."""

    photons: float  # in a pixel, unattenuated
    black: float  # attenuation shown black …
    white: float  # … and white
    bend: float  # of the display's curve

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> 'Film':
        """Draws an exposure; the beam is the same whatever the number of pixels."""
        photons = rng.uniform(4000, 9000) * (128 / size) ** 2
        return cls(photons, rng.uniform(0.20, 0.32), rng.uniform(2.15, 2.45), rng.uniform(0.3, 0.6))

    def display(self, transmission: Map) -> Map:
        """Gray levels 0 … 255: bright where little comes through."""
        depth = (-np.log(np.maximum(transmission, 0.02)) - self.black) / (self.white - self.black)
        np.clip(depth, 0, 1, out=depth)
        return 255 * ((1 - self.bend) * depth + self.bend * np.sqrt(depth))

    def develop(self, transmission: Map, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The image with quantum noise: its variance is the number of photons."""
        draw = rng.standard_normal(transmission.shape, np.float32)
        noisy = transmission + np.sqrt(transmission / np.float32(self.photons)) * draw
        return np.round(self.display(noisy)).astype(np.uint8)


def scatter_field(attenuation: Map) -> Map:
    """Scatter as a share of the beam: a wide blur of what comes through."""
    size = len(attenuation)
    small = cv2.resize(np.exp(-attenuation), (32, 32), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), 3.0)
    return 0.12 * cv2.resize(blurred, (size, size), interpolation=cv2.INTER_LINEAR)


def transmit(attenuation: Map, scatter: Map) -> Map:
    """Share of the beam that reaches each pixel of a slightly blurred detector, free of noise."""
    primary = np.exp(-attenuation)
    return cv2.GaussianBlur(primary, (0, 0), 0.004 * len(primary)) * np.float32(0.9) + scatter
