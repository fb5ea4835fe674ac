"""The file that evaluation writes and that everything later reads."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.evaluation.files.studies import pool_studies
from mlrfnet_mm.evaluation.files.whole_files import replacing

FRONTAL = ('Frontal', 'PA', 'AP')
# The arrays with one entry per image.
ROWS = ('scores', 'labels', 'images', 'patients', 'studies', 'views', 'sexes', 'ages')


@dataclass(frozen=True)
class Predictions:
    """Scores and labels of one evaluation.

    Attributes:
        scores: (N, K) float32, sigmoid of the logits.
        labels: (N, K) float32, 0, 1 or NaN (unknown).
        images: (N,) names of the images, or of the studies if ``unit`` is ``'study'``.
        patients: (N,) patient ids, for intervals by patient; empty strings if not known.
        classes: (K,) names of the findings.
        stamp: what was evaluated, as ``'ChestX-ray14 official/test'``.
        studies: (N,) study of each image; ``None`` if the data set has none.
        views: (N,) view of each image, as ``'Frontal'``, or ``'PA'`` and ``'AP'``, frontal too;
            ``None`` if not known.
        sexes: (N,) of the patients, as ``'F'``; empty strings and ``None`` are not known.
        ages: (N,) float, years at the time of the image; NaN and ``None`` are not known.
        scored: names of the classes that means are taken over; ``None`` for all.
        unit: what a row is, ``'image'`` or ``'study'``.
        checkpoint: first digits of its SHA-256; ``''`` if not recorded.
        members: (M,) checkpoints of an ensemble; ``None`` for a single model.
        weights: (M,) of the members.
        mean: what is averaged over them, ``'probability'`` or ``'logit'``.
    """

    scores: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    patients: np.ndarray
    classes: np.ndarray
    stamp: str
    studies: np.ndarray | None = None
    views: np.ndarray | None = None
    sexes: np.ndarray | None = None
    ages: np.ndarray | None = None
    scored: np.ndarray | None = None
    unit: str = 'image'
    checkpoint: str = ''
    members: np.ndarray | None = None
    weights: np.ndarray | None = None
    mean: str = ''

    @property
    def in_mean(self) -> np.ndarray:
        """(K,) bool: the classes that means are taken over."""
        if self.scored is None:
            return np.ones(len(self.classes), bool)
        return np.isin(self.classes, self.scored)

    def per_study(self, pool: str = 'max') -> 'Predictions':
        """One row per study: the maximum or mean of its images' scores.

        Raises:
            ValueError: images without study, or labels that differ within a study.
        """
        if self.studies is None:
            raise ValueError(f'{self.stamp}: the images have no study_id to evaluate per study')
        scores, labels, first = pool_studies(self.scores, self.labels, self.studies, pool)
        return replace(
            self,
            scores=scores,
            labels=labels,
            images=self.studies[first],
            patients=self.patients[first],
            studies=None,
            views=None,
            sexes=None if self.sexes is None else self.sexes[first],
            ages=None if self.ages is None else self.ages[first],
            unit='study',
        )

    def frontal(self) -> 'Predictions':
        """The frontal images alone.

        Raises:
            ValueError: the views are not known.
        """
        if self.views is None:
            raise ValueError(f'{self.stamp}: the images have no view, frontal ones are not known')
        return self.rows(np.isin(self.views, FRONTAL))

    def rows(self, kept: np.ndarray) -> 'Predictions':
        """These rows alone.

        Args:
            kept: (N,) bool, or numbers of rows in the order wanted.
        """
        arrays = {name: getattr(self, name) for name in ROWS}
        return replace(self, **{k: v[kept] for k, v in arrays.items() if v is not None})

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``; plain arrays, no pickles."""
        path = Path(path)
        if path.suffix != '.npz':
            raise ValueError(f'predictions are saved as .npz, got {path}')
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            np.savez_compressed(part, **{k: v for k, v in vars(self).items() if v is not None})

    @classmethod
    def load(cls, path: str | Path) -> 'Predictions':
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            fields: dict[str, Any] = dict(arrays)
        for name in ('stamp', 'unit', 'checkpoint', 'mean'):
            if name in fields:
                fields[name] = str(fields[name])
        return cls(**fields)
