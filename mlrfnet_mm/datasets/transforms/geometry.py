"""All geometry of a chest X-ray in one transform: resize, crop, flip, rotate, zoom, translate."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mlrfnet_mm.datasets.transforms.draws import GEOMETRY, uniforms
from mlrfnet_mm.registry import TRANSFORMS
from mlrfnet_mm.xrays.geometry import Placement, center_crop, fit, from_source, place
from mlrfnet_mm.xrays.gray import check_gray

CROPS = ('random', 'center', 'two', 'ten')


@TRANSFORMS.register_module()
class XrayGeometry(BaseTransform):
    """Resize, crop, flip, rotate, zoom and translate a gray image, with one interpolation.

    First the image is resized to ``(scale, scale)``, by averages where it shrinks: see `fit`. All
    the rest is one affine map, applied once; a crop and flip alone are exact. It equals
    mmpretrain's ``Resize`` (area), ``RandomCrop``, ``RandomFlip`` and ``Rotate`` (bilinear, about
    the crop's center) with the same parameters, to the rounding of the interpolation.

    The parameters are drawn for (seed, epoch, index), each from a number of its own: so switching
    one on leaves the others as they are. Reads ``img``; sets ``img`` (uint8), ``img_shape``,
    ``ori_shape`` if it is not there, ``flip``, ``flip_direction`` and ``geometry``: the matrix,
    float64 ``(2, 3)``, that takes ``(x, y, 1)`` in the image of ``ori_shape`` to the output, with
    whole numbers at the centers of pixels.

    Args:
        scale: side in pixels to which images are resized.
        crop_size: side of the crop, at most ``scale``.
        crop: ``'random'``; ``'center'``; or, for :class:`mlrfnet_mm.TenCropClassifier`, several
            as ``img`` of shape ``(V, 1, H, W)`` and ``geometry`` of shape ``(V, 2, 3)``:
            ``'ten'``, the corners and the center, then the same of the mirror image; ``'two'``,
            the center and that of the mirror image.
        flip: probability of a mirror image.
        rotate: greatest angle in degrees; uniform in both directions.
        zoom: greatest relative change of size; 0.1 is uniform in 0.9 to 1.1.
        translate: greatest shift in both directions, as a fraction of ``crop_size``.
        pad_val: gray level of corners without image.

    Raises:
        ValueError: an argument out of its range, or a random one with several crops.
        TypeError: an image that is not gray uint8, when called.
    """

    def __init__(
        self,
        scale: int = 256,
        crop_size: int = 224,
        crop: str = 'center',
        flip: float = 0.0,
        rotate: float = 0.0,
        zoom: float = 0.0,
        translate: float = 0.0,
        pad_val: int = 0,
    ) -> None:
        if crop not in CROPS:
            raise ValueError(f'crop must be one of {", ".join(CROPS)}, got {crop!r}')
        if not 0 < crop_size <= scale:
            raise ValueError(f'crop_size must be 1 to scale={scale}, got {crop_size}')
        limits = dict(flip=1, rotate=180, zoom=0.99, translate=1, pad_val=255)
        given = dict(flip=flip, rotate=rotate, zoom=zoom, translate=translate, pad_val=pad_val)
        for key, value in given.items():
            if not 0 <= value <= limits[key]:
                raise ValueError(f'{key} must be 0 to {limits[key]}, got {value}')
        self.random = crop == 'random' or any((flip, rotate, zoom, translate))
        if crop in ('two', 'ten') and self.random:
            raise ValueError(
                f'crop={crop!r} takes nothing random: leave out flip={flip}, rotate={rotate}, '
                f'zoom={zoom}, translate={translate}'
            )
        self.scale, self.crop_size, self.crop = scale, crop_size, crop
        self.flip, self.rotate, self.zoom, self.translate = flip, rotate, zoom, translate
        self.pad_val = pad_val

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize and crop one image, or cut several crops."""
        img = results['img']
        check_gray(img)
        source = results.setdefault('ori_shape', img.shape)
        img = fit(img, self.scale)
        if self.crop in ('two', 'ten'):
            placements = self.views()
            crops = [place(img, self.crop_size, placement) for placement in placements]
            results['img'] = np.stack(crops)[:, None]  # (V, 1, H, W)
            results['geometry'] = np.stack([self.matrix(p, source) for p in placements])
        else:
            placement = self.draw(results)
            results['img'] = place(img, self.crop_size, placement, self.pad_val)
            results['geometry'] = self.matrix(placement, source)
            results['flip'] = placement.flip
            results['flip_direction'] = 'horizontal' if placement.flip else None
        results['img_shape'] = (self.crop_size, self.crop_size)
        return results

    def draw(self, results: dict[str, Any]) -> Placement:
        """Draw the parameters for an item."""
        room = self.scale - self.crop_size
        if not self.random:
            return center_crop(self.scale, self.crop_size)
        u = uniforms(results, GEOMETRY, 7)
        at_random = self.crop == 'random'
        shift = self.translate * self.crop_size
        return Placement(
            left=int(u[0] * (room + 1)) if at_random else round(room / 2),
            top=int(u[1] * (room + 1)) if at_random else round(room / 2),
            flip=u[2] < self.flip,
            angle=self.rotate * (2 * u[3] - 1),
            zoom=1 + self.zoom * (2 * u[4] - 1),
            dx=shift * (2 * u[5] - 1),
            dy=shift * (2 * u[6] - 1),
        )

    def views(self) -> list[Placement]:
        """Corners (of ten) and center, then of the mirror image (torchvision's order)."""
        room = self.scale - self.crop_size
        corners = [(0, 0), (room, 0), (0, room), (room, room)] if self.crop == 'ten' else []
        places = [*corners, (round(room / 2), round(room / 2))]
        # At x of the mirror image lies what is at room - x of the image.
        return [Placement(x, y) for x, y in places] + [
            Placement(room - x, y, flip=True) for x, y in places
        ]

    def matrix(self, placement: Placement, source: tuple[int, int]) -> np.ndarray:
        """From the image of shape ``source`` to the output, ``(2, 3)``."""
        matrix = placement.matrix(self.crop_size)
        if source[:2] == (self.scale, self.scale):
            return matrix
        return from_source(matrix, source[:2], self.scale)

    def __repr__(self) -> str:
        keys = ('scale', 'crop_size', 'crop', 'flip', 'rotate', 'zoom', 'translate', 'pad_val')
        text = ', '.join(f'{key}={getattr(self, key)!r}' for key in keys)
        return f'XrayGeometry({text})'
