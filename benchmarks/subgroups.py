"""Time the subgroup tables of a test set of the size of ChestX-ray14's in protocol chexnet.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/subgroups.py

Synthetic data: 22,433 images of 6,187 patients, fourteen findings at about their prevalence, and
four columns: sex, age in three bands, view, and four devices. Thresholds and probabilities are
given, so that every measure is computed: AUC, sensitivity, specificity, prevalence, calibration.
"""

import argparse
import time

import numpy as np
from bootstrap import POSITIVES
from scipy.special import expit

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.groups.compare import compare_groups
from mlrfnet_mm.evaluation.groups.grouping import group_by


def make_predictions(images: int, patients: int) -> tuple[Predictions, dict[str, np.ndarray]]:
    """Predictions of a middling model, and the column of devices."""
    rng = np.random.default_rng(0)
    owner = rng.integers(patients, size=images)
    labels = (rng.random((images, len(POSITIVES))) < np.array(POSITIVES) / 25596).astype(np.float32)
    scores = expit(rng.standard_normal(labels.shape) + labels - 1).astype(np.float32)
    predictions = Predictions(
        scores=scores,
        labels=labels,
        images=np.arange(images).astype(str),
        patients=owner.astype(str),
        classes=np.array([f'finding {k}' for k in range(len(POSITIVES))]),
        stamp='synthetic official/test',
        views=rng.choice(['PA', 'AP'], images),
        sexes=rng.choice(['F', 'M'], patients)[owner],
        ages=rng.integers(18, 90, patients)[owner].astype(float),
    )
    return predictions, dict(device=rng.choice(list('ABCD'), images))


def main() -> None:
    """Print wall-clock and processor time, the best of three."""
    parser = argparse.ArgumentParser(description='Subgroups with four columns.')
    parser.add_argument('--images', type=int, default=22433)
    parser.add_argument('--patients', type=int, default=6187)
    parser.add_argument('--replicates', type=int, default=1000)
    args = parser.parse_args()
    test, columns = make_predictions(args.images, args.patients)
    times = []
    for _ in range(3):
        wall, processor = time.perf_counter(), time.process_time()
        groupings = [group_by(test, by, columns) for by in ('sex', 'age', 'view', 'device')]
        thresholds = np.full(len(POSITIVES), 0.5)
        compare_groups(test, groupings, thresholds, test.scores.astype(float), args.replicates)
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    wall, processor = min(times, key=lambda pair: pair[1])
    groups = ', '.join(f'{grouping.name} {len(grouping.groups)}' for grouping in groupings)
    print(
        f'{args.images:,} images, {args.patients:,} patients, {len(POSITIVES)} findings; {groups}'
    )
    print(f'{args.replicates:,} replicates: {processor:.2f} s of processor, {wall:.2f} s by clock')


if __name__ == '__main__':
    main()
