"""A chest X-ray from a DICOM file as 8-bit gray (pip install 'mlrfnet-mm[dicom]').

Gray levels as a workstation shows them: modality LUT or rescale, then the file's first VOI LUT or
window, then MONOCHROME1 inverted, so that bone is bright (DICOM PS3.3, C.11 and C.7.6.3.1.2).
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mlrfnet_mm.xrays.image_header import MEGAPIXELS, check_header, check_size

if TYPE_CHECKING:
    from pydicom import Dataset

PROJECTION = ('CR', 'DX', 'RG')  # modalities that a chest radiograph has
FRONTAL = ('PA', 'AP')
GRAY = ('MONOCHROME1', 'MONOCHROME2')
DEFLATED = '1.2.840.10008.1.2.1.99'
MOST_INFLATED = int(2 * MEGAPIXELS * 1e6 + 64e6)  # bytes: 16 bits per pixel, and a header
# Of JPEG (T.81, Table B.1; not C4, C8 and CC) and JPEG-LS (T.87)
FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
SPACINGS = (0.01, 10.0)  # mm; beyond them a tag is wrong
SUFFIXES = ('.dcm', '.dicom')
NO_DICOM = (
    'not a DICOM file, whatever its name says: no DICOM preamble, and no data set at its start'
)


@dataclass(frozen=True)
class DicomXray:
    """What is read of a file.

    Attributes:
        pixels: uint8 (H, W), bone bright.
        spacing: millimeters between pixel centers down and across, or None. At the patient
            (Pixel Spacing) where the file says so, else at the detector (Imager Pixel Spacing).
        study: Study Instance UID, ``''`` if there is none.
        notes: what a reader should know, as that a window is missing.
        patient: ``name`` and ``id``; for those who ask for them only.
    """

    pixels: np.ndarray
    spacing: tuple[float, float] | None
    study: str
    notes: tuple[str, ...]
    patient: dict[str, str]


def is_dicom(data: bytes, name: str = '') -> bool:
    """Whether a file is to be read as DICOM: it has the preamble, or its name says so.

    Args:
        data: its first 132 bytes, or more.
        name: of the file. Old files have no preamble and are known by ``SUFFIXES`` only.
    """
    return data[128:132] == b'DICM' or name.lower().endswith(SUFFIXES)


def read_dicom(source: str | Path | bytes, megapixels: float = MEGAPIXELS) -> DicomXray:
    """Read a single-frame image.

    Args:
        source: path, or the file's bytes.
        megapixels: at most, by its header and that of a compressed frame.

    Raises:
        ImportError: ``pydicom`` is not installed, or nothing that decodes the file's compression.
        ValueError: not DICOM, no image in it, several frames, or pixels that do not decode.
    """
    ds = _parse(source if isinstance(source, bytes) else Path(source).read_bytes())
    try:
        return _read(ds, megapixels)
    except (ValueError, ImportError):
        raise
    except Exception as error:  # a value of another kind than its tag asks for
        raise damaged('a value in the header is not as it should be', error) from error


def read_header(data: bytes) -> 'Dataset':
    """What a file says of itself, without its pixels; an object that is not an image has one, too.

    Raises:
        ImportError: ``pydicom`` is not installed.
        ValueError: not DICOM, or a header that does not parse.
    """
    return _parse(data, stop_before_pixels=True)


def _parse(data: bytes, stop_before_pixels: bool = False) -> 'Dataset':
    try:
        import pydicom
    except ImportError as error:
        raise ImportError(f"DICOM needs pip install 'mlrfnet-mm[dicom]': {error}") from error
    has_preamble = is_dicom(data)
    if has_preamble:
        _check_inflated(data)
    try:
        ds = pydicom.dcmread(BytesIO(data), stop_before_pixels=stop_before_pixels, force=True)
        if not has_preamble:
            _set_transfer_syntax(ds)
    except Exception as error:
        if not has_preamble:
            raise ValueError(NO_DICOM) from None
        raise damaged('the header does not parse', error) from error
    if 'SOPClassUID' not in ds and not has_preamble:
        raise ValueError(NO_DICOM)
    return ds


def _check_inflated(data: bytes) -> None:
    """Refuse a deflated file that grows beyond an image of the greatest size.

    A file of 3 MB may hold gigabytes of zeros, which pydicom inflates before it reads a tag.
    """
    from pydicom.filereader import _read_file_meta_info, read_preamble

    stream = BytesIO(data)
    try:
        read_preamble(stream, False)
        syntax = _read_file_meta_info(stream).get('TransferSyntaxUID')  # leaves off behind group 2
    except Exception as error:
        raise damaged('the header does not parse', error) from error
    if syntax != DEFLATED:
        return
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflate.decompress(data[stream.tell() :], MOST_INFLATED)
    except zlib.error as error:
        raise damaged('the deflated data set does not inflate', error) from error
    if inflate.unconsumed_tail:
        raise ValueError(
            f'the file inflates to more than {MOST_INFLATED / 1e6:.0f} MB: not read; get it again'
        )


def _set_transfer_syntax(ds: 'Dataset') -> None:
    """What pydicom found out, for a file that does not say how it is encoded."""
    from pydicom import uid

    implicit, little = ds.original_encoding
    explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
    if 'TransferSyntaxUID' not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def damaged(what: str, error: BaseException) -> ValueError:
    """A file's fault in one line: pydicom and its decoders raise of many types."""
    return ValueError(f'{what}: {type(error).__name__}: {error}; get the file again')


