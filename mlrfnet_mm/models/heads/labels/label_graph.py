r"""The label graph: how often finding j is there where finding i is; numpy only.

ML-GCN, Chen et al., CVPR 2019, https://arxiv.org/abs/1904.03582, and its public code. From
labels y of the training images, :math:`n_i = \sum y_i` and :math:`M_{ij} = \sum y_i y_j`:

.. math::
    C_{ij} = M_{ij} / n_i = P(j \mid i), \quad B = [C \geq t], \quad
    A = I + \tfrac14 B / \mathrm{colsum}(B), \quad
    \hat A = D^{-1/2} A^\top D^{-1/2}, \; D = \mathrm{rowsum}(A)

Column sums and transpose are as in the code. It takes t = 0.4, which leaves one edge on
ChestX-ray14; t = 0.1 is our choice, and so is ``soft``, :math:`A = I + \tfrac14 C /
\mathrm{rowsum}(C)`, which has no threshold.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm import config_file

NEIGHBORS = 0.25  # weight of all neighbors together; a label's own is 1
COMMAND = 'mlrfnet label-graph CONFIG'


def count_pairs(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count findings and pairs of findings; images where one of a pair is unknown are left out.

    Args:
        y: labels (N, K), from 0 to 1; NaN is unknown.

    Returns:
        The pairs M (K, K), 0 on the diagonal, and ``given`` (K, K): how often i is there among the
        images where j is known, :math:`n_i` on the diagonal and, without unknown labels,
        everywhere in row i.

    Raises:
        ValueError: another shape, no image, or labels outside 0 to 1.
    """
    y = np.asarray(y, float)
    if y.ndim != 2 or 0 in y.shape:
        raise ValueError(f'labels must be (images, findings), none of them 0, got shape {y.shape}')
    known = ~np.isnan(y)
    if (outside := y[known & ~((y >= 0) & (y <= 1))]).size:
        raise ValueError(f'labels must be from 0 to 1, or NaN for unknown, got {outside[0]}')
    present = np.where(known, y, 0.0)
    pairs = present.T @ present
    np.fill_diagonal(pairs, 0.0)
    return pairs, present.T @ known


def conditional(pairs: np.ndarray, given: np.ndarray) -> np.ndarray:
    """P(j | i) at (i, j), 0 on the diagonal and for a finding that is never there."""
    return np.divide(pairs, given, out=np.zeros(np.shape(pairs)), where=np.asarray(given) > 0)


def edges(shares: np.ndarray, threshold: float) -> np.ndarray:
    """Whether j is an edge of i, (K, K): P(j | i) is at least the threshold.

    Raises:
        ValueError: a threshold that is not in (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f'threshold of the label graph must be in (0, 1], got {threshold}')
    return np.asarray(shares) >= threshold


def adjacency(shares: np.ndarray, threshold: float = 0.1, soft: bool = False) -> np.ndarray:
    """A of the module's formula, (K, K).

    Args:
        shares: P(j | i), as :func:`conditional` gives it.
        threshold: t; not used by ``soft``.
        soft: keep the shares themselves, over their row sums.
    """
    if soft:
        sums = shares.sum(1, keepdims=True)
        weights = np.divide(shares, sums, out=np.zeros(shares.shape), where=sums > 0)
    else:
        linked = edges(shares, threshold).astype(float)
        weights = linked / (linked.sum(0) + 1e-6)
    return np.eye(len(shares)) + NEIGHBORS * weights


def propagation(a: np.ndarray) -> np.ndarray:
    """Â, (K, K): row i mixes what enters label i."""
    root = np.asarray(a).sum(1) ** -0.5
    return root[:, None] * np.asarray(a).T * root


def label_graph(y: np.ndarray, threshold: float = 0.1, soft: bool = False) -> np.ndarray:
    """Â from the labels of the training images alone, (K, K).

    Args:
        y: labels (N, K) of the train split, from 0 to 1; NaN is unknown.
        threshold: t: P(j | i) from which on j is an edge of i.
        soft: no threshold: the shares themselves.

    >>> y = np.array([[1, 1], [1, 0], [1, 0], [1, 0]])  # P(1 | 0) = 0.25, P(0 | 1) = 1
    >>> label_graph(y, threshold=0.5).round(4)
    array([[1.    , 0.2236],
           [0.    , 0.8   ]])
    """
    return propagation(adjacency(conditional(*count_pairs(y)), threshold, soft))


@dataclass(frozen=True)
class LabelCounts:
    """What a graph file holds: counts of a train split, and where they come from.

    Attributes:
        classes: names of the K findings, in the data set's order.
        positives: how often each is there, (K,).
        pairs: M, (K, K).
        given: see :func:`count_pairs`, (K, K); None where all labels are known, so that it would
            repeat ``positives``.
        threshold: t that the file was written with.
        dataset: name of the data set, as its ``metainfo`` has it.
        protocol: of the data set.
        split: ``'train'``.
        images: number of images.
        date: of the count, ISO.
    """

    classes: tuple[str, ...]
    positives: np.ndarray
    pairs: np.ndarray
    given: np.ndarray | None
    threshold: float
    dataset: str
    protocol: str
    split: str
    images: int
    date: str

    @property
    def shares(self) -> np.ndarray:
        """P(j | i), (K, K)."""
        given = self.given
        whole = np.tile(self.positives[:, None], len(self.classes)) if given is None else given
        return conditional(self.pairs, whole)

    @property
    def stamp(self) -> str:
        """Data set, protocol and split."""
        return f'{self.dataset} {self.protocol}/{self.split}'

    def propagation(self, threshold: float | None = None, soft: bool = False) -> np.ndarray:
        """Â; without a threshold by the file's own."""
        t = self.threshold if threshold is None else threshold
        return propagation(adjacency(self.shares, t, soft))

    def text(self) -> str:
        """JSON with a line for each row of a matrix; whole counts as integers."""
        lines = []
        for key, value in asdict(self).items():
            if isinstance(value, np.ndarray):
                value = _plain(value)
            if value and isinstance(value[0] if isinstance(value, list) else None, list):
                rows = ',\n'.join(f'  {json.dumps(row)}' for row in value)
                lines.append(f' {json.dumps(key)}: [\n{rows}\n ]')
            else:
                lines.append(f' {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}')
        return '{\n' + ',\n'.join(lines) + '\n}\n'


