"""The pictures of an image, drawn once, for the folder and for the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from mlrfnet_mm.reports.output.page import Picture
from mlrfnet_mm.reports.predictions.figures import heats_figure, scores_figure
from mlrfnet_mm.reports.predictions.writing.options import Options
from mlrfnet_mm.reports.predictions.writing.place import SCRATCH
from mlrfnet_mm.xrays.files import Xray

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

DPI = 110
STEM = 120  # bytes of an image's name in that of its pictures: file systems end at 255 bytes


class Pictures:
    """Draws what the options ask for.

    Args:
        inferencer: whose stamp is below the pictures.
        folder: of the pictures; those for the report alone are in ``scratch`` there.
        options: see there.
    """

    def __init__(self, inferencer: Inferencer, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        stamp = inferencer.stamp
        self.stamp = f'{stamp["model"]} {stamp["sha256"]}, trained on {stamp["trained_on"]}'
        self.method = options.method or inferencer.default_method

    def draw(
        self, record: dict[str, Any], xray: Xray, heats: dict[str, Any], shown: list[Picture]
    ) -> None:
        """Draw an image's pictures and append them to ``shown``; name the maps in the record."""
        options, findings = self.options, record['findings']
        name = f'{record["number"]:04d}_{_short(Path(record["file"]).stem)}.png'
        if options.scores or options.report:
            truth = None
            if options.labels is not None:
                truth = options.labels.get(Path(record['file']).name)
            figure = scores_figure(xray, findings, truth, self.stamp)
            path = self.folder / ('scores' if options.scores else SCRATCH) / name
            shown.append(_save(figure, path, 'The image next to its highest scores'))
        if options.heatmap:
            figure = heats_figure(xray, findings, heats, self.method, self.stamp)
            path = self.folder / 'heatmaps' / name
            shown.append(_save(figure, path, f'Heat maps ({self.method})'))
            record['heatmap'] = f'heatmaps/{name}'


def _save(figure: Figure, path: Path, caption: str) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return Picture(path, caption)


def _short(stem: str) -> str:
    """A name that leaves room for a number and a suffix, in any script."""
    return stem.encode(errors='surrogateescape')[:STEM].decode(errors='ignore')