def _read(ds: 'Dataset', megapixels: float) -> DicomXray:
    _check_image(ds, megapixels)
    notes: list[str] = []
    if ds.get('Modality', '') not in PROJECTION:
        notes.append(f'modality {ds.get("Modality") or "not given"}, not {" or ".join(PROJECTION)}')
    view = str(ds.get('ViewPosition') or '')
    if view and view not in FRONTAL:
        notes.append(f'view position {view}, not {" or ".join(FRONTAL)}')
    return DicomXray(
        pixels=_gray(ds, _decode(ds, megapixels), notes),
        spacing=_spacing(ds, notes),
        study=str(ds.get('StudyInstanceUID') or ''),
        notes=tuple(notes),
        patient=dict(name=str(ds.get('PatientName') or ''), id=str(ds.get('PatientID') or '')),
    )


def _check_image(ds: 'Dataset', megapixels: float) -> None:
    kind = getattr(ds.get('SOPClassUID'), 'name', None) or 'DICOM object without a SOP class'
    if 'PixelData' not in ds:
        raise ValueError(f'{kind}: no pixel data, so no image; leave the file out')
    frames = int(ds.get('NumberOfFrames') or 1)
    if frames != 1:
        raise ValueError(f'{kind}: {frames} frames; a chest X-ray has one, so take a single one')
    check_size(int(ds.get('Columns') or 0), int(ds.get('Rows') or 0), megapixels)
    photometric = ds.get('PhotometricInterpretation', 'none')
    color = ds.get('SamplesPerPixel', 1) == 3 and ds.get('BitsAllocated') == 8
    if photometric not in GRAY and not color:
        raise ValueError(
            f'{kind}: photometric interpretation {photometric} of {ds.get("BitsAllocated")} bits '
            f'is not read; give {" or ".join(GRAY)}, or 8-bit RGB'
        )


def _decode(ds: 'Dataset', megapixels: float) -> np.ndarray:
    from pydicom.pixels import get_decoder, pixel_array

    uid = ds.file_meta.get('TransferSyntaxUID')
    syntax = getattr(uid, 'name', 'unknown transfer syntax')
    if uid is not None and uid.is_compressed and uid.is_encapsulated:
        _check_frame(ds, syntax, megapixels)
    try:
        if uid is not None and not get_decoder(uid).is_available:
            raise ImportError(f"{syntax} needs a decoder: pip install 'mlrfnet-mm[dicom]'")
        return pixel_array(ds)
    except (KeyboardInterrupt, SystemExit, ImportError):
        raise
    except BaseException as error:  # a panic of a decoder in Rust is not an Exception
        raise damaged(f'{syntax}: the pixels do not decode', error) from error


