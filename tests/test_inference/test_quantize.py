"""What follows in a graph equals networkx."""

import networkx
import numpy as np
import pytest

from mlrfnet_mm.inference.export.quantize import following


@pytest.mark.parametrize('seed', range(5))
def test_following_equals_networkx(seed):
    graph = networkx.gn_graph(40, seed=seed).reverse()
    graph = networkx.relabel_nodes(graph, str)
    starts = [str(n) for n in np.random.default_rng(seed).choice(40, 3, replace=False)]
    expected = {*starts}.union(*(networkx.descendants(graph, start) for start in starts))
    assert following(starts, {n: list(graph.successors(n)) for n in graph}) == sorted(expected)
    assert following([], {}) == []
