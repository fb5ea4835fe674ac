"""Sets of a config, a table or a folder: their images are opened."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mlrfnet_mm.reports.audit.images.pictures import gray_levels
from mlrfnet_mm.reports.audit.rows import Split
from mlrfnet_mm.reports.shift.sets import ImageSet
from mlrfnet_mm.xrays.gray import read_gray


def of_splits(
    splits: Sequence[Split],
    name: str,
    workers: int = 1,
    progress: Callable[[], None] | None = None,
) -> ImageSet:
    """Ages, views, sexes and gray levels of splits of a config or table, taken together.

    Raises:
        ValueError: an image that cannot be read.
    """
    for split in splits:
        if '' in split.patients:
            raise ValueError(f'{name}: {split.paths[split.patients.index("")]} has no patient')
    paths = [path for split in splits for path in split.paths]
    ages = np.concatenate([split.ages for split in splits])
    categories = dict(
        view=np.array([view for split in splits for view in split.views]),
        sex=np.array([sex for split in splits for sex in split.sexes]),
    )
    patients = np.array([patient for split in splits for patient in split.patients])
    return ImageSet(name, patients, dict(age=ages, **measure(paths, workers, progress)), categories)


def of_files(
    paths: Sequence[Path], name: str, workers: int = 1, progress: Callable[[], None] | None = None
) -> ImageSet:
    """Gray levels of image files, of which nothing else is known.

    Raises:
        ValueError: an image that cannot be read.
    """
    return ImageSet(name, None, measure(list(map(str, paths)), workers, progress), {})


def measure(
    paths: Sequence[str], workers: int = 1, progress: Callable[[], None] | None = None
) -> dict[str, np.ndarray]:
    """Brightness and contrast of images: mean and standard deviation of the gray levels, of 255.

    Args:
        paths: of the files.
        workers: threads; decoding is done outside of Python.
        progress: called when an image is done.

    Raises:
        ValueError: an image that cannot be read.
    """

    def look(path: str) -> tuple[float, float]:
        try:
            levels = gray_levels(read_gray(path))[:2]
        except (ValueError, OSError) as error:
            raise ValueError(f'{path} cannot be compared: {error}') from error
        if progress:
            progress()
        return levels

    with ThreadPoolExecutor(workers) as pool:
        found = np.array(list(pool.map(look, paths)), float).reshape(-1, 2)
    return dict(brightness=found[:, 0], contrast=found[:, 1])
