"""Decision curves: net benefit over threshold probabilities, one square per finding."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation import Calibration, Predictions
from mlrfnet_mm.evaluation.thresholds.net_benefit import DecisionCurves, decision_curves
from mlrfnet_mm.reports.output.drawing import BLUE, GRAY, RED, plain, save, subplots
from mlrfnet_mm.reports.scores.clinical.calibrated import decision_curve_table
from mlrfnet_mm.reports.scores.clinical.probabilities import probabilities
from mlrfnet_mm.reports.scores.statistics import UNITS


def plot_decision_curves(
    test: Predictions,
    calibration: Calibration | None,
    stem: str | Path,
    replicates: int = 1000,
    seed: int = 0,
    stamp: Mapping[str, str | int] | None = None,
) -> list[Path]:
    """Draw the curves of all findings, and write their points.

    Args:
        test: predictions.
        calibration: of the same checkpoint; without it the title says that the scores are not
            calibrated.
        stem: of ``.png``, ``.svg`` and ``.csv``.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
        stamp: in every row of the CSV, what it is based on.

    Returns:
        Their paths.

    Raises:
        ValueError: a calibration of something else; no finding with probabilities and both labels.
    """
    p, origin = probabilities(test, calibration)
    curves = decision_curves(p, test.labels, test.patients, replicates=replicates, seed=seed)
    names = test.classes.tolist()
    if np.isnan(curves.model).all():
        raise ValueError(
            f'{test.stamp}: no finding has probabilities and both positive and negative labels, so '
            'that there is nothing to draw'
        )
    columns = min(5, len(names))
    rows = -(-len(names) // columns)
    figure, cells = subplots(
        rows, columns, figsize=(2.4 * columns, 2.3 * rows + 1.1), squeeze=False
    )
    for k, (axes, name) in enumerate(zip(cells.flat, names, strict=False)):
        _draw(axes, curves, k)
        positives = np.nansum(test.labels[:, k])
        axes.set_title(f'{plain(name)}\nn = {positives:,.0f}', fontsize=8)
    for axes in cells.flat[len(names) :]:
        axes.remove()
    figure.supylabel('net benefit', fontsize=9)
    figure.suptitle(
        f'Decision curves: {plain(test.stamp)}, {len(test.images):,} {UNITS[test.unit]}\n'
        f'{plain(origin)}',
        fontsize=11,
    )
    figure.supxlabel(
        'threshold probability; solid: the model with nominal 95 % interval (bootstrap by '
        'patient), dashed: all called, gray: none called\n'
        f'n = {UNITS[test.unit]} with the finding. {NOTICE}',
        fontsize=8,
    )
    table = decision_curve_table(test, curves, origin)
    table.name = Path(stem).name
    based = {**(stamp or {}), 'probabilities': origin}
    return [*save(figure, stem), table.write_csv(Path(stem).parent, based)]


def _draw(axes: Axes, curves: DecisionCurves, k: int) -> None:
    """One finding; the square ends a little below 0, where calling all falls without end."""
    t = curves.thresholds
    axes.axhline(0, color=GRAY, linewidth=0.8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    axes.set_xlim(0, t[-1])
    if np.isnan(curves.model[:, k]).all():
        axes.text(0.5, 0.5, 'undefined', transform=axes.transAxes, ha='center', fontsize=8)
        return
    axes.plot(t, curves.everyone[:, k], color=RED, linestyle='--', linewidth=1)
    axes.plot(t, curves.model[:, k], color=BLUE, linewidth=1.4)
    axes.fill_between(t, *curves.model_ends[..., k], color=BLUE, alpha=0.2, linewidth=0)
    top = np.nanmax([curves.model[:, k].max(), curves.everyone[:, k].max(), 0.001])
    top = np.nanmax([top, *curves.model_ends[1, :, k]])
    axes.set_ylim(-0.25 * top, 1.08 * top)
    axes.locator_params(nbins=4)
