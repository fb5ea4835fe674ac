"""AUC of the students over their time: python benchmarks/students.py TABLE.csv TIMES.md STEM.

TABLE.csv is what ``mlrfnet ablate configs/distill`` wrote, TIMES.md what ``benchmarks/runtime.py
mlrfnet_xray14 distill/…`` printed. Prints a table and draws STEM.png and STEM.svg: batch 1, as
exported with OpenVINO. The AUC is that of float32, and is drawn over its time only.
"""

import argparse
import re
from pathlib import Path

import pandas as pd
from matplotlib.ticker import NullFormatter

from mlrfnet_mm.reports.output.drawing import BLUE, RED, save, subplots

WAYS = ('openvino fp32', 'openvino int8')
TIME = re.compile(r'^\| `(\S+)` \| \d+ \| 1 \| (openvino \w+) \| ([\d.]+) ', re.M)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('table', type=Path)
    parser.add_argument('times', type=Path)
    parser.add_argument('stem', type=Path)
    return parser.parse_args()


def main() -> None:
    """Join both, print and draw."""
    args = parse_args()
    rows = pd.read_csv(args.table, na_values='not run').dropna(subset='ours')
    times = {(net, way): float(ms) for net, way, ms in TIME.findall(args.times.read_text())}
    figure, axes = subplots(1, 1, figsize=(7.5, 5))
    print(f'| network | mean AUC (95 %) | {" | ".join(f"{way}, ms" for way in WAYS)} |')
    print('|---|---:|---:|---:|')
    for row in rows.itertuples():
        alone = row.name.removesuffix('_distilled')
        name = 'mlrfnet_xray14' if row.name == 'base' else f'distill/{alone}'
        spent = [times[name, way] for way in WAYS]
        shown = ' | '.join(f'{ms:.1f}' for ms in spent)
        interval = f'{row.ours:.3f} ({row.ours_low:.3f}–{row.ours_high:.3f})'
        print(f'| {row.label} | {interval} | {shown} |')
        taught = row.name != alone
        ends = [[row.ours - row.ours_low], [row.ours_high - row.ours]]
        axes.errorbar(
            spent[0] * (1.02 if taught else 0.98),  # side by side
            row.ours, yerr=ends, fmt='o', color=RED if taught else BLUE, capsize=2,
        )  # fmt: skip
        if not taught:
            tops = rows.ours_high[rows.name.str.removesuffix('_distilled') == row.name]
            label, place = row.label.partition(',')[0], (0.97 * spent[0], tops.max())
            axes.annotate(label, place, (0, 4), textcoords='offset points', fontsize=9)
    axes.plot([], [], 'o', color=BLUE, label='alone')
    axes.plot([], [], 'o', color=RED, label='distilled')
    axes.set(xscale='log', xlabel=f'ms per image, batch 1, {WAYS[0]}', ylabel='mean AUC (95 %)')
    axes.set_xticks([5, 10, 20, 50], ['5', '10', '20', '50'])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(5, 80)
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    save(figure, args.stem)


if __name__ == '__main__':
    main()
