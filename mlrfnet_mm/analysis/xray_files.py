"""Image files as prediction takes them: PNG, JPEG, TIFF and DICOM, single or by the folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlrfnet_mm.datasets.dicom import is_dicom, read_dicom
from mlrfnet_mm.datasets.transforms import read_grey

SUFFIXES = {'.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.dcm', '.dicom'}


@dataclass(frozen=True)
class Xray:
    """An X-ray to predict.

    Attributes:
        pixels: uint8 (H, W).
        spacing: millimetres between pixels down and across, if the file says so.
        study: key that the images of one study share; the path where there is no such.
        notes: what a reader should know.
        patient: ``name`` and ``id`` of a DICOM file, for those who ask for them only.
        in_study: whether the file names a study, which may hold other images.
    """

    pixels: np.ndarray
    spacing: tuple[float, float] | None
    study: str
    notes: tuple[str, ...]
    patient: dict[str, str]
    in_study: bool = False


def read_xray(source: str | Path | np.ndarray) -> Xray:
    """Read a file, whose content and not whose suffix decides; or take a grey array.

    Raises:
        OSError: the file cannot be read.
        ImportError: a DICOM file without the extra ``dicom``.
        ValueError: see :func:`read_grey` and :func:`read_dicom`; an array that is not uint8 (H, W).
    """
    if isinstance(source, np.ndarray):
        if source.ndim != 2 or source.dtype != np.uint8:
            raise ValueError(f'an array must be uint8 (H, W), got {source.dtype} {source.shape}')
        return Xray(source, None, f'array {id(source)}', (), {})
    path = Path(source)
    with path.open('rb') as file:
        head = file.read(132)
    if is_dicom(head) or path.suffix.lower() in ('.dcm', '.dicom'):
        dicom = read_dicom(path)
        study = dicom.study or str(path)
        return Xray(
            dicom.pixels, dicom.spacing, study, dicom.notes, dicom.patient, bool(dicom.study)
        )
    return Xray(read_grey(path), None, str(path), (), {})


def list_files(
    inputs: Iterable[str | Path], out: str | Path | None = None
) -> tuple[list[Path], int]:
    """Files as given, and those of folders, sorted, with all folders below.

    Of a folder, files with a suffix of ``SUFFIXES`` are taken, and DICOM files whatever their name.

    Args:
        inputs: files and folders.
        out: folder of outputs: what a folder holds below it is left out.

    Returns:
        The paths, each once, and how many files of folders were passed over.

    Raises:
        FileNotFoundError: no such file or folder.
    """
    found: dict[Path, None] = {}
    passed_over = 0
    for item in map(Path, inputs):
        if not item.exists():
            raise FileNotFoundError(f'no file or folder {item.absolute()}')
        if item.is_file():
            found[item] = None
            continue
        for path in sorted(p for p in item.rglob('*') if p.is_file()):
            if out is not None and Path(out).resolve() in path.resolve().parents:
                continue
            if path.suffix.lower() in SUFFIXES or _is_dicom_file(path):
                found[path] = None
            else:
                passed_over += 1
    return list(found), passed_over


def _is_dicom_file(path: Path) -> bool:
    try:
        with path.open('rb') as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
