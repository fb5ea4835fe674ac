"""Reliability curves before and after calibration: observed share against mean probability."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation import (
    Calibration,
    Predictions,
    calibration_error,
    reliability_curve,
    roc_auc,
)
from mlrfnet_mm.evaluation.calibration.reliability import BINS, defined
from mlrfnet_mm.evaluation.files.pairing import check_site
from mlrfnet_mm.reports.output.drawing import BLUE, GRAY, RED, plain, save, subplots

BEFORE = dict(color=RED, marker='s', linestyle='--', markersize=3, linewidth=1, label='before')
AFTER = dict(color=BLUE, marker='o', linestyle='-', markersize=3, linewidth=1, label='after')


def plot_reliability(
    predictions: Predictions, calibration: Calibration | None, stem: str | Path, site: str = ''
) -> list[Path]:
    """Draw one square per finding, bins of equal count; axes end at the largest value of each.

    Args:
        predictions: what to draw it on, not what the calibration was fitted on if there is other.
        calibration: None draws the scores alone.
        stem: of ``.png`` and ``.svg``.
        site: see :func:`~mlrfnet_mm.evaluation.files.pairing.check_site`.

    Raises:
        ValueError: the calibration is for another site or other classes, or for studies where these
            are images; predictions in which no finding has both labels.
    """
    names = predictions.classes.tolist()
    if np.isnan(roc_auc(predictions.scores, predictions.labels)).all():
        raise ValueError(
            f'{predictions.stamp}: no finding has both positive and negative labels, so that there '
            'is nothing to draw'
        )
    if calibration is not None and calibration.unit != predictions.unit:
        raise ValueError(
            f'units differ: the calibration is for each {calibration.unit}, the predictions are of '
            f'each {predictions.unit}; fit one with mlrfnet calibrate --unit {predictions.unit}'
        )
    if calibration is not None:
        check_site(calibration, predictions, site)
    if calibration is not None and list(calibration.classes) != names:
        raise ValueError(f'classes differ: {names} and in the calibration {calibration.classes}')
    courses = [(np.asarray(predictions.scores, float), BEFORE)]
    if calibration is not None:
        courses.append((calibration.apply(predictions.scores), AFTER))
    columns = min(5, len(names))
    rows = -(-len(names) // columns)
    figure, cells = subplots(
        rows,
        columns,
        figsize=(2.3 * columns, 2.55 * rows + 0.9),
        squeeze=False,
    )
    errors = [calibration_error(p, predictions.labels) for p, _ in courses]
    for k, (axes, name) in enumerate(zip(cells.flat, names, strict=False)):
        for p, style in courses:
            _draw(axes, p[:, [k]], predictions.labels[:, [k]], style)
        ece = ' → '.join('–' if np.isnan(error[k]) else f'{error[k]:.3f}' for error in errors)
        n = np.nansum(predictions.labels[:, k])
        axes.set_title(f'{plain(name)}\nECE {ece}, n = {n:,.0f}', fontsize=8)
        _frame(axes)
    for axes in cells.flat[len(names) :]:
        axes.remove()
    figure.supylabel('observed share of images with the finding', fontsize=9)
    source = 'scores as they are'
    if calibration is not None:
        source = f'{calibration.method} calibration fitted on {calibration.stamp}'
        if calibration.stamp == predictions.stamp:
            source += ' (the same set: optimistic)'
    figure.suptitle(
        f'Reliability: {plain(predictions.stamp)}, {len(predictions.images):,} images; {source}',
        fontsize=11,
    )
    figure.supxlabel(
        f'mean probability in each of {BINS} bins of equal count (dashed: before, solid: after '
        'calibration; gray: perfect)\n'
        f'ECE: {BINS} bins of equal width, before → after; n = images with the finding. {NOTICE}',
        fontsize=8,
    )
    return save(figure, stem)


def _draw(axes: Axes, p: np.ndarray, labels: np.ndarray, style: dict) -> None:
    """One curve of one finding, (N, 1) each; nothing where it is not defined."""
    if len(defined(p, labels)):
        curve = reliability_curve(p[:, 0], labels[:, 0], strategy='quantile')
        axes.plot(curve.predicted, curve.observed, **style)


def _frame(axes: Axes) -> None:
    """A square from 0 to the largest value, with the diagonal."""
    drawn = [np.asarray(data, float) for line in axes.get_lines() for data in line.get_data()]
    end = 1.05 * max([0.01, *(values.max() for values in drawn)])
    axes.plot([0, end], [0, end], color=GRAY, linewidth=0.8)
    axes.set(xlim=(-0.02 * end, end), ylim=(-0.02 * end, end), aspect='equal')
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
