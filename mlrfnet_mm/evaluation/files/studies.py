"""From images to studies: CheXpert is evaluated per study, over all its views.

Irvin et al., AAAI 2019, https://arxiv.org/abs/1901.07031: the maximum of the views' probabilities.
"""

from collections.abc import Sequence
from io import StringIO

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlrfnet_mm.evaluation.areas.auc import mean_defined

POOLS = {'max': np.maximum, 'mean': np.add}


def pool_studies(
    scores: np.ndarray, labels: np.ndarray, studies: np.ndarray, pool: str = 'max'
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pool the scores of each study's images; a study has one label per class.

    Args:
        scores: (N, K).
        labels: (N, K), NaN is unknown.
        studies: (N,) study of each image.
        pool: ``'max'`` or ``'mean'`` over a study's images.

    Returns:
        Scores (S, K), labels (S, K) and, for each study, the row of its first image (S,). Studies
        come in the order of these rows.

    Raises:
        ValueError: an unknown ``pool``, and images of a study whose labels differ.
    """
    if pool not in POOLS:
        raise ValueError(f'pool must be one of {", ".join(POOLS)}, got {pool!r}')
    _, first, index, counts = np.unique(
        studies, return_index=True, return_inverse=True, return_counts=True
    )
    a, b = labels, labels[first][index]
    differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if differ.any():
        row, k = np.argwhere(differ)[0]
        raise ValueError(
            f'study {studies[row]}: its images have labels {b[row, k]:g} and {a[row, k]:g} of '
            f'class {k}; a study has one label per class'
        )
    order = np.argsort(index, kind='stable')
    starts = np.cumsum(counts) - counts
    pooled = POOLS[pool].reduceat(scores[order], starts) if len(order) else scores
    if pool == 'mean':
        pooled = pooled / counts[:, None].astype(scores.dtype)
    by_row = np.argsort(first)
    first = first[by_row]
    return pooled[by_row], labels[first], first


def side_by_side(
    title: str,
    classes: Sequence[str],
    positives: np.ndarray,
    readings: dict[str, np.ndarray],
    in_mean: np.ndarray,
) -> str:
    """Lay out several readings of the same scores as text.

    Args:
        title: above the table.
        classes: K names.
        positives: (K,) counts.
        readings: header → AUCs (K,), NaN for undefined.
        in_mean: (K,) bool, classes that count in the mean; marked with ``*`` if not all do.
    """
    some = not in_mean.all()
    table = Table(title=Text(title), title_justify='left', box=SIMPLE_HEAD)
    table.add_column('finding', no_wrap=True)
    for header in ('positives', *readings):
        table.add_column(Text(header), justify='right', no_wrap=True)
    rows = zip(classes, positives, in_mean, np.stack(list(readings.values()), 1), strict=True)
    for name, count, counts, aucs in rows:
        mark = ' *' if some and counts else ''
        table.add_row(Text(f'{name}{mark}'), f'{count:,.0f}', *map(_cell, aucs))
    table.add_section()
    means = {f'mean of the {in_mean.sum()} *': in_mean} if some else {}
    for label, chosen in {**means, f'mean of all {len(in_mean)}': np.ones_like(in_mean)}.items():
        undefined = max(int(np.isnan(aucs[chosen]).sum()) for aucs in readings.values())
        left_out = f', without {undefined} undefined' if undefined else ''
        values = (mean_defined(aucs[chosen]) for aucs in readings.values())
        table.add_row(f'{label}{left_out}', '', *map(_cell, values))
    text = StringIO()
    Console(file=text, width=120, highlight=False).print(table)
    return '\n'.join(line.rstrip() for line in text.getvalue().splitlines())


def _cell(auc: float) -> str:
    return 'undefined' if np.isnan(auc) else f'{auc:.4f}'
