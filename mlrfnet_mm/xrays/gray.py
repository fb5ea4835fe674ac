"""One gray channel from the file of an X-ray: needs neither torch nor OpenMMLab."""

import logging
import os
import sys
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mlrfnet_mm.xrays.dicom import is_dicom, read_dicom
from mlrfnet_mm.xrays.image_header import (
    JPEG,
    MEGAPIXELS,
    PNG,
    TIFF,
    check_header,
    check_jpeg,
    decode_jpeg,
)

PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # tag and value of TIFF 6.0
ENDS = {PNG: b'IEND', JPEG: b'\xff\xd9'}
SUFFIXES = {'.png': PNG, '.jpg': JPEG, '.jpeg': JPEG}

_said: set[str] = set()
_saying = Lock()  # prediction reads by several threads


def _say(kind: str, name: str, what_is_done: str) -> None:
    """Warn of a kind of file once in a process, naming the first."""
    with _saying:
        first = kind not in _said
        _said.add(kind)
    if first:
        text = f'{name}: {kind}; {what_is_done}. Shown once per kind.'
        if 'mmengine' in sys.modules:  # to the log of the run
            from mmengine.logging import print_log

            print_log(text, logger='current', level=logging.WARNING)
        else:
            logging.getLogger('mlrfnet_mm').warning(text)


def read_gray(
    source: str | Path | bytes,
    name: str | None = None,
    backend_args: dict | None = None,
    bits: int | None = None,
    megapixels: float = MEGAPIXELS,
) -> np.ndarray:
    """Read an image file as gray, uint8 of shape ``(H, W)``: training and prediction alike.

    The content decides, not the suffix. What is not plain 8-bit gray is converted, and each kind
    is reported once per process:

    - DICOM: as a workstation shows it, see :mod:`mlrfnet_mm.xrays.dicom`; ``bits`` is
      not for it, as its header says how its values are shown;
    - color: ``0.299 R + 0.587 G + 0.114 B`` (ITU-R BT.601), which leaves equal channels as they
      are; palettes too;
    - an alpha channel is dropped, its values unread;
    - TIFF of 16 bits with white as 0 (its tag says so): inverted;
    - 16 bits: ``255 v / (2^b - 1)``, rounded, where b (8 to 16) is ``bits``, or else the number of
      bits of the image's greatest value. Detectors give 10 to 14 bits, which files of 16 bits hold
      as they are: over 65535 such an image would be nearly black. Black stays black, and a single
      bright pixel changes the scale by a factor of two at most, unlike a stretch from least to
      greatest. Where all images come from detectors of the same depth, set ``bits``: then
      no pixel of one image changes its scale.

    Args:
        source: path, URI of one of mmengine's file backends, or the file's bytes.
        name: what to call the file in warnings; the path by default.
        backend_args: see mmengine's ``fileio.get``; local paths need none.
        bits: stored bits of files of 16 bits, 8 to 16; None: those of the greatest value.
        megapixels: at most, by the header, before anything is decoded.

    Raises:
        ValueError: an empty or truncated file, damaged data (also what the JPEG decoder only warns
            of), no image, several pictures or pages, more than ``megapixels``, pixels of another
            type or above ``bits``.
        OSError: the file cannot be read.
        ImportError: a DICOM file without the extra ``dicom``.
    """
    if isinstance(source, bytes):
        data, name = source, name or f'an image of {len(source):,} bytes'
    else:
        data, name = _read(os.fspath(source), backend_args), name or os.fspath(source)
    if data and is_dicom(data, name):
        dicom = read_dicom(data, megapixels)
        for note in dicom.notes:
            _say(note, name, 'read as it is')
        return dicom.pixels
    if not data or _is_cut(data):  # some versions of OpenCV fill up a cut image with black
        raise ValueError(_fault(data))
    check_header(data, megapixels)
    if data.startswith(JPEG) and check_jpeg(data):
        img, plain = decode_jpeg(data)[..., 0], True
    else:
        # Eight bits, gray, no palette: read from the header, as decoding only this is fastest.
        plain = data.startswith(PNG) and data[24:26] == b'\x08\x00'
        img = _decode(data, plain)
    if not plain or not data.startswith(SUFFIXES.get(os.path.splitext(name)[1].lower(), b'?')):
        img = _to_gray(img, data, name, bits)
    return img


