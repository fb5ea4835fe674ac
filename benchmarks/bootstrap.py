"""Time the bootstrap by patient against a loop over scikit-learn.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bootstrap.py

Synthetic data of the size of ChestX-ray14's official test set: 25,596 images of 2,797 patients, the
images per patient drawn and every finding at about its prevalence there. Ours returns AUC and
average precision; the loop computes AUC only. The loop is measured on a few replicates and scaled.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation.areas.bootstrap import bootstrap_areas, patient_weights

# Positives of ChestX-ray14's official test list, in the order of Wang et al., 2017.
POSITIVES = (3279, 1069, 4658, 6112, 1748, 1623, 555, 2665, 1815, 925, 1093, 435, 1143, 86)


def make_data(images: int, patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (N, 14) of a middling model, labels (N, 14) and patients (N,)."""
    rng = np.random.default_rng(0)
    labels = (rng.random((images, len(POSITIVES))) < np.array(POSITIVES) / 25596).astype(np.float32)
    scores = (rng.standard_normal(labels.shape) + labels).astype(np.float32)
    return scores, labels, rng.integers(patients, size=images)


def timed(function: Callable, *args: object) -> tuple[float, float, np.ndarray]:
    """Wall-clock seconds, processor seconds and result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function(*args)
    return time.perf_counter() - wall, time.process_time() - processor, result


def loop(
    scores: np.ndarray, labels: np.ndarray, patients: np.ndarray, replicates: int
) -> np.ndarray:
    """Compute (R, K) AUCs one by one."""
    index, weights = patient_weights(patients, replicates)
    columns = list(zip(labels.T, scores.T, strict=True))
    return np.array(
        [[roc_auc_score(y, s, sample_weight=row[index]) for y, s in columns] for row in weights]
    )


def main() -> None:
    """Print both times, their ratio and the largest difference."""
    parser = argparse.ArgumentParser(description='Bootstrap by patient against scikit-learn.')
    parser.add_argument('--images', type=int, default=25596)
    parser.add_argument('--patients', type=int, default=2797)
    parser.add_argument('--replicates', type=int, default=1000)
    parser.add_argument('--loop-replicates', type=int, default=5)
    args = parser.parse_args()
    data = make_data(args.images, args.patients)
    runs = [timed(bootstrap_areas, *data, args.replicates) for _ in range(3)]
    wall, processor, (ours, _) = min(runs, key=lambda run: run[0])
    loop_wall, loop_processor, theirs = timed(loop, *data, args.loop_replicates)
    scale = args.replicates / args.loop_replicates
    print(f'{args.images:,} images, {len(POSITIVES)} classes, {args.patients:,} patients')
    print(
        f'ours          {args.replicates:,} replicates in {wall:.2f} s '
        f'({processor:.2f} s of processor), best of {len(runs)}'
    )
    print(
        f'scikit-learn  {args.loop_replicates} replicates in {loop_wall:.2f} s '
        f'({loop_processor:.2f} s of processor), scaled to {args.replicates:,}: '
        f'{loop_wall * scale:.0f} s'
    )
    print(f'ratio         {loop_wall * scale / wall:.0f}')
    # The first draws of a seed are the same whatever the number of replicates.
    print(f'largest difference {np.abs(ours[: len(theirs)] - theirs).max():.1e}')


if __name__ == '__main__':
    main()
