"""How often each finding is there, which occur together, and which labels are likely wrong.

Suspected labels are found by confident learning (Northcutt et al., JAIR 2021,
https://arxiv.org/abs/1911.00068), with cleanlab's functions for several labels per image
(Thyagarajan et al., 2022, https://arxiv.org/abs/2211.13895). It compares scores with labels that
the model has not seen: predictions of data that it was trained on find little.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlrfnet_mm.reports.audit.rows import Split
from mlrfnet_mm.reports.output.tables import Record, Table


class Suspect(NamedTuple):
    """A label that is likely wrong."""

    row: int  # of the predictions
    finding: int
    label: int  # given: 0 or 1
    score: float  # predicted
    quality: float  # of the label, 0 is worst: the score of what the label says


def prevalence(splits: Sequence[Split]) -> Table:
    """Share of the images with each finding, of those whose label is known."""
    records: list[Record] = []
    for name in dict.fromkeys(name for split in splits for name in split.classes):
        record: Record = dict(finding=name)
        for split in splits:
            if name not in split.classes:
                continue
            column = split.labels[:, split.classes.index(name)]
            known = column[~np.isnan(column)]
            record[f'{split.part}_positive'] = int((known > 0.5).sum())
            share = f'{(known > 0.5).mean():.2%}' if len(known) else '–'
            record[split.part] = share + _unknown(len(column) - len(known))
        records.append(record)
    none: Record = dict(finding='none of them')
    for split in splits:
        nothing = ~(np.nan_to_num(split.labels) > 0.5).any(1)
        none[f'{split.part}_positive'] = int(nothing.sum())
        none[split.part] = f'{nothing.mean():.2%}' if len(nothing) else '–'
    columns = dict(finding='finding')
    for split in splits:
        columns |= {f'{split.part}: images': f'{split.part}_positive', split.part: split.part}
    return Table('prevalence', 'Findings by split', columns, [*records, none])


def _unknown(count: int) -> str:
    return f', {count:,} unknown' if count else ''


def co_occurrence(split: Split) -> Table:
    """Number of images that have both findings; on the diagonal those that have the one."""
    there = (np.nan_to_num(split.labels) > 0.5).astype(np.int64)
    counts = there.T @ there
    records: list[Record] = [
        dict(finding=name) | {other: int(n) for other, n in zip(split.classes, row, strict=True)}
        for name, row in zip(split.classes, counts, strict=True)
    ]
    columns = dict(finding='finding') | {name: name for name in split.classes}
    title = f'Images with both findings, {split.part}'
    return Table(f'co_occurrence_{split.part.replace(" ", "_")}', title, columns, records)


def find_suspects(scores: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    """Labels that are likely wrong, the worst first.

    Args:
        scores: (N, K), from 0 to 1, of a model that has not been trained on these labels.
        labels: (N, K), 0, 1 or NaN (unknown, never suspected).

    Raises:
        ImportError: cleanlab is not installed.
    """
    try:
        from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    except ImportError as error:
        raise ImportError(
            f"--predictions needs cleanlab ({error}): pip install 'mlrfnet-mm[audit]'"
        ) from error
    suspects = []
    for k in range(labels.shape[1]):
        rows = np.flatnonzero(~np.isnan(labels[:, k]))
        given, p = labels[rows, k].astype(int), scores[rows, k].astype(float)
        if len(set(given.tolist())) < 2:
            continue  # nothing to compare with
        ranked, _, _ = find_multilabel_issues_per_class(
            [[0] if label else [] for label in given.tolist()],
            p[:, None],
            return_indices_ranked_by='self_confidence',
            n_jobs=1,
        )
        quality = np.where(given == 1, p, 1 - p)
        suspects += [
            Suspect(int(rows[i]), k, int(given[i]), float(p[i]), float(quality[i]))
            for i in ranked[0].tolist()
        ]
    return sorted(suspects, key=lambda suspect: suspect.quality)