def _plain(values: np.ndarray) -> Any:
    """Lists; a float that is whole becomes an int."""
    if values.ndim == 0:
        return int(values) if values == np.round(values) else float(values)
    return [_plain(np.asarray(value)) for value in values]


def read_graph(path: str | Path) -> LabelCounts:
    """Read a graph file and check all of it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no JSON, other keys, classes that repeat, matrices of another size, counts that
            contradict each other, another split than ``train``.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not a JSON file: {error}; {COMMAND} writes it') from error
    try:
        return make_counts(content)
    except ValueError as error:
        raise ValueError(f'{path}: {error}; {COMMAND} writes it again') from error


def load_graph(graph: str | Mapping[str, Any]) -> LabelCounts:
    """The graph that a config names.

    Args:
        graph: a file; else one that is shipped, as ``'graphs/xray14_official_train.json'``; or what
            a file holds.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see :func:`read_graph`.
    """
    if not isinstance(graph, str):
        return make_counts(graph)
    try:
        return read_graph(graph if Path(graph).is_file() else config_file(graph))
    except FileNotFoundError as error:
        raise FileNotFoundError(f'no label graph {graph!r}: {COMMAND} writes one') from error


def find_graph(graph: str | Mapping[str, Any], classes: int) -> LabelCounts:
    """The graph that a config names, for so many classes.

    Args:
        graph: see :func:`load_graph`.
        classes: number K of findings of the head.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see :func:`read_graph`; a graph of another number of classes.
    """
    counts = load_graph(graph)
    if len(counts.classes) != classes:
        raise ValueError(
            f'model.head.num_classes is {classes}, the label graph of {counts.stamp} has '
            f'{len(counts.classes)} classes; {COMMAND} writes one for your data'
        )
    return counts


def make_counts(content: Mapping[str, Any]) -> LabelCounts:
    """Check what a graph file holds.

    Raises:
        ValueError: see :func:`read_graph`.
    """
    keys = sorted(field.name for field in fields(LabelCounts))
    found = sorted(content) if isinstance(content, Mapping) else content
    if found != keys:
        raise ValueError(f'a label graph holds the keys {", ".join(keys)}, found {found}')
    classes = _classes(content['classes'])
    k = len(classes)
    shapes = dict(positives=(k,), pairs=(k, k), given=(k, k))
    if content['given'] is None:
        del shapes['given']
    arrays = {key: _array(content[key], shape, key) for key, shape in shapes.items()}
    counts = LabelCounts(**{**content, **arrays, 'classes': classes})
    for key in ('dataset', 'protocol', 'date'):
        if not isinstance(content[key], str) or not content[key]:
            raise ValueError(f'{key} must be a text, got {content[key]!r}')
    if counts.split != 'train':
        raise ValueError(f"a label graph is of the split 'train' only, got {counts.split!r}")
    if isinstance(counts.images, bool) or not isinstance(counts.images, int) or counts.images < 1:
        raise ValueError(f'images must be a whole number above 0, got {counts.images!r}')
    if isinstance(counts.threshold, bool) or not isinstance(counts.threshold, int | float):
        raise ValueError(f'threshold must be a number, got {counts.threshold!r}')
    edges(counts.shares, counts.threshold)
    _check_counts(counts)
    return counts


def _classes(names: Any) -> tuple[str, ...]:
    texts = isinstance(names, list | tuple) and all(isinstance(n, str) and n for n in names)
    if not texts or not names or len(set(names)) < len(names):
        raise ValueError(f'classes must be different names, got {names!r}')
    return tuple(names)


def _array(values: Any, shape: Sequence[int], key: str) -> np.ndarray:
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.full(0, np.nan)
    if array.shape != tuple(shape) or not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(
            f'{key} must be {" x ".join(map(str, shape))} counts, one per class, got {values!r}'
        )
    return array


def _check_counts(counts: LabelCounts) -> None:
    """Refuse counts that no labels have: a file that was edited, or mixed from two."""
    n, pairs, most = counts.positives, counts.pairs, 1 + 1e-9  # soft labels: sums of floats
    given = np.tile(n[:, None], len(n)) if counts.given is None else counts.given
    faults = {
        'pairs must be symmetric': np.allclose(pairs, pairs.T, rtol=1e-9),
        'pairs must have zeros on the diagonal': not pairs.diagonal().any(),
        'given must have positives on its diagonal': np.array_equal(given.diagonal(), n),
        'given must be at most positives in each row': (given <= most * n[:, None]).all(),
        'pairs must be at most the positives': (pairs <= most * given).all(),
        f'positives must be at most images = {counts.images}': (n <= counts.images).all(),
    }
    for fault, good in faults.items():
        if not good:
            raise ValueError(fault)
