"""Forest plot: AUC of each group and finding with its interval, and differences next to it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation.groups.compare import GroupComparison
from mlrfnet_mm.reports.output.drawing import COLORS, GRAY, plain, save, subplots
from mlrfnet_mm.reports.scores.groups.tables import file_name

MARKERS = 'osD'  # for up to 21 groups, after each 7 colors


def plot_forest(
    comparisons: Sequence[GroupComparison], title: str, folder: str | Path
) -> list[Path]:
    """Draw ``forest_<column>.png`` and ``.svg`` of each grouping.

    Args:
        comparisons: what :func:`~mlrfnet_mm.evaluation.groups.compare.compare_groups` returned.
        title: what was evaluated, as the predictions' stamp.
        folder: of the pictures.
    """
    return [path for comparison in comparisons for path in _plot(comparison, title, Path(folder))]


def _plot(comparison: GroupComparison, title: str, folder: Path) -> list[Path]:
    """One grouping: findings from above, the mean last."""
    groups, measure = comparison.grouping.groups, comparison.measures['auc']
    rows = [*comparison.classes.tolist(), f'mean of {comparison.averaged.sum()} common']
    height = 1.8 + 0.1 * len(rows) * (len(groups) + 1)
    figure, (left, right) = subplots(
        1, 2, figsize=(10, height), sharey=True, gridspec_kw=dict(width_ratios=(3, 2))
    )
    _draw(left, comparison, measure.values, measure.interval)
    _draw(right, comparison, measure.difference, measure.difference_interval)
    left.set(xlabel='AUC', yticks=np.arange(len(rows)), ylim=(len(rows) - 0.4, -0.6))
    left.set_yticklabels([plain(row) for row in rows], fontsize=8)
    right.set_xlabel(f'difference to {plain(groups[comparison.reference])}')
    right.axvline(0, color=GRAY, linewidth=0.8)
    for axes in (left, right):
        axes.grid(axis='x', alpha=0.3)
        axes.tick_params(labelsize=8)
        axes.axhline(len(rows) - 1.5, color=GRAY, linewidth=0.8)
    handles, labels = left.get_legend_handles_labels()
    columns = min(4, len(groups))
    figure.legend(handles, labels, loc='outside upper center', ncols=columns, fontsize=8)
    heading = f'{plain(title)}, by {plain(comparison.grouping.name)}'
    left.set_title(heading, loc='left', fontsize=11)
    figure.supxlabel(
        'Nominal 95 % intervals, bootstrap over patients; differences paired by patient. Findings '
        f'with too few patients in a group have no mark there. {NOTICE}',
        fontsize=7,
        color='#555555',
    )
    return save(figure, folder / f'forest_{file_name(comparison.grouping.name)}')


def _draw(
    axes: Axes, comparison: GroupComparison, values: np.ndarray, interval: np.ndarray
) -> None:
    """Marks and intervals of all groups, (G, K + 1) and (2, G, K + 1)."""
    groups = comparison.grouping.groups
    step = 0.8 / max(len(groups), 2)
    for g, group in enumerate(groups):
        y = np.arange(values.shape[1]) + (g - (len(groups) - 1) / 2) * step
        color = COLORS[g % len(COLORS)]
        n = f'{comparison.images[g]:,} images, {comparison.patients[g]:,} patients'
        label = f'{plain(group)}\n({n})'
        axes.hlines(y, interval[0, g], interval[1, g], color=color, linewidth=1.2)
        axes.plot(values[g], y, MARKERS[g // len(COLORS)], color=color, markersize=4, label=label)
