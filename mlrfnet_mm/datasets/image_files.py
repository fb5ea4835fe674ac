"""The image files of each data set's folder, whatever the splits say; for ``tools/prepare.py``."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.chestxray14 import ChestXray14
from mlrfnet_mm.datasets.chestxray14_tables import index_images


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


SOURCES = dict(
    chestxray14=Source(ChestXray14.root_variable, ChestXray14.default_root, chestxray14_images)
)
