"""A chest X-ray from a DICOM file as 8-bit grey (pip install 'mlrfnet-mm[dicom]').

Grey levels as a workstation shows them: modality LUT or rescale, then the file's first VOI LUT or
window, then MONOCHROME1 inverted, so that bone is bright (DICOM PS3.3, C.11 and C.7.6.3.1.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

PROJECTION = ('CR', 'DX', 'RG')  # modalities that a chest radiograph has
FRONTAL = ('PA', 'AP')
GREY = ('MONOCHROME1', 'MONOCHROME2')


@dataclass(frozen=True)
class DicomXray:
    """What is read of a file.

    Attributes:
        pixels: uint8 (H, W), bone bright.
        spacing: millimetres between pixel centres down and across, or None. At the patient
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


def is_dicom(data: bytes) -> bool:
    """Whether a file's first 132 bytes have DICOM's preamble."""
    return data[128:132] == b'DICM'


def read_dicom(path: str | Path) -> DicomXray:
    """Read a single-frame image.

    Raises:
        ImportError: ``pydicom`` is not installed, or nothing that decodes the file's compression.
        ValueError: no DICOM, no image in it, several frames, or pixels that do not decode.
    """
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise ImportError(f"DICOM needs pip install 'mlrfnet-mm[dicom]': {error}") from error
    try:
        ds = pydicom.dcmread(path)
    except InvalidDicomError:
        raise ValueError('no DICOM file, whatever its name says: it has no DICM preamble') from None
    except OSError:
        raise
    except Exception as error:
        raise damaged('the header does not parse', error) from error
    try:
        return _read(ds)
    except (ValueError, ImportError):
        raise
    except Exception as error:  # a value of another kind than its tag asks for
        raise damaged('a value in the header is not as it should be', error) from error


def damaged(what: str, error: BaseException) -> ValueError:
    """A file's fault in one line: pydicom and its decoders raise of many types."""
    return ValueError(f'{what}: {type(error).__name__}: {error}; get the file again')


def _read(ds: 'Dataset') -> DicomXray:
    _check_image(ds)
    notes: list[str] = []
    if ds.get('Modality', '') not in PROJECTION:
        notes.append(f'modality {ds.get("Modality") or "not given"}, not {" or ".join(PROJECTION)}')
    view = str(ds.get('ViewPosition') or '')
    if view and view not in FRONTAL:
        notes.append(f'view position {view}, not {" or ".join(FRONTAL)}')
    return DicomXray(
        pixels=_grey(ds, _decode(ds), notes),
        spacing=_spacing(ds, notes),
        study=str(ds.get('StudyInstanceUID') or ''),
        notes=tuple(notes),
        patient=dict(name=str(ds.get('PatientName') or ''), id=str(ds.get('PatientID') or '')),
    )


def _check_image(ds: 'Dataset') -> None:
    kind = getattr(ds.get('SOPClassUID'), 'name', None) or 'DICOM object without a SOP class'
    if 'PixelData' not in ds:
        raise ValueError(f'{kind}: no pixel data, so no image; leave the file out')
    frames = int(ds.get('NumberOfFrames') or 1)
    if frames != 1:
        raise ValueError(f'{kind}: {frames} frames; a chest X-ray has one, so take a single one')
    photometric = ds.get('PhotometricInterpretation', 'none')
    colour = ds.get('SamplesPerPixel', 1) == 3 and ds.get('BitsAllocated') == 8
    if photometric not in GREY and not colour:
        raise ValueError(
            f'{kind}: photometric interpretation {photometric} of {ds.get("BitsAllocated")} bits '
            f'is not read; give {" or ".join(GREY)}, or 8-bit RGB'
        )


def _decode(ds: 'Dataset') -> np.ndarray:
    from pydicom.pixels import pixel_array

    syntax = getattr(ds.file_meta.get('TransferSyntaxUID'), 'name', 'unknown transfer syntax')
    try:
        return pixel_array(ds)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of a decoder in Rust is no Exception
        if 'missing dependencies' in str(error) or 'plugin' in str(error):
            raise ImportError(
                f"{syntax} needs a decoder, pip install 'mlrfnet-mm[dicom]': {error}"
            ) from error
        raise damaged(f'{syntax}: the pixels do not decode', error) from error


def _grey(ds: 'Dataset', raw: np.ndarray, notes: list[str]) -> np.ndarray:
    """Apply the file's grey scale transforms; uint8 (H, W)."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    if raw.ndim == 3:
        notes.append('colour, made grey: 0.299 R + 0.587 G + 0.114 B')
        return cv2.cvtColor(raw, cv2.COLOR_RGB2GRAY)
    values = apply_modality_lut(raw, ds)
    shown = apply_voi_lut(values, ds).astype(np.float64)
    low, high = _range(ds, shown, raw, notes)
    # high < low where the rescale slope is negative: pydicom's window then runs downwards
    scaled = np.clip((shown - low) / (high - low if high != low else 1), 0, 1)
    if ds.PhotometricInterpretation == 'MONOCHROME1':
        scaled = 1 - scaled
    pixels = np.rint(255 * scaled).astype(np.uint8)
    if pixels.min() == pixels.max():
        notes.append('one grey level throughout: the window may be wrong, the scores mean nothing')
    return pixels


def _range(
    ds: 'Dataset', shown: np.ndarray, raw: np.ndarray, notes: list[str]
) -> tuple[float, float]:
    """The least and greatest value that the transforms can give; of the image if there are none."""
    from pydicom.pixels import apply_windowing

    if ds.get('VOILUTSequence') and ds.VOILUTSequence[0].get('LUTData') is not None:
        return 0.0, float(2 ** int(ds.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    if ds.get('WindowCenter') is not None and ds.get('WindowWidth') is not None:
        with np.errstate(over='ignore'):  # a sigmoid's lower end
            low, high = apply_windowing(np.array([-1e12, 1e12]), ds)
        return float(low), float(high)
    notes.append('no window in the file: grey levels stretched from the least to the greatest')
    padding = ds.get('PixelPaddingValue')
    kept = shown
    if padding is not None:
        limit = ds.get('PixelPaddingRangeLimit')
        ends = sorted([padding, padding if limit is None else limit])
        kept = shown[(raw < ends[0]) | (raw > ends[1])]
    kept = kept if kept.size else shown
    return float(kept.min()), float(kept.max())


def _spacing(ds: 'Dataset', notes: list[str]) -> tuple[float, float] | None:
    for key, where in (('PixelSpacing', ''), ('ImagerPixelSpacing', 'at the detector')):
        values: Any = ds.get(key)
        if isinstance(values, Sequence) and len(values) == 2 and min(map(float, values)) > 0:
            if where:
                notes.append(f'millimetres are those {where}: the patient is smaller')
            return float(values[0]), float(values[1])
    return None
