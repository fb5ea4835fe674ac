"""ChestX-ray14's boxes, ``BBox_List_2017.csv``: 984 of them, on 880 images, for eight findings.

Drawn by one radiologist; all images are in the official test list (Wang et al., CVPR 2017).
"""

import csv
from pathlib import Path

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.datasets.tables import refuse
from mlrfnet_mm.xrays.regions import FRAME, Box

BOX_TABLE = 'BBox_List_2017.csv'
SPELLINGS = {'Infiltrate': 'Infiltration'}


def read_boxes(path: str | Path) -> list[Box]:
    """Read a box table in file order.

    The published header, ``Image Index,Finding Label,Bbox [x,y,w,h],,,``, has more fields than the
    rows: the first six count. "Infiltrate" is the class Infiltration.

    Args:
        path: the table, or the folder that holds ``BBox_List_2017.csv``.

    Raises:
        FileNotFoundError: no such table.
        ValueError: another header, a row of another width, an unknown finding, what is not a
            number, a box without area or beyond the frame, a second box of a finding on an image.
    """
    path = Path(path)
    path = path / BOX_TABLE if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f'no {path.absolute()}; it comes with the images of ChestX-ray14 (CXR8), and '
            'mlrfnet phantom writes one'
        )
    boxes: dict[tuple[str, str], Box] = {}
    problems = []
    with path.open(encoding='utf-8-sig', newline='') as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if header[:2] != ['Image Index', 'Finding Label']:
            raise ValueError(
                f'{path}, line 1: the header must begin with Image Index,Finding Label, got '
                f'{",".join(header)!r}; take the table as it was published'
            )
        for row in reader:
            if not row:
                continue
            try:
                box = _parse(row, reader.line_num)
                first = boxes.setdefault((box.image, box.finding), box)
                if first is not box:
                    raise ValueError(
                        f'a second {box.finding} box of {box.image}, after line {first.line}; '
                        'remove one of the two'
                    )
            except ValueError as error:
                problems.append(f'{path}, line {reader.line_num}: {error}')
    refuse(problems)
    return list(boxes.values())


def _parse(row: list[str], line: int) -> Box:
    if len(row) != 6:
        raise ValueError(f'{len(row)} fields in {",".join(row)!r}, six are needed; correct it')
    image, label, *fields = row
    finding = SPELLINGS.get(label, label)
    if finding not in FINDINGS:
        raise ValueError(f'the finding {label!r}, which is none of {", ".join(FINDINGS)}')
    x, y, width, height = map(float, fields)
    # not (…), so that NaN is refused too
    if not (width > 0 and height > 0 and min(x, y) >= 0 and max(x + width, y + height) <= FRAME):
        raise ValueError(
            f'the box x={x:g}, y={y:g}, w={width:g}, h={height:g} of {image} has no area or leaves '
            f'the frame of {FRAME} pixels; correct it'
        )
    return Box(image, finding, x, y, width, height, line)
