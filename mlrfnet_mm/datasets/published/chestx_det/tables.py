"""ChestX-Det's two files of boxes and polygons, read and checked; no images.

Lian et al., "A Structure-Aware Relation Network for Thoracic Diseases Detection and Segmentation",
IEEE Transactions on Medical Imaging 2021. https://arxiv.org/abs/2104.10326
"""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlrfnet_mm.datasets.tables import refuse
from mlrfnet_mm.xrays.regions import FRAME, Box

FINDINGS = (
    'Atelectasis',
    'Calcification',
    'Cardiomegaly',
    'Consolidation',
    'Diffuse Nodule',
    'Effusion',
    'Emphysema',
    'Fibrosis',
    'Fracture',
    'Mass',
    'Nodule',
    'Pleural Thickening',
    'Pneumothorax',
)
FILES = dict(train='ChestX_Det_train.json', test='ChestX_Det_test.json')
KEYS = ('file_name', 'syms', 'boxes', 'polygons')


class Annotations(NamedTuple):
    """One file."""

    labels: dict[str, bytes]  # name without suffix → 13 bytes of 0 or 1
    places: dict[str, int]  # name → its place in the file, from 1
    boxes: list[Box]


def read_file(path: Path) -> Annotations:
    """Read ``ChestX_Det_train.json`` or ``…_test.json``, plain or ``.gz``.

    A box is the published one, ``[x1, y1, x2, y2]`` with both ends inside; 202 of the 9,639 are up
    to nine pixels wider than their polygon.

    Raises:
        ValueError: for what is not JSON of that form, an image that is there twice, an unknown
            finding, lists of different lengths, and a box or polygon that leaves the image.
    """
    content = path.read_bytes()
    try:
        records = json.loads(gzip.decompress(content) if path.suffix == '.gz' else content)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f'{path}: {error}; get the file again') from error
    if not isinstance(records, list):
        raise ValueError(f'{path}: a list of images is needed, got {type(records).__name__}')
    found = Annotations({}, {}, [])
    problems = []
    for place, record in enumerate(records, 1):
        try:
            name, boxes = _parse(record, place)
            if name in found.labels:
                raise ValueError(f'{name} is there already, as image {found.places[name]}')
        except ValueError as error:
            problems.append(f'{path}, image {place}: {error}; correct it')
            continue
        seen = {box.finding for box in boxes}
        found.labels[name] = bytes(finding in seen for finding in FINDINGS)
        found.places[name] = place
        found.boxes.extend(boxes)
    refuse(problems)
    return found


def _parse(record: Any, place: int) -> tuple[str, list[Box]]:
    if not isinstance(record, Mapping) or not set(KEYS) <= set(record):
        raise ValueError(f'an image has {", ".join(KEYS)}, got {str(record)[:60]!r}')
    file, syms, boxes, polygons = (record[key] for key in KEYS)
    name = str(file).rsplit('.', 1)[0]
    if not len(syms) == len(boxes) == len(polygons):
        raise ValueError(
            f'{file} has {len(syms)} syms, {len(boxes)} boxes and {len(polygons)} polygons'
        )
    regions = []
    for finding, box, polygon in zip(syms, boxes, polygons, strict=True):
        if finding not in FINDINGS:
            raise ValueError(f'{file} has {finding!r}, which is none of {", ".join(FINDINGS)}')
        if not (_inside(box, 4) and box[0] < box[2] and box[1] < box[3]):
            raise ValueError(f'{file} has the box {box} without area or beyond {FRAME} pixels')
        if len(polygon) < 3 or not all(_inside(point, 2) for point in polygon):
            raise ValueError(f'{file} has a polygon of {finding} that leaves {FRAME} pixels')
        x, y, right, bottom = box
        size = right - x + 1, bottom - y + 1
        corners = tuple((a, b) for a, b in polygon)
        regions.append(Box(name, finding, x, y, *size, place, polygon=corners))
    return name, regions


def _inside(numbers: Any, count: int) -> bool:
    """Whether these are so many whole numbers of pixels of the image."""
    return (
        isinstance(numbers, list)
        and len(numbers) == count
        and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < FRAME for n in numbers)
    )
