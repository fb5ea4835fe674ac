"""How often ``mlrfnet drift`` alarms: between halves of one set, and between two sets.

``python benchmarks/drift_alarms.py OWN.npz SITE.npz …``

First OWN is halved by patient many times: every alarm (a p below 0.05 after Holm's correction over
all findings) is an error. Next to it what scipy's ks_2samp gives, which takes images for
independent. Then as many patients of each site as the table says are compared with all of OWN.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp

from mlrfnet_mm.evaluation import Predictions, holm
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.reports.shift.drift import drift
from mlrfnet_mm.reports.shift.sets import of_predictions

NUMBERS = (10, 25, 50, 100, 200)


def by_image(first: Predictions, second: Predictions) -> bool:
    """Whether scipy's test, of images, alarms after Holm's correction."""
    pairs = zip(first.scores.T, second.scores.T, strict=True)
    return bool((holm(np.array([ks_2samp(a, b).pvalue for a, b in pairs])) < 0.05).any())


def by_patient(first: Predictions, second: Predictions, replicates: int, seed: int) -> bool:
    """Whether ``mlrfnet drift`` alarms."""
    sets = of_predictions(first, 'first'), of_predictions(second, 'second')
    return bool(drift(*sets, replicates, seed).differing)


def some(p: Predictions, number: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: the images of so many patients."""
    return np.isin(p.patients, rng.permutation(np.unique(p.patients))[:number])


def main() -> None:
    """Shuffle, compare, print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('own')
    parser.add_argument('sites', nargs='*')
    parser.add_argument('--halves', type=int, default=200)
    parser.add_argument('--draws', type=int, default=20, help='of patients of each site')
    parser.add_argument('--shuffles', type=int, default=299)
    args = parser.parse_args()
    own = load_predictions(args.own)
    patients = len(np.unique(own.patients))
    found = []
    for seed in range(args.halves):
        inside = some(own, patients // 2, np.random.default_rng(seed))
        halves = own.rows(inside), own.rows(~inside)
        found.append((by_patient(*halves, args.shuffles, seed), by_image(*halves)))
    shares = np.mean(found, 0)
    print(f'{own.stamp}: {args.halves} halvings of {patients} patients, {args.shuffles} shuffles\n')
    print('| | halvings with an alarm |\n|---|---|')
    print(f'| mlrfnet drift | {shares[0]:.3f} |\n| ks_2samp of the images | {shares[1]:.3f} |')
    numbers = [n for n in NUMBERS if n <= patients]
    print(f'\n| patients of the site | {" | ".join(map(str, numbers))} |')
    print('|---' * (len(numbers) + 1) + '|')
    for path in args.sites:
        site = load_predictions(path)
        site = replace(site, patients=np.char.add('site ', site.patients))  # others, of one number
        cells = []
        for n in numbers:
            alarms = []
            for seed in range(args.draws):
                drawn = site.rows(some(site, n, np.random.default_rng(seed)))
                alarms.append(by_patient(own, drawn, args.shuffles, seed))
            cells.append(f'{np.mean(alarms):.2f}')
        print(f'| {Path(path).stem} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
