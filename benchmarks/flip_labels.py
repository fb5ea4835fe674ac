"""A second reference with planted errors, to see whether ``mlrfnet evaluate --labels`` finds them.

``python benchmarks/flip_labels.py PREDICTIONS.npz LABELS.csv``

Writes a table of the predictions' own labels of which a share is flipped at random, and prints what
is then to be expected. With prevalence π and share q the labels have a sensitivity of π (1 - q) /
(π (1 - q) + (1 - π) q) and a PPV of 1 - q, and the AUC by the table is ::

    a (1 - b) A + (a b + (1 - a) (1 - b)) / 2 + (1 - a) b (1 - A)

where A is the AUC by the labels, and a and b are the shares that have the finding of the table's
positives and negatives.
"""

import argparse
import csv

import numpy as np

from mlrfnet_mm.evaluation import Predictions, roc_auc


def expected(auc: float, prevalence: float, q: float) -> tuple[float, float, float]:
    """Difference of the AUCs, sensitivity and PPV of the labels."""
    both, labels = prevalence * (1 - q), prevalence * q
    table, neither = (1 - prevalence) * q, (1 - prevalence) * (1 - q)
    a, b = both / (both + table), labels / (labels + neither)
    even = (a * b + (1 - a) * (1 - b)) / 2
    return a * (1 - b) * auc + even + (1 - a) * b * (1 - auc) - auc, a, 1 - q


def main() -> None:
    """Flip, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('npz', metavar='NPZ', help='predictions')
    parser.add_argument('table', metavar='CSV', help='to be written')
    parser.add_argument('--share', type=float, default=0.1, help='of the labels, flipped')
    parser.add_argument('--seed', type=int, default=0, help='of the draw')
    args = parser.parse_args()
    p = Predictions.load(args.npz)
    flipped = np.random.default_rng(args.seed).random(p.labels.shape) < args.share
    labels = np.abs(p.labels - flipped)  # NaN stays
    with open(args.table, 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['image', *p.classes])
        for image, row in zip(p.images, labels, strict=True):
            rows.writerow([image, *('' if np.isnan(y) else int(y) for y in row)])
    for name, auc, y in zip(p.classes, roc_auc(p.scores, p.labels), p.labels.T, strict=True):
        values = expected(auc, float(np.nanmean(y)), args.share)
        print(f'{name:20}difference {values[0]:.3f}, Se {values[1]:.3f}, PPV {values[2]:.3f}')


if __name__ == '__main__':
    main()
