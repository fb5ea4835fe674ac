"""Prevalence, co-occurrence, and suspected labels next to the flipped ones."""

from pathlib import Path

import numpy as np
import pytest

from mlrfnet_mm.reports.audit.labels import co_occurrence, find_suspects, prevalence
from mlrfnet_mm.reports.audit.rows import Split

NAN = np.nan


def split(labels, part='train', classes=('Edema', 'Mass')):
    labels = np.array(labels, np.float32)
    n, blank = len(labels), [''] * len(labels)
    paths = [f'/x/{part}_{i}.png' for i in range(n)]
    ages = np.full(n, NAN)
    rest = dict(patients=blank, studies=blank, views=blank, sexes=blank, ages=ages)
    return Split(
        part=part, source=0, stamp='made', root=Path('/x'), classes=classes, paths=paths,
        images=[Path(path).name for path in paths], labels=labels, **rest,
    )  # fmt: skip


def test_prevalence_is_of_known_labels():
    train = split([[1, 0], [1, NAN], [0, 0], [NAN, NAN]])
    test = split([[1], [0], [0]], 'test', ('Mass',))
    table = prevalence([train, test])
    assert table.records == [
        dict(finding='Edema', train='66.67%, 1 unknown', train_positive=2),
        dict(finding='Mass', train='0.00%, 2 unknown', train_positive=0)
        | dict(test='33.33%', test_positive=1),
        dict(finding='none of them', train='50.00%', train_positive=2)
        | dict(test='66.67%', test_positive=2),
    ]
    assert table.rows()[0] == ['Edema', '2', '66.67%, 1 unknown', '', '']


def test_co_occurrence_counts_pairs():
    table = co_occurrence(split([[1, 1], [1, NAN], [1, 0], [0, 1]]))
    assert [[r['Edema'], r['Mass']] for r in table.records] == [[3, 1], [1, 2]]


def flipped(share=0.1, n=400, seed=0):
    """Scores that know the truth well, and labels of which some are flipped."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 2)) < (0.4, 0.15)).astype(float)
    scores = (0.15 + 0.7 * truth + rng.normal(0, 0.08, truth.shape)).clip(0, 1)
    flips = rng.random(truth.shape) < share
    return scores, np.where(flips, 1 - truth, truth), flips


def test_flipped_labels_are_suspected():
    pytest.importorskip('cleanlab')
    scores, labels, flips = flipped()
    suspects = find_suspects(scores, labels)
    right = [flips[s.row, s.finding] for s in suspects]
    assert np.mean(right) > 0.95 and np.sum(right) > 0.7 * flips.sum()
    qualities = [s.quality for s in suspects]
    assert qualities == sorted(qualities)
    for s in suspects[:20]:
        assert s.label == labels[s.row, s.finding] and s.score == scores[s.row, s.finding]
        assert s.quality == pytest.approx(s.score if s.label else 1 - s.score)


def test_the_same_as_cleanlab_s_function_for_all_findings():
    cleanlab = pytest.importorskip('cleanlab.multilabel_classification.filter')
    scores, labels, _ = flipped()
    names = [np.flatnonzero(row).tolist() for row in labels]
    expected = cleanlab.find_multilabel_issues_per_class(names, scores, n_jobs=1)
    mine = np.zeros(labels.shape, bool)
    for s in find_suspects(scores, labels):
        mine[s.row, s.finding] = True
    np.testing.assert_array_equal(mine, expected)


def test_unknown_labels_are_never_suspected_and_do_not_move_others():
    pytest.importorskip('cleanlab')
    scores, labels, _ = flipped()
    some = np.insert(labels, 7, NAN, 0), np.insert(scores, 7, 0.99, 0)
    found = [(s.row - (s.row > 7), s.finding) for s in find_suspects(some[1], some[0])]
    assert found == [(s.row, s.finding) for s in find_suspects(scores, labels)]


def test_a_finding_with_one_label_only_is_passed_over():
    pytest.importorskip('cleanlab')
    scores, labels, _ = flipped()
    labels[:, 1] = 0
    assert {s.finding for s in find_suspects(scores, labels)} == {0}


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(
        __import__('sys').modules, 'cleanlab.multilabel_classification.filter', None
    )
    with pytest.raises(ImportError, match=r'--predictions needs cleanlab .*mlrfnet-mm\[audit\]'):
        find_suspects(np.zeros((2, 1)), np.zeros((2, 1)))
