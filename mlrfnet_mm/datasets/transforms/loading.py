"""Reading an X-ray as one gray channel."""

from typing import Any

from mmcv.transforms import BaseTransform

from mlrfnet_mm.registry import TRANSFORMS
from mlrfnet_mm.xrays.gray import check_gray, read_gray


@TRANSFORMS.register_module()
class LoadXray(BaseTransform):
    """Put a gray image into the results: ``img``, uint8 ``(H, W)``, and its ``ori_shape``.

    An ``img`` that is there already, from a prepared store, is left alone. Else ``img_path`` is
    read by :func:`read_gray`, DICOM too.

    Args:
        backend_args: see mmengine's ``fileio.get``; local paths need none.
        bits: see :func:`read_gray`; prediction and heat maps read as the config's test loader does.

    Raises:
        ValueError: ``bits`` outside 8 to 16.
    """

    def __init__(self, backend_args: dict | None = None, bits: int | None = None) -> None:
        if bits is not None and not (isinstance(bits, int) and 8 <= bits <= 16):
            raise ValueError(f'bits must be from 8 to 16, or None, got {bits!r}')
        self.backend_args, self.bits = backend_args, bits

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read, unless there is an image."""
        if 'img' not in results:
            results['img'] = read_gray(results['img_path'], None, self.backend_args, self.bits)
        img = results['img']
        check_gray(img)
        results.setdefault('ori_shape', img.shape)
        results['img_shape'] = img.shape
        return results

    def __repr__(self) -> str:
        return f'LoadXray(backend_args={self.backend_args}, bits={self.bits})'
