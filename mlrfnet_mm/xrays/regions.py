"""Where a finding is: a box, and within it a polygon or run lengths where a table has them.

Boxes are measured at edges: pixel (i, j) covers ``[i, i + 1) × [j, j + 1)``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

FRAME = 1024  # pixels per side of the images of ChestX-ray14, which several tables are drawn on


class Box(NamedTuple):
    """A region of a finding.

    Attributes:
        image: as the table names it.
        finding: one of the data set's classes.
        x: left edge.
        y: upper edge.
        width: of the box around the region.
        height: of the box around the region.
        line: in the table.
        frame: side in pixels of the square that the numbers are for, whatever the size of the image
            file; ``None`` for the pixels of the published image itself.
        polygon: corners ``(x, y)``, pixels in whole numbers; none for a region that is its box.
        runs: run lengths, as :func:`runs_of` reads them, of a region in ``frame``.
    """

    image: str
    finding: str
    x: float
    y: float
    width: float
    height: float
    line: int
    frame: int | None = FRAME
    polygon: tuple[tuple[int, int], ...] = ()
    runs: str = ''


def runs_of(text: str, frame: int = FRAME) -> np.ndarray:
    """Read run lengths: pairs of a gap after the last run's end, and a length.

    The pixels are counted from 0, down the first column, then down the next one (the
    SIIM-ACR challenge's format).

    >>> runs_of('2 3 1 1', frame=4).tolist()
    [[2, 5], [6, 7]]

    Returns:
        (R, 2) first pixel of each run and the one after its last.

    Raises:
        ValueError: what is not whole numbers in pairs, a length or gap out of range, or a run
            beyond the frame.
    """
    words = text.split()
    if not words or len(words) % 2 or not all(word.isdecimal() for word in words):
        raise ValueError(f'run lengths are pairs of whole numbers, got {_short(text)}')
    steps = np.array(words, np.int64)
    if (steps[1::2] == 0).any() or (steps[2::2] == 0).any():
        raise ValueError(f'a run and the gap after it have a pixel at least, got {_short(text)}')
    ends = np.cumsum(steps)
    if ends[-1] > frame**2:
        raise ValueError(
            f'run lengths end at pixel {ends[-1]:,}, a frame of {frame} x {frame} has {frame**2:,}'
        )
    return ends.reshape(-1, 2)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f'{text[:37]}…')


def around_runs(runs: np.ndarray, frame: int = FRAME) -> tuple[int, int, int, int]:
    """Return ``x, y, w, h`` of the box around runs (R, 2)."""
    first, last = runs[:, 0], runs[:, 1] - 1
    left, right = int(first[0] // frame), int(last[-1] // frame)
    whole = (first // frame != last // frame).any()  # a run over the end of a column
    top = 0 if whole else int((first % frame).min())
    bottom = frame - 1 if whole else int((last % frame).max())
    return left, top, right - left + 1, bottom - top + 1


def around_points(points: Sequence[tuple[int, int]]) -> tuple[int, int, int, int]:
    """Return ``x, y, w, h`` of the box around pixels ``(x, y)``."""
    columns, rows = zip(*points, strict=True)
    left, top = min(columns), min(rows)
    return left, top, max(columns) - left + 1, max(rows) - top + 1


def box_in_image(box: Box, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """``x, y, w, h`` at edges in pixels of an image (H, W)."""
    sx, sy = (1.0, 1.0) if box.frame is None else (shape[1] / box.frame, shape[0] / box.frame)
    return box.x * sx, box.y * sy, box.width * sx, box.height * sy


def in_frame(box: Box, shape: tuple[int, int]) -> Box:
    """The box around the region with its numbers for ``FRAME``, of an image (H, W)."""
    if box.frame == FRAME:
        return box
    across, down = (FRAME / side for side in ((shape[1], shape[0]) if box.frame is None else
                    (box.frame, box.frame)))  # fmt: skip
    x, y, width, height = box.x * across, box.y * down, box.width * across, box.height * down
    return Box(box.image, box.finding, x, y, width, height, box.line)


def check_inside(box: Box, shape: tuple[int, int]) -> None:
    """Refuse a region that leaves the image (H, W) by more than a pixel.

    Raises:
        ValueError: with image and line; the file is then another image, or a smaller copy of it.
    """
    x, y, width, height = box_in_image(box, shape)
    if x + width > shape[1] + 1 or y + height > shape[0] + 1:
        raise ValueError(
            f'the {box.finding} of {box.image} (line {box.line}) ends at x={x + width:g}, '
            f'y={y + height:g}, beyond the {shape[1]} x {shape[0]} pixels of the file; the table '
            'is for the published image: take that, not a smaller copy'
        )


def region_mask(box: Box, shape: tuple[int, int]) -> np.ndarray:
    """The region as a mask (H, W) of bool in an image of that shape.

    A pixel belongs to a box if its center lies in it; polygons and runs are drawn in their frame,
    a polygon with its edge, and brought to the image by the nearest pixel.
    """
    if not box.polygon and not box.runs:
        x, y, width, height = box_in_image(box, shape)
        columns, rows = np.arange(shape[1]) + 0.5, np.arange(shape[0])[:, None] + 0.5
        return (columns >= x) & (columns < x + width) & (rows >= y) & (rows < y + height)
    drawn = np.zeros(shape if box.frame is None else (box.frame, box.frame), np.uint8)
    if box.polygon:
        cv2.fillPoly(drawn, [np.array(box.polygon, np.int32)], 1)
    else:
        edges = np.zeros(drawn.size + 1, np.int8)
        np.add.at(edges, runs_of(box.runs, len(drawn)).T, [[1], [-1]])
        drawn = np.ascontiguousarray(np.cumsum(edges[:-1]).reshape(drawn.shape).T, np.uint8)
    if drawn.shape == shape:
        return drawn.astype(bool)
    return cv2.resize(drawn, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)
