"""The RSNA pneumonia challenge's table of boxes, read and checked; no images.

Shih et al., "Augmenting the National Institutes of Health Chest Radiograph Dataset with Expert
Annotations of Possible Pneumonia", Radiology: Artificial Intelligence 2019.
https://doi.org/10.1148/ryai.2019180041
"""

from pathlib import Path
from typing import NamedTuple

from mlrfnet_mm.datasets.tables import read_columns, refuse
from mlrfnet_mm.xrays.regions import FRAME, Box

TABLE = 'stage_2_train_labels.csv'
FINDING = 'Pneumonia'  # an opacity that is suspicious for it, drawn by radiologists


class Boxes(NamedTuple):
    """The table."""

    labels: dict[str, bytes]  # patientId → one byte, 0 or 1
    lines: dict[str, int]  # patientId → its first line
    boxes: list[Box]


def read_table(path: Path) -> Boxes:
    """Read ``stage_2_train_labels.csv``, or its ``.gz``: a row per box, or per image without one.

    Raises:
        ValueError: for another header, a ``Target`` that is not 0 or 1, a positive row without a
            box or a negative one with it, a box without area or beyond the image, an image that is
            positive and negative, and a negative image with two rows.
    """
    table = Boxes({}, {}, [])
    labels, lines, boxes = table
    problems = []
    columns = ('patientId', 'x', 'y', 'width', 'height', 'Target')
    for line, (image, *corners, target) in read_columns(path, columns):
        problem = ''
        if not image or target not in ('0', '1'):
            problem = f'Target {target!r}, which is 0 or 1'
        elif image in labels and (target == '0' or labels[image] == b'\0'):
            problem = f'two rows that are not both boxes, the first at line {lines[image]}'
        elif target == '0' and any(corners):
            problem = f'the box {corners} and Target 0'
        elif target == '1':
            problem = _add(boxes, image, corners, line)
        if problem:
            problems.append(f'{path}, line {line}: {image!r} has {problem}; correct it')
            continue
        labels[image] = bytes([target == '1'])
        lines.setdefault(image, line)
    refuse(problems)
    return table


def _add(boxes: list[Box], image: str, corners: list[str], line: int) -> str:
    """Append a box; return what is wrong with it."""
    try:
        x, y, width, height = map(float, corners)
    except ValueError:
        return f'the box {corners} and Target 1'
    # not (…), so that NaN is refused too
    if not (width > 0 and height > 0 and min(x, y) >= 0 and max(x + width, y + height) <= FRAME):
        return f'the box {corners}, without area or beyond the {FRAME} pixels of the image'
    boxes.append(Box(image, FINDING, x, y, width, height, line))
    return ''
