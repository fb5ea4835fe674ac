import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation import auc_table, mean_defined, roc_auc
from mlrfnet_mm.evaluation.files.studies import side_by_side
from mlrfnet_mm.reports.output.tables import Table


def draw(n=200, k=5, ties=False):
    rng = np.random.default_rng(0)
    scores = rng.random((n, k))
    return (np.round(scores, 1) if ties else scores), (rng.random((n, k)) < 0.3).astype(float)


def by_pairs(scores, labels):
    """Mann-Whitney: share of (positive, negative) pairs in the right order, ties count half."""
    positive, negative = scores[labels == 1][:, None], scores[labels == 0][None]
    return ((positive > negative) + 0.5 * (positive == negative)).mean()


@pytest.mark.parametrize('ties', [False, True])
def test_equals_scikit_learn_and_the_pair_count(ties):
    scores, labels = draw(ties=ties)
    aucs = roc_auc(scores, labels)
    np.testing.assert_allclose(aucs, roc_auc_score(labels, scores, average=None), rtol=1e-12)
    pairs = [by_pairs(scores[:, k], labels[:, k]) for k in range(5)]
    np.testing.assert_allclose(aucs, pairs, rtol=1e-12)


def test_one_sided_classes_are_undefined_and_left_out_of_the_mean():
    scores, labels = draw()
    labels[:, 1], labels[:, 3] = 0, 1
    aucs = roc_auc(scores, labels)
    assert np.isnan(aucs[[1, 3]]).all()
    assert mean_defined(aucs) == pytest.approx(
        np.mean([roc_auc_score(labels[:, k], scores[:, k]) for k in (0, 2, 4)])
    )
    assert np.isnan(mean_defined(aucs[[1, 3]]))


def test_unknown_labels_count_nowhere():
    scores, labels = draw()
    masked = labels.copy()
    masked[:50, 2] = np.nan
    masked[:, 4] = np.nan
    aucs = roc_auc(scores, masked)
    assert aucs[2] == pytest.approx(roc_auc_score(labels[50:, 2], scores[50:, 2]))
    assert np.isnan(aucs[4])


@pytest.mark.parametrize(
    ('scores', 'labels', 'message'),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), r'\(2, 3\), \(2, 4\)'),
        (np.zeros(3), np.zeros(3), 'N, K'),
        (np.zeros((2, 1)), np.array([[1.0], [-1.0]]), r'found \[-1\.\]'),
        (np.array([[0.1], [np.nan]]), np.array([[1.0], [0.0]]), 'nan at row 1, class 0'),
    ],
)
def test_bad_arrays_are_named(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        roc_auc(scores, labels)


def test_table_names_every_class():
    _, labels = draw(k=2)
    text = auc_table(np.array([0.87654, np.nan]), labels, ['Edema', 'Hernia'], 'a title')
    lines = [line.split() for line in text.splitlines() if line.strip()]
    assert lines[0] == ['a', 'title']
    assert ['Edema', '200', f'{labels[:, 0].sum():.0f}', '0.8765'] in lines
    assert ['Hernia', '200', f'{labels[:, 1].sum():.0f}', 'undefined'] in lines
    assert lines[-1] == ['mean', '(without', '1', 'undefined)', '0.8765']


def test_the_table_counts_known_labels():
    text = auc_table(np.array([0.9]), np.array([[1.0], [0.0], [np.nan]]), ['Mass'])
    assert ['Mass', '2', '1', '0.9000'] in [line.split() for line in text.splitlines()]


def test_names_are_no_markup():
    """Brackets are what a table's own language of colors is written in."""
    names = ['[a]', '[/b]', 'x[red]y']
    scores, labels = np.random.default_rng(0).random((2, 9, 3)).round(0)
    aucs = roc_auc(scores, labels)
    readings = {'[z]': aucs}
    table = Table('t', '[t]', {'[c]': 'finding'}, [{'finding': name} for name in names])
    for text in (
        auc_table(aucs, labels, names, '[t] [z] [c]'),
        side_by_side('[t] [c]', names, labels.sum(0), readings, np.ones(3, bool)),
        f'{table.text()} [z]',
    ):
        assert all(name in text for name in (*names, '[t]', '[z]', '[c]')), text
