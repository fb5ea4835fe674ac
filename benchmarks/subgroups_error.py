"""How often the tests of equal groups reject where the groups are equal, by simulation.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/subgroups_error.py

Each row is so many simulated test sets. Patients have 1 to 10 images; a patient has the finding in
all of them or in none, and a share ``ICC`` of the variance of the scores is the patient's. Groups
are of patients (as sex) or of images (as view: every patient is in all of them). In each group so
many patients are positive, and four times as many are negative. ``AUC`` and sensitivity are the
same in all groups; the threshold is where specificity is 0.8. Printed: share of sets with p < 0.05
for the AUC (as logits, as is done, and as they are), sensitivity, specificity and prevalence, and
how often the interval of a difference of AUC covers 0.
"""

import argparse

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.groups import compare
from mlrfnet_mm.evaluation.groups.grouping import Grouping


def make(
    rng: np.random.Generator, groups: int, positives: int, icc: float, auc: float, shared: bool
) -> tuple[Predictions, Grouping]:
    """One test set and its groups."""
    patients = 5 * positives * (1 if shared else groups)
    owner = np.repeat(np.arange(patients), rng.integers(1, 11, patients))
    there = np.arange(patients) < patients // 5  # positives
    of_patient = rng.permutation(patients) % groups
    if not shared:  # so many positives in each group
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


def rejections(
    runs: int,
    replicates: int,
    groups: int,
    positives: int,
    icc: float,
    auc: float,
    shared: bool,
) -> list[float]:
    """Shares of p < 0.05 (AUC, plain AUC, sensitivity, specificity, prevalence), coverage of 0."""
    rng = np.random.default_rng(0)
    found = np.full((runs, 6), np.nan)
    threshold = np.array([expit(norm.ppf(0.8))])
    for run in range(runs):
        test, grouping = make(rng, groups, positives, icc, auc, shared)
        for i, shares in enumerate((compare.SHARES, ())):
            compare.SHARES, kept = shares, compare.SHARES
            result = compare.compare_groups(
                test, [grouping], threshold, replicates=1 if i else replicates, seed=run
            )[0]
            compare.SHARES = kept
            measures = result.measures
            found[run, i] = measures['auc'].p[0]
            if not i:
                names = ('sensitivity', 'specificity', 'prevalence')
                found[run, 2:5] = [measures[name].p[0] for name in names]
                ends = measures['auc'].difference_interval[:, 1 - min(result.reference, 1), 0]
                found[run, 5] = ends[0] <= 0 <= ends[1] if not np.isnan(ends).any() else np.nan
    rejected = np.where(np.isnan(found[:, :5]), np.nan, found[:, :5] < 0.05)
    return [*np.nanmean(rejected, 0), float(np.nanmean(found[:, 5]))]


def main() -> None:
    """Print one row for each setting."""
    parser = argparse.ArgumentParser(description='Error of the tests of equal groups.')
    parser.add_argument('--runs', type=int, default=500)
    parser.add_argument('--replicates', type=int, default=200)
    args = parser.parse_args()
    print('| groups | of | positive patients in each | ICC | AUC | AUC differs, error | plain |'
          ' sensitivity | specificity | prevalence | coverage |')  # fmt: skip
    print('|' + '---|' * 11)
    settings = [(2, 10, 0.3, 0.76, False), (2, 20, 0.3, 0.76, False), (2, 50, 0.3, 0.76, False)]
    settings += [(2, 10, 0.3, 0.95, False), (2, 50, 0.3, 0.95, False), (4, 10, 0.3, 0.76, False)]
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
