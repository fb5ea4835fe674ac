"""Curves of the AUC over the strength, one square per kind of degradation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlrfnet_mm import NOTICE
from mlrfnet_mm.datasets.transforms.degradation import DEGRADATIONS
from mlrfnet_mm.reports.output.drawing import BLUE, GRAY, plain, save, subplots
from mlrfnet_mm.reports.output.tables import Record
from mlrfnet_mm.reports.shift.robustness.tables import Robustness

COLUMNS = 3


def plot_robustness(found: Robustness, stem: str | Path) -> list[Path]:
    """Draw mean AUC with its interval, behind it each finding in gray, over the strengths.

    Args:
        found: of any kinds.
        stem: of ``.png`` and ``.svg``.
    """
    kinds = [kind for kind in DEGRADATIONS if any(r['kind'] == kind for r in found.records)]
    columns = min(COLUMNS, len(kinds))
    rows = -(-len(kinds) // columns)
    size = (3.3 * columns, 2.9 * rows + 0.6)
    figure, grid = subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
    names = list(dict.fromkeys(record['finding'] for record in found.by_finding))
    for axes, kind in zip(grid.flat, kinds, strict=False):
        degradation = DEGRADATIONS[kind]
        for name in names:
            own = [record for record in found.by_finding if record['finding'] == name]
            (line,) = axes.plot(_column(own, kind, 'auc'), color='#CCCCCC', linewidth=0.8)
        line.set_label('each finding')
        mean, low, high = (_column(found.records, kind, f'auc{e}') for e in ('', '_low', '_high'))
        places = np.arange(len(mean))
        axes.fill_between(places, low, high, color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(places, mean, 'o-', color=BLUE, markersize=4, label='mean, 95 % interval')
        axes.axhline(0.5, color=GRAY, linestyle=':')
        unit = ' '.join(degradation.unit.replace('{}', '').split())
        axes.set_title(degradation.title + (f' ({unit})' if unit else ''), fontsize=10)
        axes.set_xticks(places, ['clean', *(f'{s:g}' for s in degradation.strengths)])
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    for axes in grid[:, 0]:
        axes.set_ylabel('AUC')
    for axes in grid.flat[len(kinds) :]:
        axes.set_visible(False)
    grid[0, 0].legend(fontsize=8, loc='lower left')
    stamp = found.stamp
    figure.supxlabel(
        plain(
            f'{stamp["dataset"]} {stamp["protocol"]}/{stamp["split"]}, {stamp["model"]} '
            f'{stamp["sha256"]}. {NOTICE}'
        ),
        fontsize=8,
    )
    return save(figure, stem, dpi=100)


def _column(records: Sequence[Record], kind: str, key: str) -> list[float]:
    """A number at no degradation and at each strength, from weak to strong."""
    by_strength = {float(r['strength']): float(r[key]) for r in records if r['kind'] == kind}
    clean = next(float(r[key]) for r in records if r['kind'] == 'clean')
    return [clean, *(by_strength[s] for s in DEGRADATIONS[kind].strengths)]
