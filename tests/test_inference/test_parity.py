"""The gate of export against scikit-learn and by hand."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation import Thresholds
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.export.images import ParityImages
from mlrfnet_mm.inference.export.parity import compare

CLASSES = ('Edema', 'Mass', 'Hernia')


def case(n=200, noise=0.1):
    rng = np.random.default_rng(0)
    labels = (rng.random((n, 3)) < [0.4, 0.3, 0.1]).astype(np.float32)
    eager = (rng.normal(size=(n, 3)) + labels).astype(np.float32)
    graph = eager + rng.normal(scale=noise, size=(n, 3)).astype(np.float32)
    patients = np.arange(n) // 2
    return eager, graph, ParityImages(np.zeros((n, 1, 1, 1), np.uint8), labels, patients, 'x y/val')


def decisions(thresholds=None):
    found = thresholds and Thresholds(CLASSES, 'youden', np.array(thresholds), 'scores', 'x y/val')
    return Decisions(CLASSES, None, found or None)


def test_differences_are_those_of_scikit_learn():
    eager, graph, images = case()
    parity = compare(eager, graph, images, decisions([0.5, 0.3, np.nan]))
    changes = [
        roc_auc_score(images.labels[:, k], graph[:, k])
        - roc_auc_score(images.labels[:, k], eager[:, k])
        for k in range(3)
    ]
    for k, name in enumerate(CLASSES):
        change, low, high, positives = parity.auc[name]
        assert change == pytest.approx(changes[k])
        assert low < change < high and positives == images.labels[:, k].sum()
    assert parity.mean_auc[0] == pytest.approx(np.mean(changes))
    gap = np.abs(graph - eager)
    assert parity.logits == pytest.approx((gap.max(), gap.mean()))
    limits = logit([0.5, 0.3])
    flips = ((eager[:, :2] >= limits) != (graph[:, :2] >= limits)).sum()
    assert (parity.flips, parity.decisions) == (flips, 400) and flips > 0
    shift = np.abs(expit(graph) - expit(eager))
    assert parity.probabilities == pytest.approx((shift.max(), shift.mean()), abs=1e-6)


def test_limits():
    eager, graph, images = case(noise=0)
    same = compare(eager, graph, images, decisions())
    assert same.faults('fp32') == same.faults('int8') == []
    assert same.thresholds == 'youden on these images' and same.flips == 0
    near = compare(eager, graph + 2e-4, images, decisions())
    assert near.faults('int8') == []  # the order is the same
    assert near.faults('fp32') == ['a logit differs by 0.0002, more than 0.0001']
    far = graph.copy()
    far[:, 0] = -far[:, 0]
    found = compare(eager, far, images, decisions()).faults('int8')
    assert len(found) == 2 and 'mean AUC' in found[0] and 'the AUC of Edema' in found[1]
    few = graph.copy()
    few[:, 2] = -few[:, 2]  # fewer than 30 positives: only the mean tells
    assert images.labels[:, 2].sum() < 30
    assert len(compare(eager, few, images, decisions()).faults('int8')) == 1
