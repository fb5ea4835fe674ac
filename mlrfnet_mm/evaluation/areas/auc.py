"""Area under the ROC curve for each class (MLRFNet, section IV-B)."""

from collections.abc import Sequence
from io import StringIO

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sklearn.metrics import roc_auc_score


def roc_auc(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """AUC of every class.

    Args:
        scores: (N, K), higher is more likely; logits or probabilities.
        labels: (N, K) of 0 and 1; NaN is unknown and counts nowhere.

    Returns:
        (K,) float64; NaN for a class whose known labels are all alike: it has no AUC.

    Raises:
        ValueError: shapes that differ, a label that is not 0, 1 or NaN, a score that is not finite.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.shape != labels.shape or scores.ndim != 2:
        raise ValueError(
            f'scores and labels must both be (N, K), got {scores.shape}, {labels.shape}'
        )
    known = ~np.isnan(labels)
    if not np.isin(labels[known], (0, 1)).all():
        found = np.setdiff1d(labels[known], (0, 1))[:5]
        raise ValueError(
            f'labels must be 0, 1 or NaN (unknown), found {found}; soft labels are for training: '
            'evaluate on labels that are decided'
        )
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        raise ValueError(f'score {scores[row, column]} at row {row}, class {column}: not finite')
    aucs = np.full(labels.shape[1], np.nan)
    for k in range(labels.shape[1]):
        y = labels[known[:, k], k]
        if y.size and y.min() != y.max():
            aucs[k] = roc_auc_score(y, scores[known[:, k], k])
    return aucs


def mean_defined(values: np.ndarray) -> float:
    """Mean of the entries that are not NaN; NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float('nan')


def auc_table(aucs: np.ndarray, labels: np.ndarray, classes: Sequence[str], title: str = '') -> str:
    """Lay out the AUCs as text: finding, known labels, positives, AUC or the word undefined."""
    table = Table(title=Text(title) if title else None, title_justify='left', box=SIMPLE_HEAD)
    table.add_column('finding')
    for header in ('labels', 'positives', 'AUC'):
        table.add_column(header, justify='right')
    for name, auc, y in zip(classes, aucs, labels.T, strict=True):
        value = 'undefined' if np.isnan(auc) else f'{auc:.4f}'
        table.add_row(Text(name), f'{(~np.isnan(y)).sum():,}', f'{np.nansum(y):,.0f}', value)
    table.add_section()
    undefined = int(np.isnan(aucs).sum())
    left_out = f' (without {undefined} undefined)' if undefined else ''
    table.add_row(f'mean{left_out}', '', '', f'{mean_defined(aucs):.4f}')
    text = StringIO()
    Console(file=text, width=100).print(table)
    return '\n'.join(line.rstrip() for line in text.getvalue().splitlines())
