"""From a file's bytes to what is sent back; nothing of it is kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mlrfnet_mm import NOTICE
from mlrfnet_mm.reports.output.page import Picture
from mlrfnet_mm.reports.predictions.figures import (
    SIDE,
    calibration_figure,
    heats_figure,
    scores_figure,
)
from mlrfnet_mm.reports.predictions.study_page import StudyImage, study_findings, study_page
from mlrfnet_mm.serving.uploads import Refused
from mlrfnet_mm.xrays.files import FileBytes, Xray
from mlrfnet_mm.xrays.heat import normalize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

SHOWN = 2048  # pixels of the longer side that the page shows
MAP_SIDE = 128  # of a heat map: the cells of a network are fewer
FEW = 3  # heat maps where each takes a backward pass
DPI = 110
FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]
UNSAFE = {'<': '\\u003c', '>': '\\u003e', '&': '\\u0026'}  # what could begin anything in HTML


class Answers:
    """Answers for one network. Of one thread at a time.

    Args:
        inferencer: a checkpoint's or a bundle's.
    """

    def __init__(self, inferencer: Inferencer) -> None:
        self.inferencer = inferencer
        self.stamp = dict(inferencer.stamp)
        self.classes = inferencer.decisions.classes
        self.method = inferencer.default_method
        self.top = len(self.classes) if self.method == 'score_maps' else FEW
        self.no_maps = ''
        try:
            inferencer.mapper()
        except ValueError as error:
            self.no_maps = str(error)

    def warm_up(self) -> None:
        """One image through the network, so that the first user does not wait for it."""
        side = np.arange(256, dtype=np.uint8)
        self._predict(side[:, None] ^ side, self.top)

    def predict(self, files: Sequence[FileBytes], pictures: bool = True) -> bytes:
        """JSON as ``predictions.json``, and what the page draws.

        Args:
            files: one record for each, in order.
            pictures: add ``pictures``.
        """
        records, shown = [], []
        for file in files:  # one at a time: a decoded image takes up to a gigabyte
            try:
                record, xray, heats = self._predict(file, self.top if pictures else 0)
            except Refused as error:
                record, xray, heats = dict(file=file.name, error=error.detail), None, {}
            records.append(record)
            shown.append(None if xray is None else draw(xray, heats))
        answer = dict(notice=NOTICE, stamp=self.stamp, predictions=records)
        return to_json(answer | (dict(pictures=shown) if pictures else {}))

    def report(self, file: FileBytes) -> str:
        """The page of ``mlrfnet predict --report`` for a study of one image; no file name in it.

        Raises:
            Refused: the file cannot be read.
        """
        record, xray, heats = self._predict(file, FEW, SIDE)
        stamp = self.stamp
        line = f'{stamp["model"]} {stamp["sha256"]}, trained on {stamp["trained_on"]}'
        figure = scores_figure(xray, record['findings'], None, line)
        image = StudyImage(record, [_picture(figure, 'The image next to its highest scores')])
        if heats:
            figure = heats_figure(xray, record['findings'], heats, self.method, line)
            image.pictures.append(_picture(figure, f'Heat maps ({self.method})'))
        decisions = self.inferencer.decisions
        curves = calibration_figure(decisions, study_findings([image], decisions))
        text = 'Calibration curves of the most probable findings; dots: this study'
        shown = None if curves is None else _picture(curves, text)
        return study_page(1, [image], stamp, decisions, shown)

    def _predict(
        self, source: FileBytes | np.ndarray, top: int, side: int = MAP_SIDE
    ) -> tuple[dict[str, Any], Xray, dict[str, np.ndarray]]:
        item = self.inferencer.read(source)
        if 'error' in item:
            raise Refused(422, public(item['error']))
        maps = bool(top) and not self.no_maps
        result = self.inferencer([item], heatmap=maps, top=max(top, 1), map_side=side)
        parts = (result[key][0] for key in ('predictions', 'images', 'visualization'))
        return tuple(parts)


def public(error: str) -> str:
    """What an error says of the file, without what it says of the server.

    >>> public('ValueError: the file is empty (0 bytes); get it again')
    'the file is empty (0 bytes); get it again'
    >>> public("FileNotFoundError: [Errno 2] No such file or directory: '/srv/x'")
    'the file cannot be read (FileNotFoundError)'
    """
    kind, _, text = error.partition(': ')
    if kind == 'ValueError':
        return text
    if kind == 'ImportError':
        return 'a DICOM file, or a compression of one, that this server does not read; send a PNG'
    return f'the file cannot be read ({kind})'


def draw(xray: Xray, heats: dict[str, np.ndarray]) -> dict[str, Any]:
    """What a page needs to show an image: gray PNG, as text.

    The X-ray has the 256 gray levels that the network sees, with at most ``SHOWN`` pixels a side.
    A heat map covers the whole image, whatever its own size; 0 is where the network saw nothing,
    and from 1 to 255 it goes from its least to its greatest value.
    """
    height, width = xray.pixels.shape
    factor = min(1.0, SHOWN / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    pixels = xray.pixels
    if factor < 1:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return dict(
        width=size[0],
        height=size[1],
        image=_png(pixels),
        heats={name: _png(levels(heat)) for name, heat in heats.items()},
    )


def levels(heat: np.ndarray) -> np.ndarray:
    """A map (H, W) as uint8: 0 for NaN, 1 … 255 from least to greatest; a flat map is 1."""
    scaled = 1 + 254 * normalize(heat)
    return np.rint(np.nan_to_num(scaled)).astype(np.uint8)


def _png(pixels: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode('.png', pixels, FAST)[1].tobytes()).decode()


def _picture(figure: Figure, caption: str) -> Picture:
    file = BytesIO()
    figure.savefig(file, dpi=DPI)
    return Picture(Path(f'{caption}.png'), caption, file.getvalue())


def to_json(content: Any) -> bytes:
    """JSON in ASCII, in which nothing is HTML, wherever it lands."""
    text = json.dumps(content, allow_nan=False)
    for character, written in UNSAFE.items():
        text = text.replace(character, written)
    return text.encode()
