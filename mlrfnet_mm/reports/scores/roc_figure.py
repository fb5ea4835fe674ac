"""ROC and precision-recall curves of all findings with their areas (MLRFNet, Fig. 10)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.reports.output.drawing import BLUE, GRAY, line_style, plain, save, square, subplots
from mlrfnet_mm.reports.output.tables import Record, cell
from mlrfnet_mm.reports.scores.statistics import UNITS


class Kind(NamedTuple):
    """One kind of curve."""

    area: str  # its key in the records
    label: str  # of the area
    title: str
    axes: tuple[str, str]
    points: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def roc_points(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates of one class, corners only."""
    return roc_curve(labels, scores)[:2]


def pr_points(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall, rising from 0, and precision of one class: one point for each recall reached.

    Drawn as steps, each as high as at its right end, the area below is the average precision.
    """
    precision, recall, _ = precision_recall_curve(labels, scores)
    levels, first = np.unique(recall[::-1], return_index=True)  # highest threshold first
    heights = precision[::-1][first][1:]  # recall 0 reaches nothing
    return levels, np.concatenate([heights[:1], heights])


KINDS = dict(
    roc=Kind(
        'auc',
        'AUC',
        'ROC curves',
        ('1 − specificity (false positive rate)', 'sensitivity'),
        roc_points,
    ),
    pr=Kind(
        'ap',
        'average precision',
        'Precision-recall curves',
        ('recall (sensitivity)', 'precision (PPV)'),
        pr_points,
    ),
)


def plot_areas(
    predictions: Predictions,
    records: Sequence[Record],
    stem: str | Path,
    kind: str = 'roc',
    grid: bool = False,
) -> list[Path]:
    """Draw the curves of all findings.

    Args:
        predictions: K classes.
        records: areas and intervals, one finding each, the mean last: those of the table ``auc``
            of :func:`~mlrfnet_mm.reports.scores.statistics.evaluate_predictions`.
        stem: of ``.png`` and ``.svg``.
        kind: ``'roc'`` or ``'pr'``.
        grid: one small square per finding, in place of one square for all.

    Returns:
        The paths of PNG and SVG.
    """
    what = KINDS[kind]
    by_finding = {str(record['finding']): record for record in records}
    curves: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}
    for k, name in enumerate(predictions.classes.tolist()):
        y = predictions.labels[:, k]
        known = ~np.isnan(y)
        curves[name] = None
        if not np.isnan(float(by_finding[name][what.area])):
            curves[name] = what.points(y[known], predictions.scores[known, k])
    figure = (_grid if grid else _together)(what, curves, by_finding)
    mean = f'{what.label}, {records[-1]["finding"]}: {cell(records[-1], what.area)}'
    unit = UNITS[predictions.unit]
    figure.suptitle(
        f'{what.title}: {plain(predictions.stamp)}, {len(predictions.images):,} {unit} of '
        f'{len(np.unique(predictions.patients)):,} patients\n{mean}',
        fontsize=11,
    )
    figure.supxlabel(
        f'{what.label} with nominal 95 % interval (bootstrap by patient); n = {unit} with the '
        f'finding of {unit} with a known label. {NOTICE}',
        fontsize=7,
        color='#555555',
    )
    return save(figure, stem)


Curves = Mapping[str, tuple[np.ndarray, np.ndarray] | None]


def _together(what: Kind, curves: Curves, records: Mapping[str, Record]) -> Figure:
    """All curves in one square, areas in the legend."""
    figure, axes = subplots(figsize=(10.4, 6.2))
    square(axes, *what.axes)
    if what.area == 'auc':
        axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8)
    for k, (name, points) in enumerate(curves.items()):
        label = f'{plain(name)} {_legend(what, records[name])}'
        x, y = points or ([], [])
        color, dashes = line_style(k)
        (line,) = axes.plot(x, y, color=color, linestyle=dashes, drawstyle=_steps(what))
        line.set(label=label, linewidth=1.3)
    figure.legend(loc='outside right center', fontsize=8, frameon=False)  # room is made for it
    return figure


def _grid(what: Kind, curves: Curves, records: Mapping[str, Record]) -> Figure:
    """One square per finding, the others behind it in gray."""
    columns = min(5, len(curves))
    rows = -(-len(curves) // columns)
    figure, cells = subplots(rows, columns, figsize=(2.3 * columns, 2.6 * rows + 0.8))
    cells = np.atleast_1d(cells).ravel()
    for axes, (name, points) in zip(cells, curves.items(), strict=False):
        square(axes, '', '')
        axes.tick_params(labelsize=7)
        for other in curves.values():
            if other is not None:
                axes.plot(*other, color='#DDDDDD', linewidth=0.6, drawstyle=_steps(what))
        if points is not None:
            axes.plot(*points, color=BLUE, linewidth=1.5, drawstyle=_steps(what))
        _chance(axes, what, records[name])
        axes.set_title(f'{plain(name)}\n{_legend(what, records[name], apart=True)}', fontsize=8)
    for axes in cells[len(curves) :]:
        axes.remove()
    figure.supylabel(what.axes[1], fontsize=9)
    cells[columns * (rows - 1)].set_xlabel(what.axes[0], fontsize=9, loc='left')
    return figure


def _chance(axes: Axes, what: Kind, record: Record) -> None:
    """What a score without information gives: the diagonal, or the prevalence."""
    share = float(record['positives']) / max(float(record['n']), 1)
    ends = [0, 1] if what.area == 'auc' else [share, share]
    axes.plot([0, 1], ends, color=GRAY, linewidth=0.8, linestyle='--')


def _steps(what: Kind) -> str:
    """Precision holds until the next recall: no line between two of its points is reached."""
    return 'default' if what.area == 'auc' else 'steps-pre'


def _legend(what: Kind, record: Record, apart: bool = False) -> str:
    """Area, interval and counts of one finding."""
    area = cell(record, what.area)
    area = 'undefined' if area == '–' else area
    return f'{area}{chr(10) if apart else ", "}n = {record["positives"]:,} of {record["n"]:,}'
