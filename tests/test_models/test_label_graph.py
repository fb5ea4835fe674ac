"""Label graphs: the counts, ML-GCN's formula, the file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlrfnet_mm.datasets.published.chestxray14.tables import read_split
from mlrfnet_mm.datasets.xray_dataset import shuffle_columns
from mlrfnet_mm.models.heads.labels.label_graph import (
    LabelCounts,
    adjacency,
    conditional,
    count_pairs,
    edges,
    label_graph,
    propagation,
    read_graph,
)

REAL = Path(__file__).resolve().parents[3] / 'shared/data/metadata/ChestX-ray14'
# Of ML-GCN's public code on these counts: n = (100, 60, 40), t = 0.4.
PAIRS = np.array([[0, 30, 5], [30, 0, 20], [5, 20, 0]], float)
GIVEN = np.tile(np.array([[100.0], [60], [40]]), 3)
A = [[1, 0, 0], [0.25, 1, 0], [0, 0.25, 1]]
A_HAT = [[1, 0.223607, 0], [0, 0.8, 0.2], [0, 0, 0.8]]


def make_labels(n=300, k=5, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, k)) < 0.3).astype(np.float32)
    y[:, 1] = np.maximum(y[:, 1], y[:, 0])  # 1 wherever 0 is
    return y


def make_counts(y, classes=('A', 'B', 'C', 'D', 'E'), threshold=0.1):
    pairs, given = count_pairs(y)
    return LabelCounts(
        classes=classes,
        positives=given.diagonal().copy(),
        pairs=pairs,
        given=None if (given == given[:, :1]).all() else given,
        threshold=threshold,
        dataset='made',
        protocol='none',
        split='train',
        images=len(y),
        date='2026-11-25',
    )


def test_ml_gcn_s_formula():
    shares = conditional(PAIRS, GIVEN)
    np.testing.assert_allclose(adjacency(shares, 0.4), A, atol=1e-6)
    np.testing.assert_allclose(propagation(adjacency(shares, 0.4)), A_HAT, atol=1e-6)


def test_soft_keeps_the_shares_over_their_row_sums():
    shares = conditional(PAIRS, GIVEN)
    expected = np.eye(3) + 0.25 * shares / shares.sum(1, keepdims=True)
    np.testing.assert_allclose(adjacency(shares, soft=True), expected)
    np.testing.assert_allclose(adjacency(shares, soft=True).sum(1), 1.25)


def test_counts_are_those_of_a_loop():
    y = make_labels()
    y[::7, 2] = np.nan
    y[::5, 0] = 0.5
    pairs, given = count_pairs(y)
    for i in range(5):
        for j in range(5):
            known = ~np.isnan(y[:, i]) & ~np.isnan(y[:, j])
            if i != j:
                assert pairs[i, j] == pytest.approx((y[known, i] * y[known, j]).sum())
            assert given[i, j] == pytest.approx(y[known, i].sum())
    assert conditional(pairs, given)[0, 1] < 1  # half labels


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('k', [1, 2, 5])
def test_without_pairs_the_graph_is_the_identity(k, soft):
    np.testing.assert_array_equal(label_graph(np.eye(k), 0.1, soft), np.eye(k))


@pytest.mark.parametrize('soft', [False, True])
def test_a_finding_that_is_never_there_has_no_edge(soft):
    y = make_labels()
    y[:, 3] = 0
    graph = label_graph(y, 0.1, soft)
    assert np.isfinite(graph).all()
    np.testing.assert_array_equal(graph[3], np.eye(5)[3])
    np.testing.assert_array_equal(graph[:, 3], np.eye(5)[3])


def test_permuting_the_labels_permutes_the_graph():
    y, order = make_labels(), [3, 0, 4, 1, 2]
    graph = label_graph(y, 0.25)
    np.testing.assert_allclose(label_graph(y[:, order], 0.25), graph[np.ix_(order, order)])


def test_shuffled_columns_keep_the_counts_and_lose_the_pairs():
    """The control: what is left between two findings is chance."""
    y = make_labels(n=20_000)
    shuffled = shuffle_columns(y, seed=0)
    np.testing.assert_array_equal(shuffled.sum(0), y.sum(0))
    assert conditional(*count_pairs(y))[0, 1] == 1
    shares = conditional(*count_pairs(shuffled))
    chance = np.where(np.eye(5), 0, y.mean(0))
    np.testing.assert_allclose(shares, chance, atol=4 * np.sqrt(0.25 / y.sum(0).min()))


@pytest.mark.parametrize(
    ('y', 'message'),
    [
        (np.zeros(4), 'labels must be .* got shape'),
        (np.zeros((0, 3)), 'labels must be .* got shape'),
        (np.array([[0, 2.0]]), 'from 0 to 1, or NaN for unknown, got 2.0'),
        (np.array([[0, -1.0]]), 'got -1.0'),
    ],
)
def test_wrong_labels_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        count_pairs(y)


@pytest.mark.parametrize('threshold', [0, -0.1, 1.01, np.nan])
def test_wrong_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match='threshold of the label graph must be in'):
        label_graph(make_labels(), threshold)


# Positives in the data set's order, pairs, edges at t = 0.1, 0.2, 0.3, 0.4: counted from the tables
# by another program.
TABLES = {
    ('official', 'train'): (
        75_619,
        '7134 1463 7414 12037 3523 4093 761 2253 2455 1191 1204 1076 1948 115',
        20_714,
        (49, 16, 3, 1),
        {(9, 3): 0.4282, (6, 3): 0.3955},
    ),
    ('chexnet', 'train'): (
        78_468,
        '8014 1954 9268 13930 4013 4381 1031 3708 3263 1690 1799 1158 2279 144',
        28_555,
        (48, 21, 5, 2),
        {},
    ),
}


def real_labels(protocol):
    split = read_split(REAL, protocol, 'train')
    codes = b''.join(split.labels.findings[name] for name in split.lines)
    return np.frombuffer(codes, np.uint8).reshape(-1, 14)


@pytest.mark.slow
@pytest.mark.parametrize('key', TABLES, ids=' '.join)
def test_the_published_tables(key):
    if not REAL.is_dir():
        pytest.skip(f'no {REAL}')
    images, positives, pairs, numbers, strongest = TABLES[key]
    y = real_labels(key[0])
    assert len(y) == images
    found, given = count_pairs(y)
    assert given.diagonal().tolist() == [int(n) for n in positives.split()]
    assert np.triu(found).sum() == pairs
    shares = conditional(found, given)
    assert tuple(edges(shares, t).sum() for t in (0.1, 0.2, 0.3, 0.4)) == numbers
    for place, share in strongest.items():
        assert shares[place] == pytest.approx(share, abs=5e-5)


def test_a_file_comes_back(tmp_path):
    y = make_labels()
    partly = 0.7 * y
    partly[::7, 2] = np.nan
    for labels in (y, partly):
        counts = make_counts(labels)
        path = tmp_path / 'graph.json'
        path.write_text(counts.text())
        again = read_graph(path)
        for key in ('positives', 'pairs', 'given'):
            np.testing.assert_array_equal(getattr(again, key), getattr(counts, key))
        assert again.text() == counts.text() and again.classes == counts.classes
        np.testing.assert_allclose(again.propagation(), label_graph(labels))
        np.testing.assert_allclose(again.propagation(0.3), label_graph(labels, 0.3))
        np.testing.assert_allclose(again.propagation(soft=True), label_graph(labels, soft=True))


def test_unknown_labels_are_kept_in_the_file(tmp_path):
    y = make_labels()
    assert json.loads(make_counts(y).text())['given'] is None
    y[::3, 0] = np.nan
    assert np.shape(json.loads(make_counts(y).text())['given']) == (5, 5)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(split='test'), "of the split 'train' only, got 'test'"),
        (dict(classes=['A', 'B', 'C', 'D']), 'positives must be 4 counts'),
        (dict(classes=['A', 'B', 'C', 'D', 'A']), 'classes must be different names'),
        (dict(classes=[]), 'classes must be different names'),
        (dict(positives=[1, 2, 3, 4, None]), 'positives must be 5 counts'),
        (dict(pairs=[[0] * 5] * 4), 'pairs must be 5 x 5 counts'),
        (dict(pairs=np.triu(np.ones((5, 5)), 1).tolist()), 'pairs must be symmetric'),
        (dict(pairs=np.ones((5, 5)).tolist()), 'zeros on the diagonal'),
        (dict(pairs=(999 - 999 * np.eye(5)).tolist()), 'pairs must be at most the positives'),
        (dict(given=np.ones((5, 5)).tolist()), 'given must have positives on its diagonal'),
        (dict(images=1), 'positives must be at most images = 1'),
        (dict(images=True), 'images must be a whole number'),
        (dict(threshold=0), r'must be in \(0, 1\], got 0'),
        (dict(threshold='0.1'), "threshold must be a number, got '0.1'"),
        (dict(dataset=''), 'dataset must be a text'),
        (dict(extra=1), 'holds the keys classes, .* found'),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, change, message):
    path = tmp_path / 'graph.json'
    path.write_text(json.dumps(json.loads(make_counts(make_labels()).text()) | change))
    with pytest.raises(ValueError, match=message) as error:
        read_graph(path)
    assert str(path) in str(error.value) and 'mlrfnet label-graph' in str(error.value)


def test_no_json_is_refused(tmp_path):
    (tmp_path / 'graph.json').write_text('{')
    with pytest.raises(ValueError, match=r'graph.json is not a JSON file'):
        read_graph(tmp_path / 'graph.json')
    with pytest.raises(FileNotFoundError):
        read_graph(tmp_path / 'none.json')


def test_given_below_pairs_is_refused(tmp_path):
    y = make_labels()
    y[::3, 0] = np.nan
    counts = make_counts(y)
    wrong = counts.given.copy()
    wrong[1, 0] = counts.pairs[1, 0] - 1
    (tmp_path / 'graph.json').write_text(replace(counts, given=wrong).text())
    with pytest.raises(ValueError, match='pairs must be at most the positives'):
        read_graph(tmp_path / 'graph.json')
