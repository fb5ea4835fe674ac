"""Image files as prediction takes them: PNG, JPEG, TIFF and DICOM, single or by the folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mlrfnet_mm.xrays.dicom import is_dicom, read_dicom
from mlrfnet_mm.xrays.gray import read_gray

SUFFIXES = {'.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.dcm', '.dicom'}
LIST = '.txt'  # suffix of a list of files

ONE_LEVEL = 'one gray level throughout: a wrong window, or not an X-ray; the scores mean nothing'


@dataclass(frozen=True)
class FileBytes:
    """A file that lies on no disk.

    Attributes:
        name: as whoever sent it calls it; only results say it, never a log.
        data: its content.
    """

    name: str
    data: bytes


@dataclass(frozen=True)
class Xray:
    """An X-ray to predict.

    Attributes:
        pixels: uint8 (H, W).
        spacing: millimeters between pixels down and across, if the file says so.
        study: key that the images of one study share; the path if there is none.
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


@dataclass(frozen=True)
class Limits:
    """What is taken for a chest X-ray; other images get an error instead of scores.

    Attributes:
        least_side: pixels of the shorter side.
        most_aspect: longer by shorter side.
    """

    least_side: int = 64
    most_aspect: float = 3.0

    def check(self, height: int, width: int) -> None:
        """Refuse other sizes.

        Raises:
            ValueError: with the size found and the way out.
        """
        short, long = sorted((height, width))
        if short < self.least_side:
            raise ValueError(
                f'{width} × {height} pixels: the shorter side is below {self.least_side}; give the '
                'image at its own size, or lower the limit (--least-side)'
            )
        if long > self.most_aspect * short:
            raise ValueError(
                f'{width} × {height} pixels: one side is more than {self.most_aspect:g} times the '
                'other, unlike a chest X-ray; cut it, or raise the limit (--most-aspect)'
            )


LIMITS = Limits()


def read_xray(
    source: str | Path | FileBytes | np.ndarray, limits: Limits = LIMITS, bits: int | None = None
) -> Xray:
    """Read a file, whose content and not whose suffix decides; or take a gray array.

    Args:
        source: file, its path or itself; or uint8 (H, W).
        limits: sizes that are taken.
        bits: of files of 16 bits, see :func:`read_gray`.

    Raises:
        OSError: the file cannot be read.
        ImportError: a DICOM file without the extra ``dicom``.
        ValueError: see :func:`read_gray`, :func:`read_dicom` and :class:`Limits`; an array that is
            not uint8 (H, W).
    """
    xray = _read(source, bits)
    limits.check(*xray.pixels.shape)
    if xray.pixels.min() == xray.pixels.max():
        return replace(xray, notes=(*xray.notes, ONE_LEVEL))
    return xray


def _read(source: str | Path | FileBytes | np.ndarray, bits: int | None) -> Xray:
    if isinstance(source, np.ndarray):
        if source.ndim != 2 or source.dtype != np.uint8:
            raise ValueError(f'an array must be uint8 (H, W), got {source.dtype} {source.shape}')
        return Xray(source, None, f'array {id(source)}', (), {})
    if isinstance(source, FileBytes):
        content: Path | bytes = source.data
        name, head = source.name, source.data[:132]
    else:
        content, name = Path(source), str(source)
        with Path(source).open('rb') as file:
            head = file.read(132)
    if is_dicom(head, name):
        dicom = read_dicom(content)
        study = dicom.study or name
        return Xray(
            dicom.pixels, dicom.spacing, study, dicom.notes, dicom.patient, bool(dicom.study)
        )
    return Xray(read_gray(content, bits=bits), None, name, (), {})


def list_files(
    inputs: Iterable[str | Path], out: str | Path | None = None
) -> tuple[list[Path], int]:
    """Files as given or listed, and those of folders, sorted, with all folders below.

    A file that ends in ``.txt`` is a list, see :func:`read_list`. Of a folder, files with a suffix
    of ``SUFFIXES`` are taken, and DICOM files whatever their name.

    Args:
        inputs: files, folders and lists of them.
        out: folder of outputs: what a folder holds below it is left out.

    Returns:
        The paths, each once, and how many files of folders were passed over.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: ``out`` is an input folder, or one above it: what an earlier call drew there
            would be predicted; see also :func:`read_list`.
    """
    found: dict[Path, None] = {}
    passed_over = 0
    for item in _with_lists(map(Path, inputs)):
        if item.is_file():
            found[item] = None
            continue
        if out is not None and Path(out).resolve() in (item.resolve(), *item.resolve().parents):
            raise ValueError(
                f'{out} is to hold the results and holds the images of {item}: give '
                'another folder (--out-dir)'
            )
        for path in sorted(p for p in item.rglob('*') if p.is_file()):
            if out is not None and Path(out).resolve() in path.resolve().parents:
                continue
            if path.suffix.lower() in SUFFIXES or _is_dicom_file(path):
                found[path] = None
            else:
                passed_over += 1
    return list(found), passed_over


def _with_lists(inputs: Iterable[Path]) -> Iterator[Path]:
    """The inputs, all of which exist, with the content of lists in their place."""
    for item in inputs:
        if not item.exists():
            raise FileNotFoundError(f'no file or folder {item.absolute()}')
        if item.suffix.lower() == LIST and item.is_file():
            yield from read_list(item)
        else:
            yield item


def read_list(path: Path) -> list[Path]:
    """Files and folders that a text file names, one per line; empty lines are passed over.

    Relative paths are those of the working directory, as ``find`` writes them.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a line that cannot be a path, or names another list.
    """
    found = []
    lines = path.read_bytes().decode(errors='surrogateescape').split('\n')  # as names are
    for number, line in enumerate(lines, 1):
        name, where = line.removesuffix('\r'), f'{path}, line {number}'
        if not name.strip():
            continue
        item, there, fault = Path(name), False, 'it holds a zero byte' if '\0' in name else ''
        try:
            there = item.exists()
        except OSError as error:
            fault = str(error.strerror)
        if fault:
            raise ValueError(
                f'{where}: not a path ({fault}): {name[:60]!r}; a list is a text file with one '
                'path per line'
            )
        if not there:
            raise FileNotFoundError(f'{where}: no file or folder {item.absolute()}')
        if item.suffix.lower() == LIST and item.is_file():
            raise ValueError(f'{where}: a list in a list, {name}; give both to the command')
        found.append(item)
    return found


def _is_dicom_file(path: Path) -> bool:
    try:
        with path.open('rb') as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
