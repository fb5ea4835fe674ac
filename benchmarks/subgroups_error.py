"""How often the tests of equal groups reject where the groups are equal, by simulation.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/subgroups_error.py

Each row is so many simulated test sets. Patients have 1 to 10 images; a patient has the finding in
all of them or in none, and a share ``ICC`` of the variance of the scores is the patient's. Groups
are of patients (as sex) or of images (as view: a patient is in all of them). In each group about so
many patients are positive, and four times as many are negative; sets with fewer than 10 have no
test and are left out. AUC, sensitivity and prevalence are the same in all groups; the threshold is
where specificity is 0.8. Printed: share of sets with p < 0.05 for AUC, sensitivity, specificity and
prevalence, and how often the interval of a difference of AUC covers 0.
"""

import argparse
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.groups.compare import compare_groups
from mlrfnet_mm.evaluation.groups.grouping import Grouping


def make(
    rng: np.random.Generator, groups: int, positives: int, icc: float, auc: float, shared: bool
) -> tuple[Predictions, Grouping]:
    """One test set and its groups."""
    patients = 5 * positives * (1 if shared else groups)
    owner = np.repeat(np.arange(patients), rng.integers(1, 11, patients))
    there = rng.random(patients) < 0.2  # positives
    of_patient = np.arange(patients) % groups
    of_image = rng.integers(groups, size=len(owner)) if shared else of_patient[owner]
    shift = np.sqrt(2) * norm.ppf(auc)
    person, own = rng.standard_normal(patients)[owner], rng.standard_normal(len(owner))
    raw = np.sqrt(icc) * person + np.sqrt(1 - icc) * own + shift * there[owner]
    test = Predictions(
        scores=expit(raw)[:, None].astype(np.float32),
        labels=there[owner][:, None].astype(np.float32),
        images=np.arange(len(owner)).astype(str),
        patients=owner.astype(str),
        classes=np.array(['finding']),
        stamp='simulated',
    )
    return test, Grouping('made', tuple(f'g{g}' for g in range(groups)), of_image)


def rejections(runs: int, replicates: int, *setting: Any) -> np.ndarray:
    """Shares of p < 0.05 (AUC, sensitivity, specificity, prevalence), then coverage of 0."""
    rng = np.random.default_rng(0)
    found = np.full((runs, 5), np.nan)
    threshold = np.array([expit(norm.ppf(0.8))])
    for run in range(runs):
        test, grouping = make(rng, *setting)
        result = compare_groups(test, [grouping], threshold, replicates=replicates, seed=run)[0]
        for i, name in enumerate(('auc', 'sensitivity', 'specificity', 'prevalence')):
            p = result.measures[name].p[0]
            found[run, i] = np.nan if np.isnan(p) else p < 0.05
        ends = result.measures['auc'].difference_interval[:, 1 - min(result.reference, 1), 0]
        found[run, 4] = np.nan if np.isnan(ends).any() else ends[0] <= 0 <= ends[1]
    return np.nanmean(found, 0)


def main() -> None:
    """Print one row for each setting."""
    parser = argparse.ArgumentParser(description='Error of the tests of equal groups.')
    parser.add_argument('--runs', type=int, default=500)
    parser.add_argument('--replicates', type=int, default=200)
    args = parser.parse_args()
    print(
        '| groups | of | positive patients in each | ICC | AUC | error: AUC | sensitivity '
        '| specificity | prevalence | coverage of a difference of AUC |'
    )
    print('|' + '---|' * 10)
    settings = [(2, 12, 0.3, 0.76, False), (2, 20, 0.3, 0.76, False), (2, 50, 0.3, 0.76, False)]
    settings += [(2, 12, 0.3, 0.95, False), (2, 50, 0.3, 0.95, False), (4, 12, 0.3, 0.76, False)]
    settings += [(4, 50, 0.3, 0.76, False), (4, 50, 0.0, 0.76, False), (4, 50, 0.7, 0.76, False)]
    settings += [(2, 50, 0.3, 0.76, True), (3, 50, 0.7, 0.76, True)]
    for setting in settings:
        values = rejections(args.runs, args.replicates, *setting)
        groups, positives, icc, auc, shared = setting
        unit = 'images' if shared else 'patients'
        shown = ' | '.join(f'{value:.3f}' for value in values)
        print(f'| {groups} | {unit} | {positives} | {icc} | {auc} | {shown} |', flush=True)


if __name__ == '__main__':
    main()
