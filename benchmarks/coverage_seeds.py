"""How often a comparison's interval covers the true difference of two methods, by simulation.

``python benchmarks/coverage_seeds.py``

A method's models differ by seed: a seed makes all their scores better or worse. Each simulated
comparison draws a test set of patients with one to five images, and S seeds of either method; the
methods' expected AUCs differ by the given difference. Printed are the shares of the comparisons
whose interval covers it, and those in which it excludes 0: by patients and seeds, paired (what
tables of ablations print) or not (what ``mlrfnet compare`` prints), and by patients alone with the
seeds held fixed.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import numpy as np
from scipy.stats import norm

from mlrfnet_mm.evaluation import bootstrap_auc, percentile_interval, roc_auc
from mlrfnet_mm.evaluation.comparison.seeds import difference_over_seeds

BASE = 0.75  # AUC of the first method
CLASSES = 3


def shift(auc: float) -> float:
    """Distance of two normal distributions that gives this AUC."""
    return float(2**0.5 * norm.ppf(auc))


def compare(
    rng: np.random.Generator, seeds: int, difference: float, sd: float, patients: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean AUCs (2, S) of the methods' seeds, the better method first, and replicates (2, S, R)."""
    index = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    n = len(index)
    labels = (rng.random((n, CLASSES)) < 0.2).astype(float)
    common = rng.standard_normal((patients, CLASSES))[index] * 0.5
    hard = rng.standard_normal((n, CLASSES)) * 0.5  # images that are hard for all models
    number = int(rng.integers(2**31))
    values, draws = np.empty((2, seeds)), np.empty((2, seeds, 200))
    for seed in range(seeds):
        for method, auc in ((1, BASE), (0, BASE + difference)):
            auc += sd * rng.standard_normal()
            noise = rng.standard_normal((n, CLASSES)) * 0.5**0.5
            scores = common + hard + noise + shift(auc) * labels
            values[method, seed] = roc_auc(scores, labels).mean()
            draws[method, seed] = bootstrap_auc(scores, labels, index, 200, number).mean(1)
    return values, draws


def shares(
    runs: int, patients: int, row: tuple[int, float, float]
) -> tuple[tuple[int, float, float], list[float]]:
    """The row, and shares of the comparisons in which an interval covers or excludes 0."""
    seeds, sd, difference = row
    rng = np.random.default_rng([seeds, int(1000 * sd), int(1000 * difference)])
    hits: list[list[bool]] = []
    for _ in range(runs):
        values, draws = compare(rng, seeds, difference, sd, patients)
        pair = (values[0], values[1]), (draws[0], draws[1])
        hits.append([])
        for low, high in (
            difference_over_seeds(*pair, paired=True).interval(),
            difference_over_seeds(*pair).interval(),
        ):
            hits[-1] += [low <= difference <= high, not low <= 0 <= high]
        low, high = percentile_interval((draws[0] - draws[1]).mean(0))
        hits[-1].append(low <= difference <= high)
    return row, np.mean(hits, 0).tolist()


def main() -> None:
    """Simulate and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--runs', type=int, default=200, help='comparisons per row')
    parser.add_argument('--patients', type=int, default=285, help="the phantom's test patients")
    parser.add_argument('--workers', type=int, default=1, help='processes that work side by side')
    args = parser.parse_args()
    print(f'{args.runs} comparisons per row, {args.patients} patients, 200 replicates\n')
    columns = 'covers', 'excludes 0', 'not paired: covers', 'excludes 0', 'seeds fixed: covers'
    print(f'| seeds | sd over seeds | true difference | {" | ".join(columns)} |')
    print('|---' * (len(columns) + 3) + '|', flush=True)
    # 0.009: the phantom's Table 9
    rows = product((3, 5), (0.0, 0.009), (0.0, 0.01))
    with ProcessPoolExecutor(args.workers) as pool:
        for row, found in pool.map(partial(shares, args.runs, args.patients), rows):
            cells = [*map(str, row), *(f'{share:.3f}' for share in found)]
            print(f'| {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
