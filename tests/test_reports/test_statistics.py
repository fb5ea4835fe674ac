"""Every column of the tables of statistics, against the functions on arrays."""

from dataclasses import replace

import numpy as np
import pytest
from builders import changed, make_predictions, other_model

from mlrfnet_mm.evaluation import (
    average_precision,
    bootstrap_areas,
    bootstrap_p,
    delong_interval,
    holm,
    operating_points,
    percentile_interval,
    roc_auc,
)
from mlrfnet_mm.evaluation.thresholds.choose import METRICS
from mlrfnet_mm.reports.scores.statistics import evaluate_predictions

REPLICATES, SEED = 120, 3
FEW = 0  # Edema has two positive patients: an AUC, but neither interval nor test


def ends(record, key):
    return [record[f'{key}_low'], record[f'{key}_high']]


def areas(p):
    """Replicates of AUC and of average precision."""
    return bootstrap_areas(p.scores, p.labels, p.patients, REPLICATES, SEED)


@pytest.fixture(scope='module')
def files():
    """Test and validation. Of the scored classes Hernia is undefined, Mass is left."""
    test = make_predictions()
    test.labels[::4, 2] = np.nan
    test.labels[:, 0] = np.arange(90) % 45 == 0  # so few that some replicates have none
    test = replace(test, scored=np.array(['Hernia', 'Mass']))
    val = make_predictions('val', seed=1)
    return test, replace(val, patients=changed(val.patients, slice(0, 3), 'test_1'))


@pytest.fixture(scope='module')
def tables(files):
    test, val = files
    return evaluate_predictions(
        test, val, other_model(test), replicates=REPLICATES, seed=SEED
    ).tables


def test_areas(files, tables):
    test, table = files[0], tables[0]
    draws = dict(zip(('auc', 'ap'), areas(test), strict=True))
    values = dict(
        auc=roc_auc(test.scores, test.labels), ap=average_precision(test.scores, test.labels)
    )
    delong = delong_interval(test.scores, test.labels, test.patients)
    *rows, mean = table.records
    for key in ('auc', 'ap'):
        for k, row in enumerate(rows):
            np.testing.assert_equal(row[key], values[key][k])
            expected = percentile_interval(draws[key])[:, k] if k != FEW else [np.nan] * 2
            np.testing.assert_array_equal(ends(row, key), expected)
        assert mean[key] == values[key][2]
        np.testing.assert_array_equal(ends(mean, key), percentile_interval(draws[key][:, 2]))
    for k, row in enumerate(rows):
        expected = delong[:, k] if k != FEW else [np.nan] * 2
        np.testing.assert_array_equal(ends(row, 'delong'), expected)
    assert [row['n'] for row in rows] == [90, 90, 67]
    assert [row['positives'] for row in rows] == np.nansum(test.labels, 0).tolist()
    lost = np.isnan(draws['auc']).sum(0)
    assert 0 < lost[0] < REPLICATES
    assert [row['one_sided_replicates'] for row in rows] == lost.tolist()
    (note,) = [note for note in table.notes if note.startswith('Replicates')]
    assert f'Edema {lost[0]}' in note and 'Hernia' not in note
    assert [row['positive_patients'] for row in rows[:2]] == [2, 0]
    assert 'fewer than 10 positive or negative patients: Edema.' in ' '.join(table.notes)
    assert 'Fewer than 50 positives, AP interval too narrow: Mass.' in table.notes


def test_metrics_at_thresholds(files, tables):
    test, val = files
    points = operating_points(test, val, replicates=REPLICATES, seed=SEED)
    *rows, macro = tables[1].records
    for i, metric in enumerate(METRICS):
        for k, row in enumerate(rows):
            np.testing.assert_equal(row[metric], points.values[k, i])
            np.testing.assert_array_equal(ends(row, metric), points.intervals[:, k, i])
        np.testing.assert_equal(macro[metric], points.macro[i])
        np.testing.assert_array_equal(ends(macro, metric), points.macro_interval[:, i])
    assert 'over the defined of 2 classes: accuracy 1' in ' '.join(tables[1].notes)
    assert tables[1].notes[-1].startswith('1 patients of the test set are in validation too')


def test_differences(files, tables):
    test = files[0]
    other = other_model(test)
    gaps = areas(test)[0] - areas(other)[0]
    differences = roc_auc(test.scores, test.labels) - roc_auc(other.scores, other.labels)
    p = bootstrap_p(gaps)
    intervals = percentile_interval(gaps)
    intervals[:, FEW] = p[FEW] = np.nan
    *rows, mean = tables[2].records
    for k, row in enumerate(rows):
        np.testing.assert_equal(row['difference'], differences[k])
        np.testing.assert_array_equal(ends(row, 'difference'), intervals[:, k])
        np.testing.assert_equal([row['p_bootstrap'], row['p_bootstrap_holm']], [p[k], holm(p)[k]])
    assert (mean['difference'], mean['p_bootstrap']) == (differences[2], p[2])
    np.testing.assert_array_equal(ends(mean, 'difference'), percentile_interval(gaps[:, 2]))


def test_p_of_the_mean_is_that_of_the_mean(files):
    first = replace(files[0], scored=None)
    second = other_model(first)
    gaps = areas(first)[0] - areas(second)[0]
    report = evaluate_predictions(first, against=second, replicates=REPLICATES, seed=SEED)
    assert report.tables[-1].records[-1]['p_bootstrap'] == bootstrap_p(np.nanmean(gaps, 1))


def test_the_floor_of_holm_s_correction_is_said(files):
    first = make_predictions()
    wide = replace(
        first,
        scores=np.tile(first.scores, 2),
        labels=np.tile(first.labels, 2),
        classes=np.array(list('abcdef')),
    )
    for p, tested, floor in ((first, 2, False), (wide, 4, True)):
        tables = evaluate_predictions(p, against=other_model(p), replicates=100).tables
        notes = ' '.join(tables[-1].notes)
        assert f'Holm corrects over {tested} findings (DeLong: {tested})' in notes
        assert ('no bootstrap p is below 0.079' in notes) == floor
    with pytest.raises(ValueError, match='replicates must be at least 100, got 1'):
        evaluate_predictions(first, replicates=1)


def test_a_test_set_without_both_labels_is_refused(files):
    empty = replace(make_predictions(), labels=np.zeros((90, 3), np.float32))
    with pytest.raises(ValueError, match='so that nothing can be computed'):
        evaluate_predictions(empty)


def test_constant_scores_are_refused_or_named():
    p = make_predictions()
    same = replace(p, scores=np.full_like(p.scores, 0.5))
    with pytest.raises(ValueError, match='one and the same score in all images'):
        evaluate_predictions(same)
    one = replace(p, scores=changed(p.scores, (slice(None), 2), 0.5))
    (table,) = evaluate_predictions(one, replicates=100).tables
    assert 'One score for all images, so that an AUC says nothing: Mass.' in table.notes
