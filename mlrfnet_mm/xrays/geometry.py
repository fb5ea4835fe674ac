"""Geometry of a gray image on arrays: resize, crop and one affine map."""

from math import cos, radians, sin
from typing import NamedTuple

import cv2
import numpy as np


def fit(img: np.ndarray, scale: int) -> np.ndarray:
    """Resize ``(H, W)`` to ``(scale, scale)``; returns the image itself if it has that size.

    A side that shrinks is averaged over areas, so that nothing aliases; one that grows is
    interpolated. A prepared store of size ``scale`` holds just this.
    """
    height, width = img.shape
    small = min(width, scale), min(height, scale)
    if small != (width, height):
        img = cv2.resize(img, small, interpolation=cv2.INTER_AREA)
    if small != (scale, scale):
        img = cv2.resize(img, (scale, scale), interpolation=cv2.INTER_LINEAR)
    return img


class Placement(NamedTuple):
    """Where a crop lies in the resized image and what is done to it, in this order.

    ``left`` and ``top`` in pixels; ``flip`` left to right; then about the crop's center ``angle``
    in degrees, clockwise, and ``zoom``; last ``dx`` and ``dy``, pixels to the right and down.
    """

    left: int
    top: int
    flip: bool = False
    angle: float = 0.0
    zoom: float = 1.0
    dx: float = 0.0
    dy: float = 0.0

    def resamples(self) -> bool:
        """Whether it is more than a slice and a mirror image."""
        return self[3:] != (0.0, 1.0, 0.0, 0.0)

    def matrix(self, size: int) -> np.ndarray:
        """From the resized image to the crop of ``size``: affine, ``(2, 3)``, pixel centers.

        ``(x', y') = m + zoom · R(angle) · F · ((x, y) - (left, top) - m) + (dx, dy)`` with
        m = (size - 1) / 2 and F = diag(-1, 1) for a flip.
        """
        middle = (size - 1) / 2
        a, b = self.zoom * cos(radians(self.angle)), self.zoom * sin(radians(self.angle))
        sign = -1.0 if self.flip else 1.0
        x, y = self.left + middle, self.top + middle
        return np.array(
            [
                [a * sign, -b, middle + self.dx - a * sign * x + b * y],
                [b * sign, a, middle + self.dy - b * sign * x - a * y],
            ]
        )


def place(img: np.ndarray, size: int, placement: Placement, pad_val: int = 0) -> np.ndarray:
    """Return the crop ``(size, size)`` of a resized image, a copy; at most one interpolation.

    Args:
        img: uint8 ``(S, S)``.
        size: of the crop.
        placement: which crop and what is done to it.
        pad_val: gray level where there is no pixel of the crop to take, as a chain of crop and
            rotation has it.
    """
    left, top = placement.left, placement.top
    crop = img[top : top + size, left : left + size]
    if not placement.resamples():
        return cv2.flip(crop, 1) if placement.flip else crop.copy()
    # In float32, as OpenCV 5 takes a fifth less time than for uint8, with the same pixels.
    matrix = placement._replace(left=0, top=0).matrix(size)
    warped = cv2.warpAffine(crop.astype(np.float32), matrix, (size, size), borderValue=pad_val)
    return cv2.convertScaleAbs(warped)  # rounds


def from_source(matrix: np.ndarray, source: tuple[int, int], scale: int) -> np.ndarray:
    """Extend a matrix from the image of ``(scale, scale)`` to the one that was resized to it.

    Args:
        matrix: ``(2, 3)``, from pixels of the resized image.
        source: shape of the image before it was resized.
        scale: side of the resized image.
    """
    height, width = source
    ratio = np.array([scale / width, scale / height])
    # x -> (x + 1/2) ratio - 1/2
    shift = matrix[:, 2] + matrix[:, :2] @ (ratio / 2 - 0.5)
    return np.column_stack([matrix[:, :2] * ratio, shift])


def center_crop(scale: int, crop_size: int) -> Placement:
    """The crop in the middle."""
    room = scale - crop_size
    return Placement(round(room / 2), round(room / 2))
