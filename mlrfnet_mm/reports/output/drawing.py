"""What the figures share: colors that color-blind readers tell apart, PNG for screens, SVG.

Figures are made without ``matplotlib.pyplot``: it holds a backend and a list of open figures for
the whole process, which are the user's.
"""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlrfnet_mm.evaluation.files.whole_files import replacing

# Okabe & Ito, https://jfly.uni-koeln.de/color/, without their yellow, too pale for a line on white.
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000')
DASHES = ('-', '--', ':')
BLUE, RED, GRAY = COLORS[0], COLORS[1], '#999999'


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float, float], **options: Any
) -> tuple[Figure, Any]:
    """Make a figure with a constrained layout and its axes, as ``pyplot.subplots`` does."""
    figure = Figure(figsize=figsize, layout='constrained')
    return figure, figure.subplots(rows, columns, **options)


def plain(text: str) -> str:
    r"""A text of others as it is: matplotlib would set what is between two dollars as mathematics.

    >>> plain('a $b$')
    'a \\$b\\$'
    """
    return text.replace('$', r'\$')


def line_style(k: int) -> tuple[str, str]:
    """Color and dashes of the k-th curve: 21 that differ."""
    return COLORS[k % len(COLORS)], DASHES[k // len(COLORS) % len(DASHES)]


def square(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Set up a square of shares from 0 to 1."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect='equal')
    axes.grid(alpha=0.3)


def save(figure: Figure, stem: str | Path, dpi: int = 160) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``, without dates, so that equal figures are equal files."""
    paths = [Path(f'{stem}.png'), Path(f'{stem}.svg')]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({'svg.hashsalt': 'mlrfnet_mm', 'svg.fonttype': 'path'}):
        with replacing(paths[0]) as part:
            figure.savefig(part, dpi=dpi)
        with replacing(paths[1]) as part:
            figure.savefig(part, metadata={'Date': None})
    return paths