def _check_frame(ds: 'Dataset', syntax: str, megapixels: float) -> None:
    """Refuse a JPEG or JPEG 2000 frame that claims a size of its own, as a decoder believes it."""
    from pydicom.encaps import get_frame

    try:
        frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    except Exception as error:
        raise damaged(f'{syntax}: the pixels do not decode', error) from error
    if frame.startswith((b'\xff\x4f\xff', b'\0\0\0\x0cjP  ')):  # JPEG 2000
        check_header(frame, megapixels)
    place = 2
    while frame.startswith(b'\xff\xd8') and frame[place : place + 1] == b'\xff':
        if frame[place + 1] in FRAME_HEADERS:
            height, width = struct.unpack('>HH', frame[place + 5 : place + 9])
            check_size(width, height, megapixels)
            break
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], 'big')


def _gray(ds: 'Dataset', raw: np.ndarray, notes: list[str]) -> np.ndarray:
    """Apply the file's gray scale transforms; uint8 (H, W)."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    if raw.ndim == 3:
        notes.append('color, made gray: 0.299 R + 0.587 G + 0.114 B')
        return cv2.cvtColor(raw, cv2.COLOR_RGB2GRAY)
    values = apply_modality_lut(raw, ds)
    if (width := _empty_window(ds)) is not None:
        notes.append(f'the window has a width of {width:g} and is ignored')
        del ds.WindowWidth
    shown = apply_voi_lut(values, ds).astype(np.float64)
    padded = _padding(ds, raw)
    low, high = _range(ds, shown, padded, notes)
    # high < low where the rescale slope is negative: pydicom's window then runs downwards
    scaled = np.clip((shown - low) / (high - low if high != low else 1), 0, 1)
    if ds.PhotometricInterpretation == 'MONOCHROME1':
        scaled = 1 - scaled
    pixels = np.rint(255 * scaled).astype(np.uint8)
    pixels[padded] = 0  # no part of the image: black, whatever window and inversion make of it
    return pixels


def _empty_window(ds: 'Dataset') -> float | None:
    """Width of the file's first window if it is none: PS3.3, C.11.2.1.2 and .3, asks for more."""
    widths = ds.get('WindowWidth')
    first = widths[0] if isinstance(widths, Sequence) and len(widths) else widths
    if first is None or isinstance(first, Sequence):
        return None
    linear = ds.get('VOILUTFunction', 'LINEAR') == 'LINEAR'
    return float(first) if (float(first) < 1 and linear) or float(first) <= 0 else None


def _padding(ds: 'Dataset', raw: np.ndarray) -> np.ndarray:
    """Which pixels are padding: those of the value, or of the range, in the file."""
    padding = ds.get('PixelPaddingValue')
    if padding is None:
        return np.zeros(raw.shape, bool)
    limit = ds.get('PixelPaddingRangeLimit')
    low, high = sorted([padding, padding if limit is None else limit])
    return (raw >= low) & (raw <= high)


def _range(
    ds: 'Dataset', shown: np.ndarray, padded: np.ndarray, notes: list[str]
) -> tuple[float, float]:
    """The least and greatest value that the transforms can give; of the image if there are none."""
    from pydicom.pixels import apply_windowing

    if ds.get('VOILUTSequence') and ds.VOILUTSequence[0].get('LUTData') is not None:
        return 0.0, float(2 ** int(ds.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    if ds.get('WindowCenter') is not None and ds.get('WindowWidth') is not None:
        with np.errstate(over='ignore'):  # a sigmoid's lower end
            low, high = apply_windowing(np.array([-1e12, 1e12]), ds)
        return float(low), float(high)
    notes.append('no window in the file: gray levels stretched from the least to the greatest')
    kept = shown[~padded]
    kept = kept if kept.size else shown
    return float(kept.min()), float(kept.max())


def _spacing(ds: 'Dataset', notes: list[str]) -> tuple[float, float] | None:
    for key, where in (('PixelSpacing', ''), ('ImagerPixelSpacing', 'at the detector')):
        values: Any = ds.get(key)
        if isinstance(values, Sequence) and len(values) == 2 and min(map(float, values)) > 0:
            if min(values) < SPACINGS[0] or max(values) > SPACINGS[1]:
                notes.append(f'{key} of {values[0]:g} × {values[1]:g} mm is wrong: left out')
                continue
            if where:
                notes.append(f'millimeters are those {where}: the patient is smaller')
            return float(values[0]), float(values[1])
    return None
