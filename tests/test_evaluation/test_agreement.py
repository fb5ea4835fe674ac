"""Agreement of two sources of labels, by scikit-learn; findings that are several of another's."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, precision_score, recall_score

from mlrfnet_mm.evaluation import patient_weights, percentile_interval
from mlrfnet_mm.evaluation.groups.agreement import label_agreement, measures
from mlrfnet_mm.evaluation.groups.joined_findings import JOINED, POOLS, any_of, noisy_or
from mlrfnet_mm.evaluation.metrics.synonyms import SAME, finding


def make(n=300, seed=0):
    """Two sources that mostly agree; 3 images a patient."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 3)) < [0.4, 0.2, 0.4]
    first, second = ((truth ^ (rng.random((n, 3)) < 0.15)).astype(float) for _ in range(2))
    first[rng.random((n, 3)) < 0.1] = np.nan
    second[rng.random((n, 3)) < 0.1] = np.nan
    second[:, 2] = 0
    return first, second, np.arange(n) // 3


def test_measures_and_intervals_equal_scikit_learn_and_scipy():
    first, second, patients = make()
    found = label_agreement(first, second, patients, 40, 2)
    index, weights = patient_weights(patients, 40, 2)
    for k in (0, 1):
        known = ~np.isnan(first[:, k]) & ~np.isnan(second[:, k])
        a, b = first[known, k], second[known, k]

        def by_sklearn(weight, a=a, b=b):
            shares = [f(b, a, sample_weight=weight) for f in (recall_score, precision_score)]
            return [*shares, cohen_kappa_score(a, b, sample_weight=weight)]

        np.testing.assert_allclose(found.values[k], by_sklearn(None))
        draws = np.array([by_sklearn(row[index][known].astype(float)) for row in weights])
        np.testing.assert_allclose(found.by_patient[:, k], percentile_interval(draws))
        both = int((a * b).sum())
        for i, n in enumerate((int(b.sum()), int(a.sum()))):
            wilson = binomtest(both, n).proportion_ci(method='wilson')
            np.testing.assert_allclose(found.wilson[:, k, i], wilson)
        assert found.counts[k].tolist() == [
            both,
            (a > b).sum(),
            (a < b).sum(),
            ((a == 0) & (b == 0)).sum(),
        ]
    assert np.isnan(found.values[2, 0]) and found.values[2, 1] == 0  # no positive of the reference
    assert np.isnan(found.by_patient[:, 2]).all() and np.isnan(found.wilson[:, :, 2]).all()


@pytest.mark.parametrize('which', [0, 1])
def test_few_patients_of_either_source_have_no_interval(which):
    sources = [np.tile([[1.0], [0.0]], (30, 1)) for _ in range(2)]
    sources[which][10:] = 0  # positive in five images, of five patients
    found = label_agreement(*sources, np.arange(60), 50)
    assert np.isnan(found.by_patient).all() and not np.isnan(found.wilson[:, 0, :2]).any()


def test_kappa_at_its_limits():
    kappa = measures(np.array([[5, 0, 0, 5], [0, 5, 5, 0], [25, 25, 25, 25], [9, 0, 0, 0]]))[:, 2]
    np.testing.assert_allclose(kappa, [1, -1, 0, np.nan])


def test_labels_and_scores_of_parts():
    nan = np.nan
    labels = np.array([[0, 0], [0, 1], [1, nan], [0, nan], [nan, nan]])
    np.testing.assert_array_equal(any_of(labels), [0, 1, 1, nan, nan])
    scores = np.array([[0.5, 0.5], [0.2, 0.9], [0.0, 0.3]], np.float32)
    np.testing.assert_allclose(noisy_or(scores), [0.75, 0.92, 0.3], rtol=1e-6)
    np.testing.assert_allclose(POOLS['maximum'](scores), [0.5, 0.9, 0.3], rtol=1e-6)


@pytest.mark.parametrize('entry', JOINED, ids=lambda entry: entry.name)
def test_entries_are_whole_and_no_synonym(entry):
    assert entry.pool in POOLS and entry.reason and len(set(entry.parts)) > 1
    assert finding(entry.name) not in map(finding, entry.parts)
    assert not any(finding(entry.name) == finding(part) for one in JOINED for part in one.parts)
    assert len({finding(one.name) for one in JOINED}) == len(JOINED) and SAME
