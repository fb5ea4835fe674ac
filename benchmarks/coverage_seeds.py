"""How often a comparison's interval covers the true difference of two methods, by simulation.

``python benchmarks/coverage_seeds.py``

A method's models differ by seed: a seed makes all their scores better or worse. Each simulated
comparison draws a test set of patients with one to five images, and S seeds of either method; the
methods' expected AUCs differ by the given difference. Printed are the shares of the comparisons
whose interval covers it, by patients and seeds (what tables of ablations print) and by patients
alone with the seeds held fixed, and the shares in which the interval excludes 0.
"""

import argparse

import numpy as np
from scipy.stats import norm

from mlrfnet_mm.evaluation import bootstrap_auc, percentile_interval, roc_auc
from mlrfnet_mm.evaluation.comparison.seeds import over_seeds

BASE = 0.75  # AUC of the first method
CLASSES = 3


def shift(auc: float) -> float:
    """Distance of two normal distributions that gives this AUC."""
    return float(2**0.5 * norm.ppf(auc))


def compare(
    rng: np.random.Generator, seeds: int, difference: float, sd: float, patients: int
) -> tuple[np.ndarray, np.ndarray]:
    """Seeds' differences (S,) of the mean AUC, and their replicates (S, R)."""
    index = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    n = len(index)
    labels = (rng.random((n, CLASSES)) < 0.2).astype(float)
    common = rng.standard_normal((patients, CLASSES))[index] * 0.5
    hard = rng.standard_normal((n, CLASSES)) * 0.5  # images that are hard for all models
    number = int(rng.integers(2**31))
    values, draws = [], []
    for _ in range(seeds):
        pair = []
        for auc in (BASE, BASE + difference):
            auc += sd * rng.standard_normal()
            noise = rng.standard_normal((n, CLASSES)) * 0.5**0.5
            scores = common + hard + noise + shift(auc) * labels
            replicates = bootstrap_auc(scores, labels, index, 200, number).mean(1)
            pair.append((roc_auc(scores, labels).mean(), replicates))
        values.append(pair[1][0] - pair[0][0])
        draws.append(pair[1][1] - pair[0][1])
    return np.array(values), np.array(draws)


def main() -> None:
    """Simulate and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--runs', type=int, default=200, help='comparisons per row')
    parser.add_argument('--patients', type=int, default=285, help="the phantom's test patients")
    args = parser.parse_args()
    print(f'{args.runs} comparisons per row, {args.patients} patients, 200 replicates\n')
    print('| seeds | sd over seeds | true difference | covers | excludes 0 | seeds fixed: covers |')
    print('|---|---|---|---|---|---|')
    for seeds in (3, 5):
        for sd in (0.0, 0.009):  # 0.009: the phantom's Table 9
            for difference in (0.0, 0.01):
                rng = np.random.default_rng([seeds, int(1000 * sd), int(1000 * difference)])
                hits = []
                for _ in range(args.runs):
                    values, draws = compare(rng, seeds, difference, sd, args.patients)
                    low, high = over_seeds(values, draws).interval()
                    fixed = percentile_interval(draws.mean(0))
                    hits.append(
                        (
                            low <= difference <= high,
                            not low <= 0 <= high,
                            fixed[0] <= difference <= fixed[1],
                        )
                    )
                shares = ' | '.join(f'{share:.3f}' for share in np.mean(hits, 0))
                print(f'| {seeds} | {sd} | {difference} | {shares} |', flush=True)


if __name__ == '__main__':
    main()
