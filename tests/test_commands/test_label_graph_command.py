"""mlrfnet label-graph: counts of the training labels as a file and a picture."""

import numpy as np
import pytest
from conftest import ROOT

from mlrfnet_mm.commands.label_graph import main
from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.models.heads.labels.label_graph import label_graph, read_graph

CONFIG = str(ROOT / 'configs/mlrfnet_phantom.py')


def call(phantom, out, *options):
    root = f'train_dataloader.dataset.data_root={phantom}'
    main([CONFIG, '--out-dir', str(out), '--threshold', '0.2', '--cfg-options', root, *options])
    return read_graph(out / 'label_graph.json')


@pytest.fixture
def labels(phantom):
    dataset = ChestXray14(str(phantom), split='train')
    return np.stack([dataset.get_data_info(i)['gt_score'] for i in range(len(dataset))])


def test_counts_the_train_split_and_draws_it(phantom, labels, tmp_path, capsys, figures):
    counts = call(phantom, tmp_path / 'new')
    np.testing.assert_array_equal(counts.positives, labels.sum(0))
    np.testing.assert_allclose(counts.propagation(), label_graph(labels, 0.2))
    assert counts.stamp == 'generated phantom official/train'
    assert counts.images == len(labels) and counts.threshold == 0.2
    assert counts.classes == ChestXray14.METAINFO['classes']
    assert {p.name for p in (tmp_path / 'new').iterdir()} == {
        'label_graph.json', 'label_graph.png', 'label_graph.svg',
    }  # fmt: skip
    out = capsys.readouterr().out
    i, j = np.unravel_index(counts.shares.argmax(), (14, 14))
    names = counts.classes
    assert f'P({names[j]} | {names[i]}) = {counts.shares[i, j]:.4f}' in out
    edges = (counts.shares >= 0.2).sum()
    assert f'{edges} edges at t = 0.2' in out
    (figure,) = figures
    matrix, circle = figure.axes
    np.testing.assert_array_equal(matrix.images[0].get_array(), counts.shares)
    assert len(matrix.patches) == len(circle.patches) == edges > 0


def test_the_control_keeps_the_positives(phantom, labels, tmp_path):
    counts = call(phantom, tmp_path, 'train_dataloader.dataset.shuffle_labels=0')
    np.testing.assert_array_equal(counts.positives, labels.sum(0))
    assert counts.dataset == 'shuffled labels of generated phantom'
    assert not np.array_equal(counts.pairs, (labels.T @ labels) * (1 - np.eye(14)))


def test_an_empty_graph_is_drawn(phantom, tmp_path, figures):
    root = f'train_dataloader.dataset.data_root={phantom}'
    words = [CONFIG, '--out-dir', str(tmp_path), '--threshold', '1', '--cfg-options', root]
    main(words)
    shares = read_graph(tmp_path / 'label_graph.json').shares
    assert len(figures[0].axes[1].patches) == (shares == 1).sum()


def test_other_labels_than_the_training_s_are_refused(phantom, tmp_path):
    with pytest.raises(ValueError, match="split is 'val': a graph of other than the training"):
        call(phantom, tmp_path, 'train_dataloader.dataset.split=val')


def test_the_threshold_is_checked(phantom, tmp_path):
    root = f'train_dataloader.dataset.data_root={phantom}'
    with pytest.raises(ValueError, match='threshold of the label graph'):
        main([CONFIG, '--out-dir', str(tmp_path), '--threshold', '2', '--cfg-options', root])
