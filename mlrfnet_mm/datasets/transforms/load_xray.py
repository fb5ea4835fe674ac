"""Reading an X-ray as one grey channel."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import get
from mmengine.logging import print_log

from mlrfnet_mm.registry import TRANSFORMS

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
JPEG_SIGNATURE = b'\xff\xd8\xff'


class Grey(NamedTuple):
    """A decoded image and what had to be done to it."""

    image: np.ndarray  # (H, W) uint8
    notes: tuple[str, ...]  # empty for an 8-bit grey file under its own name


def decode_grey(content: bytes, suffix: str = '') -> Grey:
    """Decode an image file's bytes to 8-bit grey.

    Equal colour channels pass through exactly, other colours by their luma (ITU-R BT.601); alpha is
    dropped. 16-bit values are scaled by their true range: the least power of two above the image's
    maximum (a 12-bit image in a 16-bit file is divided by 4095/255, not by 65535/255).

    Args:
        content: the whole file.
        suffix: of the file's name; a PNG suffix on another format is noted.

    Raises:
        ValueError: an empty, truncated or damaged file, or none of an image.
    """
    if not content:
        raise ValueError('the file is empty (0 bytes)')
    kind = 'PNG' if content.startswith(PNG_SIGNATURE) else 'JPEG'
    if kind == 'PNG' and b'IEND' not in content[-64:]:
        raise ValueError(f'the PNG ends before its last chunk: truncated at {len(content):,} bytes')
    if content.startswith(JPEG_SIGNATURE) and b'\xff\xd9' not in content[-64:]:
        raise ValueError(f'the JPEG has no end marker: truncated at {len(content):,} bytes')
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(
            f'no image that OpenCV can decode, or a damaged one; {len(content):,} bytes that begin '
            f'with {content[:8]!r}'
        )
    notes = []
    if suffix.lower() == '.png' and kind != 'PNG':
        notes.append('is no PNG in spite of its name')
    if image.ndim == 3:
        notes.append('has an alpha channel' if image.shape[2] == 4 else 'is in colour')
        image = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY)
    if image.dtype == np.uint16:
        bits = max(8, int(image.max()).bit_length())
        notes.append(f'has 16 bits, of which {bits} are used')
        image = cv2.convertScaleAbs(image, alpha=255 / (2**bits - 1))
    if image.dtype != np.uint8:
        raise ValueError(f'pixels of type {image.dtype}; 8 or 16 bits are read')
    return Grey(image, tuple(notes))


def read_grey(path: str | Path) -> Grey:
    """Read a file, local or on any of mmengine's backends, with :func:`decode_grey`."""
    path = str(path)
    if '://' in path:
        content = get(path)
    else:
        with open(path, 'rb') as file:
            content = file.read()
    return decode_grey(content, os.path.splitext(path)[1])


@TRANSFORMS.register_module()
class LoadXray(BaseTransform):
    """Load one grey channel: ``img`` becomes (H, W) uint8.

    An ``img`` that the data set took from a prepared store stays as it is. What
    :func:`decode_grey` has to convert is logged once a kind and process, with the first file's
    name. Half the time of a colour decode, and a third of the bytes after it.
    """

    def __init__(self) -> None:
        self._said: set[str] = set()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read ``img_path`` into ``img``; sets ``ori_shape`` and ``img_shape``."""
        if 'img' not in results:
            grey = read_grey(results['img_path'])
            results['img'] = grey.image
            for note in grey.notes:
                if note not in self._said:
                    self._said.add(note)
                    print_log(
                        f'{results["img_path"]} {note}: converted to 8-bit grey, as all others '
                        'of this kind',
                        logger='current',
                    )
        results['ori_shape'] = results['img_shape'] = results['img'].shape
        return results
