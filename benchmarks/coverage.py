"""Coverage of 95 % intervals of the AUC and errors of its tests, by simulation.

``python benchmarks/coverage.py``

Each simulated test set has patients with 1 to 10 images. Scores are normal, with the given
intraclass correlation within a patient; those of positives are shifted so that the true AUC is 0.76
(a shift of 1). Labels are of patients (``by patient``: all images of a patient alike) or of images.
The second model is as good as the first and correlated with it: any rejection is an error. Printed
are shares of the sets in which the method gives an interval or a p.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

from mlrfnet_mm.evaluation import (
    average_precision,
    bootstrap_areas,
    delong_interval,
    delong_test,
    percentile_interval,
)

SHIFT = 1.0
TRUE_AUC = norm.cdf(SHIFT / 2**0.5)


def draw(
    rng: np.random.Generator, patients: int, positives: int, icc: float, several: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models' scores (N, 2), labels (N,) and patients (N,); ``positives`` positive patients."""
    count = rng.integers(1, 11, patients) if several else np.ones(patients, int)
    index = np.repeat(np.arange(patients), count)
    labels = (index < positives).astype(float)
    parts = [np.sqrt(w) * rng.standard_normal((patients, 3))[index] for w in (icc,)]
    parts.append(np.sqrt(1 - icc) * rng.standard_normal((len(index), 3)))
    common, *own = sum(parts).T
    scores = np.stack([(common + x) / 2**0.5 for x in own], 1) + SHIFT * labels[:, None]
    return scores, labels, index


def shares(
    sets: int, patients: int, positives: int, icc: float, several: bool, replicates: int
) -> Iterator[tuple[str, float]]:
    """Coverage of three intervals and of average precision's, errors of three tests."""
    rng = np.random.default_rng([patients, positives, int(10 * icc), several])
    truth = []  # of average precision, which depends on the prevalence: a large set
    hits: dict[str, list[bool]] = {}
    for number in range(sets):
        scores, labels, index = draw(rng, patients, positives, icc, several)
        y, a, b = labels[:, None], scores[:, :1], scores[:, 1:]
        auc, ap = bootstrap_areas(a, y, index, replicates, number)
        other, _ = bootstrap_areas(b, y, index, replicates, number)
        gaps = percentile_interval(auc - other)[:, 0]
        found = {
            'DeLong': delong_interval(a, y)[:, 0],
            'clustered': delong_interval(a, y, index)[:, 0],
            'bootstrap': percentile_interval(auc)[:, 0],
        }
        for name, (low, high) in found.items():
            hits.setdefault(name, []).append(low <= TRUE_AUC <= high)
        truth.append((average_precision(a, y)[0], *percentile_interval(ap)[:, 0]))
        for name, p in (('', delong_test(a, b, y)), (' clustered', delong_test(a, b, y, index))):
            hits.setdefault(f'error{name}', []).append(p[0] < 0.05)
        hits.setdefault('error bootstrap', []).append(not gaps[0] <= 0 <= gaps[1])
    values, low, high = np.array(truth).T
    hits['AP'] = list((low <= values.mean()) & (values.mean() <= high))
    yield from ((name, float(np.mean(values))) for name, values in hits.items())


def main() -> None:
    """Simulate and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--sets', type=int, default=500, help='simulated test sets per row')
    parser.add_argument('--replicates', type=int, default=400, help='of the bootstrap')
    args = parser.parse_args()
    few = [(300, m, 0.0, False) for m in (1, 2, 3, 5, 8, 10, 15, 20, 50)]
    clusters = [(300, 60, icc, True) for icc in (0.0, 0.3, 0.7)]
    for title, rows in (
        ('one image per patient, 300 patients', few),
        ('1 to 10 images per patient, 300 patients, 60 of them positive', clusters),
    ):
        print(f'\n{title}: {args.sets} sets, {args.replicates} replicates')
        for i, row in enumerate(rows):
            found = dict(shares(args.sets, *row, args.replicates))
            if not i:
                print(f'| positive patients | ICC | {" | ".join(found)} |')
                print('|' + '---|' * (len(found) + 2))
            print(f'| {row[1]} | {row[2]} | {" | ".join(f"{v:.3f}" for v in found.values())} |')


if __name__ == '__main__':
    main()
