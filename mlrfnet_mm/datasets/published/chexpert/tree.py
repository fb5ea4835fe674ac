"""CheXpert's labels as a tree: what is found under a finding speaks for it, too.

Pham et al., "Interpreting chest X-rays via CNNs that exploit hierarchical disease dependencies and
uncertainty labels", 2021, https://arxiv.org/abs/1911.06475
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS, POSITIVE

# Child → parent. The eight others are roots.
PARENTS: Mapping[str, str] = MappingProxyType(
    {
        'Lung Lesion': 'Lung Opacity',
        'Edema': 'Lung Opacity',
        'Atelectasis': 'Lung Opacity',
        'Consolidation': 'Lung Opacity',
        'Pneumonia': 'Consolidation',
        'Cardiomegaly': 'Enlarged Cardiomediastinum',
    }
)
TREES = ('up', 'conditional')


def ancestors(name: str, parents: Mapping[str, str] = PARENTS) -> tuple[str, ...]:
    """Names from a label's parent up to its root.

    >>> ancestors('Pneumonia')
    ('Consolidation', 'Lung Opacity')

    Raises:
        ValueError: a label that is its own ancestor.
    """
    found: list[str] = []
    while name in parents:
        name = parents[name]
        if name in found:
            raise ValueError(f'the label tree runs in a circle: {" → ".join([*found, name])}')
        found.append(name)
    return tuple(found)


def propagate_up(codes: np.ndarray) -> np.ndarray:
    """Make the ancestors of every positive label positive, whatever they were.

    Args:
        codes: (N, 14), in the order of ``FINDINGS``.

    Returns:
        A copy. Uncertain labels move nothing.
    """
    up = codes.copy()
    for k, name in enumerate(FINDINGS):
        for ancestor in ancestors(name):
            up[codes[:, k] == POSITIVE, FINDINGS.index(ancestor)] = POSITIVE
    return up


def given_ancestors(codes: np.ndarray) -> np.ndarray:
    """Which labels have positive ancestors only, and so belong to their conditional set.

    Args:
        codes: (14,) or (N, 14), after :func:`propagate_up`; an uncertain parent is not positive.

    Returns:
        bool, in the shape of ``codes``; true for all roots.
    """
    positive = codes == POSITIVE
    given = np.ones_like(positive)
    for k, name in enumerate(FINDINGS):
        for ancestor in ancestors(name):
            given[..., k] &= positive[..., FINDINGS.index(ancestor)]
    return given
