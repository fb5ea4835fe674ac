"""How well suspected labels are the wrong ones: python benchmarks/audit_labels.py PREDICTIONS.npz.

PREDICTIONS are of images that the model has not seen. Of their labels a share is flipped at random,
and those that cleanlab suspects are compared with those that were flipped. Labels that were wrong
before count as right, so on real data the precision is a lower bound; the phantom's are right.
The model was trained on right labels: one that was trained on flipped ones does worse.
"""

import argparse

import numpy as np

from mlrfnet_mm.evaluation import mean_defined, roc_auc
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.reports.audit.labels import find_suspects


def main() -> None:
    """Flip, suspect, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('predictions')
    parser.add_argument('--shares', type=float, nargs='+', default=[0.05, 0.2])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    p = load_predictions(args.predictions)
    auc = mean_defined(roc_auc(p.scores, p.labels))
    print(f'{p.stamp}: {len(p.images):,} images, {len(p.classes)} findings, mean AUC {auc:.3f}\n')
    print('| flipped | labels | suspected | precision | recall | precision of the 100 worst |')
    print('|---|---|---|---|---|---|')
    for share in args.shares:
        rows = []
        for seed in args.seeds:
            flipped = np.random.default_rng(seed).random(p.labels.shape) < share
            labels = np.where(flipped, 1 - p.labels, p.labels)
            suspects = find_suspects(p.scores, labels)
            right = np.array([flipped[suspect.row, suspect.finding] for suspect in suspects])
            total = flipped[~np.isnan(p.labels)].sum()
            rows.append((total, len(right), right.mean(), right.sum() / total, right[:100].mean()))
        mean, low, high = np.mean(rows, 0), np.min(rows, 0), np.max(rows, 0)
        cells = [f'{mean[k]:,.0f}' for k in (0, 1)]
        cells += [f'{mean[k]:.3f} ({low[k]:.3f}–{high[k]:.3f})' for k in (2, 3, 4)]
        print(f'| {share:.0%} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
