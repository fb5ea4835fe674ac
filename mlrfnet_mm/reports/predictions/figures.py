"""An X-ray next to its highest scores (MLRFNet, Fig. 12), and under its heat maps."""

from collections.abc import Collection, Mapping
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlrfnet_mm import NOTICE
from mlrfnet_mm.inference.decisions import Decisions, ranked, value_of
from mlrfnet_mm.reports.localisation.heat_figure import add_scale, draw_heat, draw_xray
from mlrfnet_mm.reports.output.drawing import BLUE, GRAY, RED, plain, subplots
from mlrfnet_mm.xrays.files import Xray

SIDE = 640  # pixels of the longer side that are drawn
TOP = 7  # bars, as in the paper


def _shrink(image: np.ndarray, interpolation: int) -> np.ndarray:
    height, width = image.shape
    factor = SIDE / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=interpolation)


def _panel(axes: Axes, xray: Xray) -> tuple[float, float, float, float]:
    """Draw the X-ray with its axes in millimeters, or in pixels; return the extent."""
    height, width = xray.pixels.shape
    down, across = xray.spacing or (1.0, 1.0)
    extent = (0.0, width * across, height * down, 0.0)
    draw_xray(axes, _shrink(xray.pixels, cv2.INTER_AREA), extent)
    unit = 'mm' if xray.spacing else 'pixels'
    axes.set(xlabel=f'x / {unit}', ylabel=f'y / {unit}')
    axes.tick_params(labelsize=8)
    return extent


def scores_figure(
    xray: Xray, findings: Mapping[str, dict[str, Any]], truth: Collection[str] | None, stamp: str
) -> Figure:
    """Draw the image next to its ``TOP`` highest probabilities (scores, if uncalibrated).

    Args:
        xray: the image.
        findings: see :meth:`Decisions.read`.
        truth: findings of the image's label, which are marked; None if it has no label.
        stamp: of the model.
    """
    names = ranked(findings)[:TOP]
    figure, (left, right) = subplots(1, 2, figsize=(9.0, 4.3))
    _panel(left, xray)
    calibrated = any(row['probability'] is not None for row in findings.values())
    _bars(right, {name: findings[name] for name in names}, truth or (), calibrated)
    kind = 'calibrated probability' if calibrated else 'score (uncalibrated)'
    if calibrated and any(findings[name]['probability'] is None for name in names):
        kind += '; hollow: score, not calibrated'
    right.set(xlim=(0, 1), xlabel=kind, title=f'top {len(names)} of {len(findings)} findings')
    explained = []
    if any(findings[name]['threshold'] is not None for name in names):
        explained.append('Black line: threshold.')
    if truth is not None:
        rest = sorted(set(truth) - set(names))
        explained.append('✓, hatched: labeled finding.' if truth else 'Label: no finding.')
        explained += [f'Labeled too: {plain(", ".join(rest))}.'] if rest else []
    figure.supxlabel(f'{" ".join(explained)}\n{plain(stamp)}. {NOTICE}'.strip(), fontsize=8)
    return figure


def _bars(
    axes: Axes, findings: Mapping[str, dict[str, Any]], truth: Collection[str], calibrated: bool
) -> None:
    """Draw a bar for each finding from the top down; those of ``truth`` hatched and ticked.

    Among probabilities a mere score is hollow.
    """
    for place, (name, row) in enumerate(findings.items()):
        value = value_of(row)
        (bar,) = axes.barh(place, value, height=0.7, color=BLUE, edgecolor='white')
        if name in truth:
            bar.set(facecolor=RED, hatch='//')
        if calibrated and row['probability'] is None:
            bar.set(facecolor='none', edgecolor=RED if name in truth else BLUE)
        if row['threshold'] is not None:
            axes.plot([row['threshold']] * 2, [place - 0.42, place + 0.42], color='black', lw=2)
        margin: dict[str, Any] = dict(transform=axes.get_yaxis_transform(), va='center', fontsize=9)
        axes.text(1.02, place, f'{value:.2f}', **margin)  # where no bar or line is
    names = [f'{plain(name.replace("_", " "))}{" ✓" if name in truth else ""}' for name in findings]
    axes.set_yticks(range(len(findings)), names)
    for text, name in zip(axes.get_yticklabels(), findings, strict=True):
        text.set_fontweight('bold' if name in truth else 'normal')
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.invert_yaxis()
    axes.grid(axis='x', color=GRAY, alpha=0.3)


def heats_figure(
    xray: Xray,
    findings: Mapping[str, dict[str, Any]],
    heats: Mapping[str, np.ndarray],
    method: str,
    stamp: str,
) -> Figure:
    """Draw the image, and next to it the heat map of each finding in ``heats`` (H, W) over it."""
    count = 1 + len(heats)
    figure, grid = subplots(1, count, figsize=(3.0 * count + 0.8, 3.9), squeeze=False, sharey=True)
    extent = _panel(grid[0, 0], xray)
    grid[0, 0].set_title('image', fontsize=9)
    for axes, (name, heat) in zip(grid[0, 1:], heats.items(), strict=True):
        _panel(axes, xray)
        axes.set_ylabel('')
        draw_heat(axes, _shrink(heat, cv2.INTER_NEAREST), extent)
        row = findings[name]
        decision = f', {row["decision"]}' if row['decision'] else ''
        if row['probability'] is None:
            decision += ' (score)'
        axes.set_title(f'{plain(name.replace("_", " "))} {value_of(row):.2f}{decision}', fontsize=9)
    add_scale(figure, grid.ravel().tolist())
    veil = "Gray veil: beyond the network's crop. " if any(map(_has_nan, heats.values())) else ''
    figure.supxlabel(f'{method} heat maps. {veil}\n{plain(stamp)}. {NOTICE}', fontsize=8)
    return figure


def _has_nan(heat: np.ndarray) -> bool:
    return bool(np.isnan(heat).any())


def calibration_figure(
    decisions: Decisions, findings: Mapping[str, dict[str, Any]]
) -> Figure | None:
    """Draw how scores become probabilities, with this study's findings on the curves.

    The ``TOP`` most probable findings; None without a calibration.
    """
    if decisions.calibration is None:
        return None
    grid = np.linspace(0.001, 0.999, 400)
    curves = decisions.calibration.apply(np.repeat(grid[:, None], len(decisions.classes), 1))
    figure, axes = subplots(figsize=(6.0, 4.0))
    for name in ranked(findings)[:TOP]:
        k = decisions.classes.index(name)
        (line,) = axes.plot(grid, curves[:, k], label=plain(name.replace('_', ' ')))
        row = findings[name]
        if row['probability'] is not None:
            axes.plot(row['score'], row['probability'], 'o', color=line.get_color(), mec='black')
    axes.plot([0, 1], [0, 1], color=GRAY, ls=':', label='unchanged')
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel='score of the model', ylabel='calibrated probability')
    axes.legend(fontsize=8, loc='center left', bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3)
    return figure
