"""The file that evaluation writes and that everything later reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """Scores and labels of one evaluation.

    Attributes:
        scores: (N, K) float32, sigmoid of the logits.
        labels: (N, K) float32, 0, 1 or NaN (unknown).
        images: (N,) names of the images.
        patients: (N,) patient ids, for intervals by patient; empty strings if not known.
        classes: (K,) names of the findings.
        stamp: what was evaluated, as ``'ChestX-ray14 official/test'``.
    """

    scores: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    patients: np.ndarray
    classes: np.ndarray
    stamp: str

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``; plain arrays, no pickles."""
        path = Path(path)
        if path.suffix != '.npz':
            raise ValueError(f'predictions are saved as .npz, got {path}')
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **vars(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Predictions':
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            fields = dict(arrays)
        return cls(**{**fields, 'stamp': str(fields['stamp'])})
