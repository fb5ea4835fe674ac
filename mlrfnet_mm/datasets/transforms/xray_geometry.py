"""All geometry of an X-ray in one transform: resize, crop, flip, rotation, zoom, translation."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mlrfnet_mm.datasets.draws import GEOMETRY, generator
from mlrfnet_mm.registry import TRANSFORMS

CROPS = ('random', 'centre', 'ten')


class Placement(NamedTuple):
    """The drawn parameters of one image, in pixels of the resized image."""

    x: int  # left edge of the crop
    y: int
    flip: bool = False
    angle: float = 0.0  # degrees, clockwise
    zoom: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0


def resize(image: np.ndarray, scale: int) -> np.ndarray:
    """Resize to (scale, scale), averaging over what falls into a pixel.

    The one place where sizes change: prepared stores hold its result.
    """
    if image.shape == (scale, scale):
        return image
    return cv2.resize(image, (scale, scale), interpolation=cv2.INTER_AREA)


@TRANSFORMS.register_module()
class XrayGeometry(BaseTransform):
    """Resize, crop, flip, rotate, zoom and translate a grey image.

    ``img`` (H, W) becomes (crop_size, crop_size). It is what mmpretrain's ``Resize('area')``,
    ``RandomCrop``, ``RandomFlip`` and ``Rotate('bilinear')`` make of it in this order, within a
    rounding of one grey level, in two passes instead of four: averaging to ``scale`` (bilinear
    interpolation would skip three of four pixels of a 1024-pixel image), then one matrix for
    all the rest. Without a rotation, zoom or translation the second pass is a slice. As
    rotation comes after the crop, its corners are ``pad_val``; ``corners='image'`` fills them with
    what the image has there.

    Parameters are drawn with :func:`mlrfnet_mm.datasets.draws.generator`: the same for a seed,
    epoch and index whatever the number of workers. ``geometry`` in the result is the 2x3 matrix
    from pixel centres of the file to pixel centres of the output (all ten for ``'ten'``), for boxes
    and heat maps.

    Args:
        scale: side that the whole image is resized to, without keeping its aspect.
        crop_size: side of the output.
        crop: ``'random'``, ``'centre'``, or ``'ten'``: centre and corners and their mirror images,
            for tests with ``mlrfnet_mm.TenCropClassifier``; ``img`` is then (10, 1, side, side).
        flip: probability of a mirror image.
        rotate: largest angle in degrees, either way.
        zoom: largest relative change of size, 0.1 for 0.9 to 1.1.
        translate: largest shift as a share of ``crop_size``, in either direction.
        corners: ``'pad'`` or ``'image'``.
        pad_val: grey level outside the image.

    Raises:
        ValueError: parameters out of range, and random ones with ``'ten'``.
    """

    def __init__(
        self,
        scale: int = 256,
        crop_size: int = 224,
        crop: str = 'centre',
        flip: float = 0.0,
        rotate: float = 0.0,
        zoom: float = 0.0,
        translate: float = 0.0,
        corners: str = 'pad',
        pad_val: int = 0,
    ) -> None:
        for name, value, ok in (
            ('crop', crop, crop in CROPS),
            ('crop_size', crop_size, 0 < crop_size <= scale),
            ('flip', flip, 0 <= flip <= 1),
            ('rotate', rotate, 0 <= rotate <= 180),
            ('zoom', zoom, 0 <= zoom < 1),
            ('translate', translate, 0 <= translate <= 1),
            ('corners', corners, corners in ('pad', 'image')),
            ('pad_val', pad_val, 0 <= pad_val <= 255),
        ):
            if not ok:
                raise ValueError(
                    f'XrayGeometry: {name}={value!r} is out of range; crop one of {CROPS}, '
                    f'crop_size at most scale={scale}, flip and translate in [0, 1], rotate in '
                    "[0, 180], zoom in [0, 1), corners 'pad' or 'image', pad_val in [0, 255]"
                )
        self.warps = bool(rotate or zoom or translate)
        if crop == 'ten' and (self.warps or flip):
            raise ValueError("XrayGeometry: crop='ten' is for tests, without random changes")
        self.scale = scale
        self.crop_size = crop_size
        self.crop = crop
        self.flip = flip
        self.rotate = rotate
        self.zoom = zoom
        self.translate = translate
        self.corners = corners
        self.pad_val = pad_val

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw and apply; ``img`` stays uint8."""
        source = results['img']
        if source.ndim != 2 or source.dtype != np.uint8:
            raise ValueError(
                f'XrayGeometry takes grey images (H, W) of uint8, got {source.shape} of '
                f'{source.dtype}; load them with mlrfnet_mm.LoadXray'
            )
        image = resize(source, self.scale)
        if self.crop == 'ten':
            places = self.ten_places()
            crops = [self.apply(image, place) for place in places]
            results['img'] = np.stack(crops)[:, None]
            matrices = [self.matrix(source.shape, place) for place in places]
            results['geometry'] = np.stack(matrices)
        else:
            place = self.draw(results)
            results['img'] = self.apply(image, place)
            results['geometry'] = self.matrix(source.shape, place)
        results['img_shape'] = (self.crop_size, self.crop_size)
        return results

    def draw(self, results: dict[str, Any]) -> Placement:
        """Draw the parameters of one image."""
        room = self.scale - self.crop_size
        x = y = round(room / 2)
        if self.crop == 'centre' and not (self.flip or self.warps):
            return Placement(x, y)
        u = generator(results, GEOMETRY).random(7).tolist()
        if self.crop == 'random':
            x, y = int(u[0] * (room + 1)), int(u[1] * (room + 1))
        angle, zoom, right, down = (2 * value - 1 for value in u[3:])
        shift = self.translate * self.crop_size
        return Placement(
            x,
            y,
            u[2] < self.flip,
            self.rotate * angle,
            1 + self.zoom * zoom,
            shift * right,
            shift * down,
        )

    def ten_places(self) -> list[Placement]:
        """Centre, upper left, upper right, lower left, lower right; then their mirror images."""
        room = self.scale - self.crop_size
        middle = round(room / 2)
        corners = [(middle, middle), (0, 0), (room, 0), (0, room), (room, room)]
        return [Placement(x, y, flip) for flip in (False, True) for x, y in corners]

    def apply(self, image: np.ndarray, place: Placement) -> np.ndarray:
        """Apply to the resized image."""
        side = self.crop_size
        crop = image[place.y : place.y + side, place.x : place.x + side]
        if not self.warps:
            return np.ascontiguousarray(crop[:, ::-1] if place.flip else crop)
        matrix = self.warp_matrix(place)
        if self.corners == 'image':
            crop, matrix = image, compose(matrix, translation(-place.x, -place.y))
        return cv2.warpAffine(
            crop, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=self.pad_val
        )

    def warp_matrix(self, place: Placement) -> np.ndarray:
        """Return the 2x3 matrix from the crop to the output: flip, rotation, zoom, shift."""
        middle = (self.crop_size - 1) / 2
        matrix = cv2.getRotationMatrix2D((middle, middle), -place.angle, place.zoom)
        matrix[:, 2] += place.shift_x, place.shift_y
        if place.flip:
            matrix[:, 2] += matrix[:, 0] * (self.crop_size - 1)
            matrix[:, 0] *= -1
        return matrix

    def matrix(self, shape: tuple[int, ...], place: Placement) -> np.ndarray:
        """Return the 2x3 matrix from the file's pixel centres to the output's."""
        fy, fx = self.scale / shape[0], self.scale / shape[1]
        resizing = np.array([[fx, 0, (fx - 1) / 2 - place.x], [0, fy, (fy - 1) / 2 - place.y]])
        return compose(self.warp_matrix(place), resizing)


def translation(x: float, y: float) -> np.ndarray:
    """Return the 2x3 matrix of a shift."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the 2x3 matrix that applies ``first``, then ``second``."""
    result = second[:, :2] @ first
    result[:, 2] += second[:, 2]
    return result
