"""The image files of each data set's folder, whatever the splits say; for ``mlrfnet prepare``."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.published.chestx_det.dataset import ChestXDet, image_folders
from mlrfnet_mm.datasets.published.chestxray14.dataset import ChestXray14
from mlrfnet_mm.datasets.published.chestxray14.tables import index_images
from mlrfnet_mm.datasets.published.chexpert.dataset import CheXpert
from mlrfnet_mm.datasets.published.chexpert.tables import find_folders
from mlrfnet_mm.datasets.published.labeled_xrays import IMAGES
from mlrfnet_mm.datasets.published.mimic_cxr.dataset import MIMICCXR
from mlrfnet_mm.datasets.published.padchest.dataset import PadChest
from mlrfnet_mm.datasets.published.rsna.dataset import FOLDER as RSNA_FOLDER
from mlrfnet_mm.datasets.published.rsna.dataset import RSNAPneumonia
from mlrfnet_mm.datasets.published.siim.dataset import SIIMPneumothorax
from mlrfnet_mm.datasets.published.siim.dataset import image_folders as siim_folders
from mlrfnet_mm.datasets.published.vindr_cxr.dataset import VinDrCXR
from mlrfnet_mm.datasets.table_xrays.dataset import TableXrays
from mlrfnet_mm.datasets.tables import index_files
from mlrfnet_mm.datasets.xray_dataset import XrayDataset


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


def _listed(root: Path, folders: Sequence[Path]) -> list[str]:
    """List the images of some folders.

    Raises:
        FileNotFoundError: there is none.
    """
    files = index_files(folders, IMAGES)
    if not files:
        names = ' and no '.join(str(folder.absolute()) for folder in folders[:3])
        raise FileNotFoundError(f'no image in {names}.')
    return [Path(path).relative_to(root).as_posix() for path in files.values()]


def vindr_cxr_images(root: Path) -> list[str]:
    """List every image of ``train``, and of ``test`` where it is there.

    Raises:
        FileNotFoundError: no image.
    """
    return _listed(root, [root / 'train', root / 'test'])


def padchest_images(root: Path) -> list[str]:
    """List every image of the numbered folders and of ``images``.

    Raises:
        FileNotFoundError: no image.
    """
    return _listed(root, [root / 'images', *sorted(root.glob('[0-9]*'))])


def rsna_images(root: Path) -> list[str]:
    """List every image of ``stage_2_train_images``.

    Raises:
        FileNotFoundError: no image.
    """
    return _listed(root, [root / RSNA_FOLDER])


def siim_images(root: Path) -> list[str]:
    """List every image of ``dicom-images-train``, two folders deep or not.

    Raises:
        FileNotFoundError: no image.
    """
    return _listed(root, siim_folders(root))


def chestx_det_images(root: Path) -> list[str]:
    """List every image of the training and test folders.

    Raises:
        FileNotFoundError: no image.
    """
    return _listed(root, [f for part in ('train', 'test') for f in image_folders(root, part)])


def _source(kind: type[XrayDataset], list_images: Callable[[Path], list[str]]) -> Source:
    return Source(kind.root_variable, kind.default_root, list_images)


SOURCES = {
    'chestxray14': _source(ChestXray14, chestxray14_images),
    'chexpert': _source(CheXpert, chexpert_images),
    'mimic-cxr': _source(MIMICCXR, mimic_cxr_images),
    'vindr': _source(VinDrCXR, vindr_cxr_images),
    'padchest': _source(PadChest, padchest_images),
    'rsna': _source(RSNAPneumonia, rsna_images),
    'siim': _source(SIIMPneumothorax, siim_images),
    'chestx-det': _source(ChestXDet, chestx_det_images),
}
