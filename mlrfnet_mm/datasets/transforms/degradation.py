"""X-rays made worse: noise, blur, JPEG, contrast, gamma, rotation, shift, border, resolution.

Each is a formula of a few lines over OpenCV, in the spirit of Hendrycks & Dietterich,
"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019,
https://arxiv.org/abs/1903.12261. ``DEGRADATIONS`` has five strengths of each, from weak to strong.
They are ours, not that benchmark's. Lengths are relative to the image's side, so that they mean the
same for files of any size; noise, JPEG and resolution act on the pixels of the file.

What is drawn at random (noise, and the direction of a rotation or shift) depends on the image's
name alone, neither on order nor on processes: so the same noise grows with the strength.
"""

from collections.abc import Callable
from hashlib import blake2b
from math import cos, pi, sin
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mlrfnet_mm.datasets.transforms.contrast import contrast_table
from mlrfnet_mm.datasets.transforms.loading import check_gray
from mlrfnet_mm.registry import TRANSFORMS


def add_noise(img: np.ndarray, snr: float, rng: np.random.Generator) -> np.ndarray:
    r"""Add Gaussian noise of :math:`\sigma = s / 10^{\mathrm{SNR} / 20}`.

    Args:
        img: uint8 (H, W).
        snr: in dB; the signal s is the standard deviation of the image's gray levels.
        rng: draws one number per pixel.
    """
    sigma = float(img.std()) / 10 ** (snr / 20)
    noise = rng.standard_normal(img.shape, np.float32)
    return np.rint(np.clip(img + np.float32(sigma) * noise, 0, 255)).astype(np.uint8)


