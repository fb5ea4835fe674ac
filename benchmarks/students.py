"""AUC of the students over their time: python benchmarks/students.py TABLE.csv TIMES.md STEM.

TABLE.csv is what ``mlrfnet ablate configs/distill`` wrote, TIMES.md what ``benchmarks/runtime.py
mlrfnet_xray14 distill/…`` printed. Prints a table and draws STEM.png and STEM.svg: batch 1, as
exported with OpenVINO.
"""

import argparse
import re
from pathlib import Path

import pandas as pd

from mlrfnet_mm.reports.output.drawing import BLUE, RED, save, subplots

WAYS = {'openvino fp32': ('o', BLUE), 'openvino int8': ('s', RED)}
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
        for ms, (marker, color) in zip(spent, WAYS.values(), strict=True):
            x = ms * (1.03 if taught else 1)  # side by side
            axes.errorbar(
                x, row.ours, yerr=ends, fmt=marker, color=color, capsize=2, alpha=0.8,
                markerfacecolor='white' if taught else color,
            )  # fmt: skip
        if not taught:
            label = row.label.partition(',')[0]
            axes.annotate(label, (spent[0], row.ours), (6, 6), textcoords='offset points')
    for way, (marker, color) in WAYS.items():
        axes.plot([], [], marker, color=color, label=way)
    axes.plot([], [], 'o', color='gray', markerfacecolor='white', label='distilled')
    axes.set(xscale='log', xlabel='ms per image, batch 1 at 224 pixels', ylabel='mean AUC')
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    save(figure, args.stem)


if __name__ == '__main__':
    main()
