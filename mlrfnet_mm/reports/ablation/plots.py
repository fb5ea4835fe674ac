"""Forest plot of a table's rows; λ combinations (MLRFNet, Fig. 6); training losses (Fig. 7)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mlrfnet_mm.reports.ablation.results import RowResult
from mlrfnet_mm.reports.output.drawing import BLUE, GRAY, RED, line_style, save, subplots

COLORS = 'cividis'  # made for color-blind readers too; dark is low


def plot_forest(rows: Sequence[RowResult], title: str, stem: Path) -> list[Path]:
    """Draw each row's mean AUC, its seeds, and its difference to the first row.

    Args:
        rows: the base first.
        title: above the picture.
        stem: path without suffix.

    Returns:
        Paths of the PNG and the SVG.
    """
    height = 1.6 + 0.45 * len(rows)
    figure, (left, right) = subplots(1, 2, figsize=(11, height), sharey=True)
    for y, result in enumerate(rows):
        color = BLUE if y else RED
        if not result.seeds:
            left.text(0.5, y, 'not run', transform=left.get_yaxis_transform(), **CENTER)
            continue
        left.plot(result.aucs, np.full(len(result.aucs), y + 0.18), '|', color=GRAY)
        _point(left, y, result.mean, result.interval, color)
        if y:
            gap = result.difference(rows[0])
            _point(right, y, gap.mean, gap.ends, color)
    right.axvline(0, color=RED, linewidth=1, linestyle='--')
    left.set_yticks(range(len(rows)), [result.row.label for result in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_xlabel('mean AUC; gray: each seed')
    right.set_xlabel('paired difference to the first row')
    for axes in (left, right):
        axes.grid(axis='x', alpha=0.3)
        axes.spines[['top', 'right']].set_visible(False)
    figure.suptitle(f'{title}\nnominal 95 % intervals', fontsize=11)
    return save(figure, stem)


CENTER = dict(ha='center', va='center', color=GRAY, style='italic')


def _point(axes: Axes, y: int, value: float, interval: np.ndarray, color: str) -> None:
    """Draw a value with its interval; nothing where it is undefined."""
    if not np.isnan(value):
        ends = np.abs(np.asarray(interval) - value)[:, None]
        axes.errorbar(value, y, xerr=ends, fmt='o', color=color, capsize=3)


def plot_losses(rows: Sequence[RowResult], title: str, stem: Path) -> list[Path]:
    """Draw the training loss over the epochs of the rows, one line per seed.

    Rows with another loss function than the first are left out: they have another scale.

    Args:
        rows: the base first.
        title: above the picture.
        stem: path without suffix; ``_loss`` is added.

    Returns:
        Paths of the PNG and the SVG; none where nothing is logged.
    """
    figure, axes = subplots(figsize=(8, 4.2))
    kind = rows[0].row.config.model.head.get('loss')
    for k, result in enumerate(rows):
        color, dashes = line_style(k)
        if result.row.config.model.head.get('loss') != kind:
            continue
        for losses in filter(None, result.losses):
            (line,) = axes.plot(list(losses), list(losses.values()), dashes, color=color)
            line.set_marker('.')
        if any(result.losses):
            line.set_label(result.row.label)
    if not axes.lines:
        return []
    axes.set(xlabel='epoch', ylabel='training loss, one line per seed')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(loc='outside right center', fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=11)
    return save(figure, stem.with_name(f'{stem.name}_loss'))


def plot_lam(rows: Sequence[RowResult], title: str, stem: Path) -> list[Path]:
    """Draw the paper's 3-D scatter of the λ combinations, and the same as plain heat maps.

    Args:
        rows: one per combination, ``row.value`` = λ of the three levels; those not run stay empty.
        title: above the pictures.
        stem: path without suffix; ``_scatter`` and ``_heatmap`` are added.

    Returns:
        Paths of the pictures.
    """
    lam = np.array([result.row.value for result in rows])
    auc = np.array([result.mean for result in rows])
    scatter = Figure(figsize=(7, 6), layout='constrained')
    axes = scatter.add_subplot(projection='3d')
    done = ~np.isnan(auc)
    points = axes.scatter(*lam[done].T, c=auc[done], cmap=COLORS, s=120, depthshade=False)
    axes.scatter(*lam[~done].T, marker='x', color=GRAY, depthshade=False)
    ticks = [np.unique(column) for column in lam.T]
    axes.set(xlabel='λ1 (U2)', ylabel='λ2 (U3)', zlabel='λ3 (U4)')
    axes.set(xticks=ticks[0], yticks=ticks[1], zticks=ticks[2])
    axes.set_box_aspect(None, zoom=0.85)  # leaves room for the label of the vertical axis
    scatter.colorbar(points, ax=axes, label='mean AUC (×: not run)', shrink=0.7, pad=0.1)
    scatter.suptitle(title, fontsize=11)
    paths = save(scatter, stem.with_name(f'{stem.name}_scatter'))
    return paths + save(_heat_maps(lam, auc, ticks, title), stem.with_name(f'{stem.name}_heatmap'))


def _heat_maps(lam: np.ndarray, auc: np.ndarray, ticks: Sequence[np.ndarray], title: str) -> Figure:
    """Draw one map of λ1 × λ2 for each λ3, in one scale of colors."""
    figure, panels = subplots(1, len(ticks[2]), figsize=(11, 4.2), squeeze=False)
    norm = Normalize(np.nanmin(auc), np.nanmax(auc))
    for panel, third in zip(panels[0], ticks[2], strict=True):
        grid = np.full((len(ticks[0]), len(ticks[1])), np.nan)
        for (a, b, c), value in zip(lam, auc, strict=True):
            if c == third:
                grid[np.searchsorted(ticks[0], a), np.searchsorted(ticks[1], b)] = value
        image = panel.imshow(grid, cmap=COLORS, norm=norm, origin='lower')
        for (i, j), value in np.ndenumerate(grid):
            text = 'not run' if np.isnan(value) else f'{value:.3f}'
            dark = not np.isnan(value) and norm(value) < 0.5
            panel.text(j, i, text, ha='center', va='center', color='white' if dark else 'black')
        panel.set_xticks(range(len(ticks[1])), ticks[1])
        panel.set_yticks(range(len(ticks[0])), ticks[0])
        panel.set(title=f'λ3 = {third:g}', xlabel='λ2', ylabel='λ1')
    figure.colorbar(image, ax=panels, label='mean AUC')
    figure.suptitle(title, fontsize=11)
    return figure