def blur(img: np.ndarray, percent: float) -> np.ndarray:
    """Gaussian blur; its sigma is in percent of the longer side."""
    sigma = percent / 100 * max(img.shape)
    return cv2.GaussianBlur(img, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def compress(img: np.ndarray, quality: float) -> np.ndarray:
    """Write as a gray JPEG and read again."""
    _, data = cv2.imencode('.jpg', img, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def lower_contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """Bring the gray levels nearer to their mean: see :func:`contrast_table`."""
    return cv2.LUT(img, contrast_table(cv2.mean(img)[0], factor, 1.0))


def darken(img: np.ndarray, gamma: float) -> np.ndarray:
    """``v -> 255 (v / 255)^gamma``, rounded: above 1 darker, below brighter."""
    levels = 255 * (np.arange(256) / 255) ** gamma
    return cv2.LUT(img, np.rint(levels).astype(np.uint8))


def rotate(img: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate about the center, clockwise, bilinear; black where there was nothing."""
    height, width = img.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    return cv2.warpAffine(img, matrix, (width, height))


def translate(img: np.ndarray, right: float, down: float) -> np.ndarray:
    """Shift by whole pixels; black where there was nothing.

    Args:
        img: uint8 (H, W).
        right: in percent of the width.
        down: in percent of the height.
    """
    height, width = img.shape
    dx, dy = round(right / 100 * width), round(down / 100 * height)
    return cv2.warpAffine(img, np.array([[1.0, 0, dx], [0, 1, dy]]), (width, height))


def add_border(img: np.ndarray, percent: float) -> np.ndarray:
    """Black bars around the whole image; each is in percent of the side that it lengthens."""
    rows, columns = (round(percent / 100 * side) for side in img.shape)
    return cv2.copyMakeBorder(img, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=0)


def coarsen(img: np.ndarray, factor: float) -> np.ndarray:
    """Shrink both sides by a factor, by averages, and enlarge again, bilinear."""
    height, width = img.shape
    small = max(1, round(width / factor)), max(1, round(height / factor))
    shrunk = cv2.resize(img, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)


def _rotate_either_way(img: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    return rotate(img, degrees if rng.random() < 0.5 else -degrees)


def _translate_any_way(img: np.ndarray, percent: float, rng: np.random.Generator) -> np.ndarray:
    angle = 2 * pi * rng.random()
    return translate(img, percent * cos(angle), percent * sin(angle))


class Degradation(NamedTuple):
    """A way in which images get worse.

    Attributes:
        title: in tables and figures.
        unit: how a strength is said.
        strengths: five, from weak to strong.
        limits: least and greatest strength that make sense.
        apply: of image, strength and a generator for what is drawn.
    """

    title: str
    unit: str
    strengths: tuple[float, ...]
    limits: tuple[float, float]
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]

    def say(self, strength: float) -> str:
        """A strength with its unit."""
        return self.unit.format(f'{strength:g}')


# At 1,024 pixels a blur of 0.1 % has a sigma of one pixel, and a factor of 4 leaves 256 pixels.
DEGRADATIONS = {
    'noise': Degradation('noise', 'SNR {} dB', (24, 18, 12, 6, 0), (-40, 80), add_noise),
    'blur': Degradation(
        'blur', 'sigma {} %', (0.1, 0.2, 0.4, 0.8, 1.6), (1e-3, 50), lambda i, s, _: blur(i, s)
    ),
    'jpeg': Degradation(
        'JPEG', 'quality {}', (50, 30, 20, 10, 5), (1, 100), lambda i, s, _: compress(i, s)
    ),
    'contrast': Degradation(
        'contrast', 'factor {}', (0.8, 0.6, 0.4, 0.2, 0.1), (0, 1),
        lambda i, s, _: lower_contrast(i, s),
    ),
    'gamma': Degradation(
        'gamma', 'exponent {}', (1.25, 1.6, 2, 2.5, 3), (0.1, 10), lambda i, s, _: darken(i, s)
    ),
    'rotation': Degradation('rotation', '{}°', (3, 6, 10, 15, 25), (0, 180), _rotate_either_way),
    'translation': Degradation('translation', '{} %', (3, 6, 10, 15, 20), (0, 99),
                               _translate_any_way),
    'border': Degradation(
        'border', '{} % per side', (3, 6, 10, 15, 20), (0, 200), lambda i, s, _: add_border(i, s)
    ),
    'resolution': Degradation(
        'resolution', 'factor {}', (2, 4, 6, 8, 16), (1, 1000), lambda i, s, _: coarsen(i, s)
    ),
}  # fmt: skip


def named_generator(name: str, kind: str) -> np.random.Generator:
    """A generator for an image's name and a kind of degradation, the same on every machine."""
    digest = blake2b(f'{kind}/{name}'.encode(errors='surrogateescape'), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, 'little'))


@TRANSFORMS.register_module()
class XrayDegradation(BaseTransform):
    """Make ``img`` worse in one way; stands between ``LoadXray`` and ``XrayGeometry``.

    The degraded image takes the place of the file's: ``ori_shape`` is its shape, and the later
    ``geometry`` leads from its pixels. A prepared store holds images that are smaller than the
    files: set ``prepared=False`` in the data set where noise, JPEG and resolution are to be those
    of the files, as ``mlrfnet robustness`` does.

    Args:
        kind: a key of ``DEGRADATIONS``.
        strength: in its unit.

    Raises:
        ValueError: an unknown kind, a strength out of its limits.
        TypeError: an image that is not gray uint8, when called.
    """

    def __init__(self, kind: str, strength: float) -> None:
        if kind not in DEGRADATIONS:
            raise ValueError(f'kind must be one of {", ".join(DEGRADATIONS)}, got {kind!r}')
        low, high = DEGRADATIONS[kind].limits
        if not low <= strength <= high:
            raise ValueError(f'strength of {kind} must be {low:g} to {high:g}, got {strength}')
        self.kind, self.strength = kind, strength

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Degrade, by ``image_id``, or where there is none by the file name of ``img_path``."""
        check_gray(results['img'])
        # CheXpert's files are all called view1_frontal.jpg
        name = str(results.get('image_id', Path(results['img_path']).name))
        rng = named_generator(name, self.kind)
        img = DEGRADATIONS[self.kind].apply(results['img'], self.strength, rng)
        results['img'] = img
        results['ori_shape'] = results['img_shape'] = img.shape
        return results

    def __repr__(self) -> str:
        return f'XrayDegradation(kind={self.kind!r}, strength={self.strength})'
