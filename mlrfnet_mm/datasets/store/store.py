"""A prepared store: every image of a data set, gray and at one size, in a single ``.npy``.

``mlrfnet prepare`` writes it, the data sets find it. It is a folder of three files:

- ``images.npy``, (N, size, size) uint8, an ordinary array (``np.load(…, mmap_mode='r')``);
- ``index.npz``: ``names`` (N,), paths relative to the data set's folder (absolute ones where an
  image lies elsewhere), and ``files`` (N,): size in bytes and time of modification in ns of each
  source file, -1 where it could not be read, its height and width in pixels, and the CRC-32 of the
  source file and of its row of ``images.npy``;
- ``manifest.json``, written last: what was made, from what, and which files could not be read.
"""

import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1  # raise it when a store of today can no longer be read as meant
IMAGES, INDEX, MANIFEST = 'images.npy', 'index.npz', 'manifest.json'
FILE = np.dtype(
    [
        ('size', '<i8'),
        ('time', '<i8'),
        ('height', '<i4'),
        ('width', '<i4'),
        ('source', '<u4'),
        ('crc', '<u4'),
    ]
)


def fingerprint(names: Sequence[str], files: np.ndarray) -> str:
    """Identify the images by names, sizes, times and checksums of their files."""
    return f'{zlib.crc32(files.tobytes(), zlib.crc32("/".join(names).encode())):08x}'


class PreparedStore:
    """Reads a store; safe to share between processes, also while another is being written.

    Rows are read with ``pread`` into memory of their own: a store that is cut or changed under a
    training gives an error, never other pixels. (A memory map would end the process at a cut file.)
    A row is checked against its CRC-32 as soon as the file's time of modification is not what
    it was when it was prepared, so also in a copy with a time of its own. The file stays open,
    so a new store in its place does not disturb. A copy in another process holds checksums and
    shapes only, no images.

    ``shapes``, (N, 2), has height and width of each source image.

    Args:
        folder: where the three files are.
        size: side that the images must have; ``None`` takes what is there.
        bits: what they must have been read with, see ``LoadXray``; ``'any'`` takes what is there.

    Raises:
        FileNotFoundError: no finished store there.
        ValueError: a store of another size or format, or files that do not belong together.
    """

    def __init__(
        self, folder: str | Path, size: int | None = None, bits: int | str | None = 'any'
    ) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        made_with = self.manifest.get('bits')
        if bits not in ('any', made_with):
            raise ValueError(
                f'{self.folder.absolute()} was made with bits={made_with}, LoadXray has '
                f'bits={bits}; make another with mlrfnet prepare --bits, or set the same'
            )
        self.size: int = self.manifest['size']
        if size is not None and size != self.size:
            raise ValueError(
                f'{self.folder.absolute()} holds images of {self.size} pixels, the pipeline '
                f'(XrayGeometry) needs scale={size}; make another with mlrfnet prepare --size '
                f'{size}, or set scale={self.size}'
            )
        files = self.index()[1]
        self.crcs = files['crc'].copy()
        self.shapes = np.stack([files['height'], files['width']], axis=1)
        self._open()
        rows = (os.fstat(self._file).st_size - self._start) // self.size**2
        if rows != len(self.crcs) or rows != self.manifest['images']:
            raise ValueError(
                f'{self.folder.absolute()}: {IMAGES} has {rows:,} images, {INDEX} '
                f'{len(self.crcs):,} and {MANIFEST} {self.manifest["images"]:,}; remove the folder '
                'and prepare it again'
            )

    def _open(self) -> None:
        self._file = os.open(self.folder / IMAGES, os.O_RDONLY)
        with open(self._file, 'rb', closefd=False) as file:
            version = np.lib.format.read_magic(file)
            read = getattr(np.lib.format, f'read_array_header_{version[0]}_0')
            shape, _, dtype = read(file)
            self._start = file.tell()
        if shape[1:] != (self.size, self.size) or dtype != np.uint8:
            raise ValueError(
                f'{self.folder / IMAGES} is {shape} of {dtype}, its manifest says {self.size} '
                'pixels of uint8; remove the folder and prepare it again'
            )

    def index(self) -> tuple[list[str], np.ndarray]:
        """Read names and files, see the module."""
        with np.load(self.folder / INDEX, allow_pickle=False) as index:
            return [name.decode() for name in index['names'].tolist()], index['files']

    def __len__(self) -> int:
        return len(self.crcs)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != '_file'}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def __del__(self) -> None:
        if hasattr(self, '_file'):
            os.close(self._file)

    def image(self, row: int, check: bool = False) -> np.ndarray:
        """Return one image, uint8 of shape ``(size, size)``, not writable.

        Args:
            row: which one.
            check: compare it with its checksum even if the file looks untouched.

        Raises:
            RuntimeError: the row is not what was prepared.
        """
        count = self.size**2
        data = os.pread(self._file, count, self._start + row * count)
        stat = os.fstat(self._file)  # after the read; a checksum takes 20 times as long
        check = check or stat.st_mtime_ns != self.manifest['time']
        if len(data) != count or (check and zlib.crc32(data) != self.crcs[row]):
            what = 'is cut off' if len(data) != count else 'is not what was prepared'
            raise RuntimeError(
                f'row {row} of {self.folder.absolute() / IMAGES} {what}: the store was changed or '
                'damaged; run mlrfnet prepare --verify'
            )
        return np.frombuffer(data, np.uint8).reshape(self.size, self.size)

    def rows(self, paths: Sequence[str], root: Path) -> list[int]:
        """Return the row of each image, after checking that it was made from this very file.

        Source files that are gone are not a fault: the store stands for them.

        Args:
            paths: of the images, below ``root`` or absolute.
            root: the data set's folder.

        Raises:
            ValueError: an image that is not in the store, could not be read when it was made, or
                has changed since.
        """
        names, files = self.index()
        where = {name: row for row, name in enumerate(names)}
        known = list(zip(files['size'].tolist(), files['time'].tolist(), strict=True))
        result, problem = [], ''
        for path in paths:
            name = store_name(path, str(root))
            row = where.get(name, -1)
            if row < 0:
                problem = 'is not in it'
            elif known[row] == (-1, -1):
                problem = f'could not be read then: {self.manifest["failed"].get(name)}'
            else:
                try:
                    stat = os.stat(path)
                except FileNotFoundError:
                    stat = None
                if stat and (stat.st_size, stat.st_mtime_ns) != known[row]:
                    problem = 'has changed since'
            if problem:
                raise ValueError(
                    f'the prepared store {self.folder.absolute()} was made from other files: '
                    f'{path} {problem}. Run mlrfnet prepare again (it redoes what changed), or '
                    'set prepared=False in the data set'
                )
            result.append(row)
        return result


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is of another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f'no {path.absolute()}: no prepared store, or an unfinished one; make or finish it '
            'with mlrfnet prepare'
        )
    manifest = json.loads(path.read_text(encoding='utf-8'))
    if manifest.get('format') != FORMAT:
        raise ValueError(
            f'{path.absolute()} has format {manifest.get("format")!r}, this version reads '
            f'{FORMAT}; remove the folder and prepare it again'
        )
    return manifest


def store_name(path: str, root: str) -> str:
    """Name of an image in a store: its path relative to the data set's folder, if it is below.

    >>> store_name('data/a/1.png', 'data'), store_name('/disk/2.png', 'data')
    ('a/1.png', '/disk/2.png')
    """
    return path[len(root) + 1 :] if path.startswith(f'{root}/') else path


def store_folder(root: str | Path, size: int) -> Path:
    """Return where a data set looks for its store."""
    return Path(root) / f'prepared_{size}'
