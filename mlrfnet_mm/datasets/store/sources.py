"""The image files of each data set's folder, whatever the splits say; for ``mlrfnet prepare``."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.published.chestxray14.dataset import ChestXray14
from mlrfnet_mm.datasets.published.chestxray14.tables import index_images
from mlrfnet_mm.datasets.published.chexpert.dataset import CheXpert
from mlrfnet_mm.datasets.published.chexpert.tables import find_folders
from mlrfnet_mm.datasets.published.mimic_cxr.dataset import MIMICCXR
from mlrfnet_mm.datasets.table_xrays.dataset import TableXrays


class Source(NamedTuple):
    """Where a data set is by default, and how its images are listed."""

    root_variable: str
    default_root: str
    list_images: Callable[[Path], list[str]]  # paths relative to the folder


def chestxray14_images(root: Path) -> list[str]:
    """List every PNG of the image folders.

    Raises:
        FileNotFoundError: no image folder.
        ValueError: a name in two folders.
    """
    return [
        f'{Path(folder).relative_to(root)}/{name}' for name, folder in index_images(root).items()
    ]


def chexpert_images(root: Path) -> list[str]:
    """List every JPEG of ``train`` and ``valid``, in the folder that has the tables.

    Raises:
        FileNotFoundError: no folder with tables.
    """
    folders = find_folders(root)
    if not root.is_dir() or not folders:
        raise FileNotFoundError(
            f'no train.csv and no valid.csv in {root.absolute()} or in a folder of it.'
        )
    return [
        path.relative_to(root).as_posix()
        for folder in folders
        for part in ('train', 'valid')
        for path in (folder / part).glob('patient*/study*/*.jpg')
    ]


def mimic_cxr_images(root: Path) -> list[str]:
    """List every JPEG below ``files``.

    Raises:
        FileNotFoundError: no folder ``files``.
    """
    if not (root / 'files').is_dir():
        raise FileNotFoundError(f'no {(root / "files").absolute()}.')
    return [path.relative_to(root).as_posix() for path in root.glob('files/p*/p*/s*/*.jpg')]


def table_images(parts: Iterable[TableXrays]) -> tuple[Path, list[str]]:
    """Folder and images of tables of one's own, each image once.

    Raises:
        ValueError: several folders.
    """
    names: dict[str, dict[str, None]] = {}
    read: set[tuple[str, ...]] = set()
    for part in parts:
        key = (part.data_root, str(part.table_file), part.image_column)
        if key not in read:  # the splits of one table
            read.add(key)
            names.setdefault(part.data_root, {}).update(dict.fromkeys(part.list_images()))
    if len(names) != 1:
        raise ValueError(
            f'a store is of one folder, the loaders have {", ".join(names)}: set one data_root; '
            'paths that are elsewhere may be absolute'
        )
    ((root, images),) = names.items()
    return Path(root), list(images)


SOURCES = {
    'chestxray14': Source(ChestXray14.root_variable, ChestXray14.default_root, chestxray14_images),
    'chexpert': Source(CheXpert.root_variable, CheXpert.default_root, chexpert_images),
    'mimic-cxr': Source(MIMICCXR.root_variable, MIMICCXR.default_root, mimic_cxr_images),
}
