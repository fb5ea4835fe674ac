"""Contact sheets: the images that an audit asks one to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlrfnet_mm import NOTICE
from mlrfnet_mm.reports.output.drawing import plain, save, subplots
from mlrfnet_mm.xrays.geometry import fit
from mlrfnet_mm.xrays.gray import read_gray

MOST = 24  # tiles of a sheet
SIDE = 224  # pixels


class Tile(NamedTuple):
    """An image of a sheet and the lines below it."""

    path: str  # '' where the file is not known
    caption: str


def draw_sheet(tiles: Sequence[Tile], title: str, stem: Path, columns: int = 6) -> Path:
    """Draw the first ``MOST`` tiles in rows, as they come.

    Args:
        tiles: at least one.
        title: above them.
        stem: of the PNG.
        columns: tiles of a row, at most.
    """
    shown = tiles[:MOST]
    columns = max(2, min(columns, len(shown)))  # two: room for the title
    rows = -(-len(shown) // columns)
    figure, axes = subplots(
        rows, columns, figsize=(2.1 * columns, 2.75 * rows + 0.7), squeeze=False
    )
    for cell, tile in zip(axes.flat, shown, strict=False):
        cell.imshow(_image(tile.path), cmap='gray', vmin=0, vmax=255)
        cell.set_xlabel(plain(tile.caption), fontsize=7.5)
        cell.set_xticks([])
        cell.set_yticks([])
    for cell in axes.flat[len(shown) :]:
        cell.remove()
    count = '' if len(shown) == len(tiles) else f' (the first {len(shown)} of {len(tiles):,})'
    figure.suptitle(plain(title) + count, fontsize=11)
    figure.supxlabel(NOTICE, fontsize=8)
    png, svg = save(figure, stem, dpi=100)
    svg.unlink()  # pixels gain nothing from it
    return png


def _image(path: str) -> np.ndarray:
    """A small picture; white where the file cannot be read, which the audit says elsewhere."""
    try:
        return fit(read_gray(path), SIDE) if path else np.full((SIDE, SIDE), 255, np.uint8)
    except (ValueError, OSError):
        return np.full((SIDE, SIDE), 255, np.uint8)
