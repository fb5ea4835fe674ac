"""Heat maps over X-rays next to the radiologist's box (MLRFNet, Fig. 11)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlrfnet_mm import NOTICE
from mlrfnet_mm.reports.output.drawing import plain, save, subplots
from mlrfnet_mm.xrays.heat import normalize
from mlrfnet_mm.xrays.regions import FRAME, Box

if TYPE_CHECKING:  # prediction draws by this module where there is no torch
    from mlrfnet_mm.evaluation.localisation import Localisation
    from mlrfnet_mm.reports.localisation.localise import Example, LocalisationReport

MAP = 'inferno'  # grows in lightness: it is read in gray print and by the color-blind
BOX = '#56B4E9'
ROWS = 4  # of a figure


def draw_xray(axes: Axes, image: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """Draw a gray image (H, W) uint8 over ``left, right, bottom, top``."""
    axes.imshow(image, cmap='gray', vmin=0, vmax=255, extent=extent)


def draw_heat(axes: Axes, heat: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """Draw a map over the image, clear where it is low; gray veil where the network saw nothing."""
    scaled = normalize(heat)
    colors = colormaps[MAP](np.nan_to_num(scaled))
    colors[..., 3] = np.clip(np.nan_to_num(scaled), 0, 1) * 0.75
    unseen = np.isnan(scaled)
    colors[unseen] = (0.5, 0.5, 0.5, 0.6)
    axes.imshow(colors, extent=extent, interpolation='nearest')


def draw_box(axes: Axes, box: Box) -> None:
    """Draw the box in blue on black, so that it is seen on any gray."""
    for color, width in (('black', 2.6), (BOX, 1.5)):
        axes.add_patch(
            Rectangle(
                (box.x, box.y), box.width, box.height, fill=False, edgecolor=color,
                 linewidth=width,
            )
        )  # fmt: skip


def add_scale(figure: Figure, axes: Sequence[Axes]) -> None:
    """Add the colors' scale, common to all maps as each is scaled to its own range."""
    mappable = ScalarMappable(Normalize(0, 1), MAP)
    bar = figure.colorbar(mappable, ax=axes, shrink=0.5, aspect=30, pad=0.01)
    bar.set_label('heat (least 0, greatest 1)')


def describe(result: Localisation) -> str:
    """Say in a few words how a map met its box."""
    if not len(result.iou):
        return 'flat, no peak'
    hit = 'peak inside' if result.hit else 'peak outside'
    return f'{hit}, IoU {result.iou.max():.2f}'


def plot_report(report: LocalisationReport, folder: str | Path) -> list[Path]:
    """Draw the examples of a report: one row per box, with the X-ray and every method's map.

    Args:
        report: with examples and numbers of boxes.
        folder: for ``localisation_1.png``, ``localisation_1.svg`` and so on, ``ROWS`` rows each.

    Returns:
        The paths of the files.
    """
    stamp = f'{report.stamp["data"]}, {report.stamp["model"]} {report.stamp["sha256"]}'
    counts = {str(r['group']): int(r['boxes']) for r in report.tables[0].records}
    paths = []
    for number, start in enumerate(range(0, len(report.examples), ROWS), 1):
        figure = _figure(report.examples[start : start + ROWS], counts, stamp)
        paths += save(figure, Path(folder) / f'localisation_{number}', dpi=100)
    return paths


def _figure(examples: Sequence[Example], counts: dict[str, int], stamp: str) -> Figure:
    methods = list(examples[0].heats)
    size = (3.0 * (1 + len(methods)) + 0.9, 3.2 * len(examples) + 0.4)
    figure, grid = subplots(
        len(examples), 1 + len(methods), figsize=size, squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    extent = (0, FRAME, FRAME, 0)
    for axes, example in zip(grid, examples, strict=True):
        name = example.box.finding
        draw_xray(axes[0], example.image, extent)
        axes[0].set_title(f'score {example.score:.2f}', fontsize=9)
        axes[0].set_ylabel(f'{plain(name.replace("_", " "))} (1 of n = {counts[name]})\ny / pixels')
        for panel, method in zip(axes[1:], methods, strict=True):
            draw_xray(panel, example.image, extent)
            draw_heat(panel, example.heats[method], extent)
            panel.set_title(f'{method}: {describe(example.results[method])}', fontsize=9)
        for panel in axes:
            draw_box(panel, example.box)
            panel.set_xticks([0, 512, 1024])
            panel.set_yticks([0, 512, 1024])
            panel.tick_params(labelsize=8)
    for panel in grid[-1]:
        panel.set_xlabel('x / pixels')
    add_scale(figure, grid.ravel().tolist())
    figure.supxlabel(
        f"{stamp}\nBlue: the box of the table. Gray veil: beyond the network's crop. {NOTICE}",
        fontsize=8,
    )
    return figure
