"""What is known of the images of a set."""

from dataclasses import dataclass

import numpy as np

from mlrfnet_mm.evaluation import Predictions

SCORE = 'score: '


@dataclass(frozen=True)
class ImageSet:
    """N images of a site or a time.

    Attributes:
        name: what the tables call it.
        patients: (N,) patient of each image; ``None``: not known, and images are taken for
            independent.
        numbers: what → (N,) numbers; NaN is not known.
        categories: what → (N,) texts; ``''`` is not known.
    """

    name: str
    patients: np.ndarray | None
    numbers: dict[str, np.ndarray]
    categories: dict[str, np.ndarray]

    def __len__(self) -> int:
        columns = [*self.numbers.values(), *self.categories.values()]
        return len(columns[0]) if columns else 0


def of_predictions(predictions: Predictions, name: str) -> ImageSet:
    """Scores by finding, ages, views and sexes of a prediction file."""
    names = predictions.classes.tolist()
    numbers = {f'{SCORE}{k}': v for k, v in zip(names, predictions.scores.T, strict=True)}
    if predictions.ages is not None:
        numbers['age'] = predictions.ages
    known = dict(view=predictions.views, sex=predictions.sexes)
    categories = {key: np.char.strip(v.astype(str)) for key, v in known.items() if v is not None}
    return ImageSet(name, predictions.patients.astype(str), numbers, categories)