def _decode(data: bytes, plain: bool) -> np.ndarray:
    flag = cv2.IMREAD_GRAYSCALE if plain else cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    try:
        img = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        img = None
    if img is None:
        raise ValueError(_fault(data))
    return img


def _read(path: str, backend_args: dict | None) -> bytes:
    if backend_args is None and '://' not in path:
        with open(path, 'rb') as file:  # what mmengine's local backend does, without its search
            return file.read()
    from mmengine import fileio

    return fileio.get(path, backend_args=backend_args)


def _is_cut(data: bytes) -> bool:
    """Whether a PNG or JPEG lacks its end marker."""
    return any(data.startswith(magic) and data.rfind(end) < 0 for magic, end in ENDS.items())


def _fault(data: bytes) -> str:
    """Say what is wrong with a file that OpenCV did not decode."""
    if not data:
        return 'the file is empty (0 bytes); get it again'
    size = f'{len(data):,} bytes'
    for magic, kind in ((PNG, 'PNG'), (JPEG, 'JPEG')):
        if data.startswith(magic):
            if _is_cut(data):
                return f'the {kind} is truncated: no end marker in its {size}; get it again'
            return f'the {kind} of {size} has damaged data and does not decode; get it again'
    return f'not an image of a kind that is read ({size}); give PNG or JPEG'


def _to_gray(img: np.ndarray, data: bytes, name: str, bits: int | None) -> np.ndarray:
    """Convert what is not 8-bit gray; say so."""
    if data.startswith(TIFF):
        _tiff_page(data)
    suffix = os.path.splitext(name)[1].lower()
    if suffix in SUFFIXES and not data.startswith(SUFFIXES[suffix]):
        _say(f'a {suffix} file of another format', name, 'its content decides')
    if data.startswith(PNG) and data[25] in (4, 6):
        _say('a PNG with an alpha channel', name, 'alpha is dropped')
        if data[25] == 4:  # gray with alpha, which OpenCV gives as three equal channels
            img = img[..., 0] if img.ndim == 3 else img
    if img.ndim == 3:
        _say('a color image', name, 'made gray: 0.299 R + 0.587 G + 0.114 B')
        img = cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)
    if img.dtype == np.uint16:
        used = max(8, int(img.max()).bit_length())
        if bits is not None and used > bits:
            raise ValueError(
                f'the greatest value is {img.max()}, above the {2**bits - 1} of bits={bits}; '
                'set LoadXray(bits=...) to the stored bits of the files, or leave it out'
            )
        whose = 'bits of its greatest value' if bits is None else f'bits = {bits}'
        _say('an image of 16 bits', name, f'scaled by 255 / (2^bits - 1), {whose}')
        bits = used if bits is None else bits
        img = cv2.convertScaleAbs(img, alpha=255 / (2**bits - 1))
        if data.startswith(TIFF) and _tiff_page(data).get(PHOTOMETRIC) == WHITE_IS_ZERO:
            _say('a TIFF whose 0 is white', name, 'inverted')
            img = cv2.bitwise_not(img)  # OpenCV does so for 8 bits
    if img.dtype != np.uint8:
        raise ValueError(f'pixels of type {img.dtype}; give 8 or 16 bits without sign')
    return img


def _tiff_page(data: bytes) -> Any:
    """Tags of a TIFF's only page.

    Raises:
        ValueError: several pages, or a kind that Pillow does not know.
    """
    try:
        file = Image.open(BytesIO(data))
    except UnidentifiedImageError:
        raise ValueError('the TIFF is of a kind that Pillow does not know; give a PNG') from None
    with file:
        pages = getattr(file, 'n_frames', 1)
        if pages > 1:
            raise ValueError(f'the TIFF has {pages} pages; give one of them')
        return file.tag_v2  # type: ignore[attr-defined]


def check_gray(img: Any) -> None:
    """Refuse anything but a gray image.

    Raises:
        TypeError: not a uint8 array of shape ``(H, W)``.
    """
    if not (isinstance(img, np.ndarray) and img.dtype == np.uint8 and img.ndim == 2):
        found = f'{img.dtype} {img.shape}' if isinstance(img, np.ndarray) else type(img).__name__
        raise TypeError(
            f"results['img'] must be a gray uint8 array of shape (H, W), got {found}; load images "
            'with mlrfnet_mm.LoadXray'
        )
