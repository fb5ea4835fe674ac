"""What the figures share: colours that colour-blind readers tell apart, PNG for screens, SVG."""

from pathlib import Path

import matplotlib

matplotlib.use('Agg')  # no display needed
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito, https://jfly.uni-koeln.de/color/, without their yellow, too pale for a line on white.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000')
DASHES = ('-', '--', ':')
BLUE, RED, GREY = COLOURS[0], COLOURS[1], '#999999'
NOTICE = 'Research use, not for diagnosis.'


def line_style(k: int) -> tuple[str, str]:
    """Colour and dashes of the k-th curve: 21 that differ."""
    return COLOURS[k % len(COLOURS)], DASHES[k // len(COLOURS) % len(DASHES)]


def square(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Set up a square of shares from 0 to 1."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=xlabel, ylabel=ylabel, aspect='equal')
    axes.grid(alpha=0.3)


def save(figure: Figure, stem: str | Path, dpi: int = 160) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``, without dates, so that equal figures are equal files."""
    paths = [Path(f'{stem}.png'), Path(f'{stem}.svg')]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    with plt.rc_context({'svg.hashsalt': 'mlrfnet_mm', 'svg.fonttype': 'path'}):
        figure.savefig(paths[0], dpi=dpi)
        figure.savefig(paths[1], metadata={'Date': None})
    plt.close(figure)
    return paths
