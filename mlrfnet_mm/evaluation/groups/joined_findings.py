"""Findings of one data set that are several of another's: one table, with reasons.

A radiologist who marks an airspace opacity does not say which kind; ChestX-ray14's labels are
kinds. Its label for the whole is there where one of the parts is, and the model's score for the
whole is made of the parts' scores.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def noisy_or(scores: np.ndarray) -> np.ndarray:
    """The probability of any of the parts (…, P), if they were independent: 1 - Π (1 - p)."""
    return np.asarray(1 - np.prod(1 - scores.astype(float), -1))


def maximum(scores: np.ndarray) -> np.ndarray:
    """The score of the part (…, P) that has the highest."""
    return np.asarray(scores.max(-1))


def any_of(labels: np.ndarray) -> np.ndarray:
    """1 where a part (…, P) is there, 0 where none is, NaN where none is and some are not known."""
    known = np.where(np.isnan(labels).any(-1), np.nan, 0.0)
    return np.asarray(np.where((labels == 1).any(-1), 1.0, known))


POOLS: dict[str, Callable[[np.ndarray], np.ndarray]] = {'maximum': maximum, 'noisy-or': noisy_or}


class Joined(NamedTuple):
    """A finding and its parts.

    Attributes:
        name: of the whole.
        parts: of ChestX-ray14's findings.
        pool: a key of ``POOLS``, how the scores are joined.
        reason: why these, and why so.
    """

    name: str
    parts: tuple[str, ...]
    pool: str
    reason: str


JOINED = (
    Joined(
        'Airspace opacity',
        ('Consolidation', 'Pneumonia', 'Infiltration', 'Atelectasis', 'Edema'),
        'maximum',
        'each of them shows as an opacity of the airspace. The maximum, as noisy-or takes scores '
        'for probabilities of independent findings, which they are not',
    ),
    Joined(
        'Nodule or mass',
        ('Nodule', 'Mass'),
        'maximum',
        'the two differ in size alone, at 3 cm. The maximum, as one spot is called one or the '
        'other, not both',
    ),
)
