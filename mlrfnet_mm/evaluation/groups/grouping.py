"""Which group each image is in: by sex, age band, view, or any column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlrfnet_mm.evaluation.files.predictions import Predictions

AGE_CUTS = (40.0, 65.0)
OLDEST = 120  # years; the table of 2017 has ages to 414
MOST_GROUPS = 20
# What --by calls an array of the predictions
CARRIED = dict(sex='sexes', age='ages', view='views')
NOT_KNOWN = ('', 'nan', 'na', 'n/a', 'none', 'null', 'unknown')


@dataclass(frozen=True)
class Grouping:
    """Images in groups that do not overlap.

    Attributes:
        name: what they are grouped by, as ``'sex'``.
        groups: names of the G groups, in the order of tables; each holds an image.
        of_image: (N,) group of each image, -1 where it is not known.
    """

    name: str
    groups: tuple[str, ...]
    of_image: np.ndarray


def parse_by(text: str) -> tuple[str, tuple[float, ...]]:
    """Column and cuts of ``'sex'``, ``'age'`` or ``'age=40,65'``.

    >>> parse_by('age=40,65'), parse_by('sex')
    (('age', (40.0, 65.0)), ('sex', ()))

    Raises:
        ValueError: no column, or cuts that are not rising numbers.
    """
    column, equals, numbers = text.partition('=')
    try:
        cuts = tuple(float(number) for number in numbers.split(',')) if equals else ()
    except ValueError:
        cuts = (np.nan,)
    if not column or not np.isfinite(cuts).all() or any(np.diff(cuts) <= 0):
        raise ValueError(
            f'--by takes a column, or a column and where to cut its numbers, rising, as '
            f'age=40,65; got {text!r}'
        )
    return column, cuts


def group_by(
    predictions: Predictions, by: str, columns: Mapping[str, np.ndarray] | None = None
) -> Grouping:
    """Group the images.

    Args:
        predictions: N images; they may carry sexes, ages and views.
        by: see :func:`parse_by`. Ages have cuts at 40 and 65 by default, up to 120 years.
        columns: further columns, (N,) texts or numbers each; they go before what the predictions
            carry.

    Raises:
        ValueError: a column that is not there, one without a known value, cuts of what is not
            numbers, and more than 20 groups.
    """
    column, cuts = parse_by(by)
    values = _values(predictions, column, columns or {})
    if not cuts and column == 'age' and values.dtype.kind == 'f':
        cuts = AGE_CUTS
    if column == 'age' and values.dtype.kind == 'f':
        values = np.where(values > OLDEST, np.nan, values)
    if cuts:
        names, of_image = _bands(by, values, cuts, years=column == 'age')
    else:
        names, of_image = _categories(column, values)
    there, compact = np.unique(of_image[of_image >= 0], return_inverse=True)
    if not len(there):
        raise ValueError(f'{predictions.stamp}: no image has a known {column}')
    kept = np.full(len(of_image), -1)
    kept[of_image >= 0] = compact
    return Grouping(column, tuple(names[i] for i in there), kept)


def _values(predictions: Predictions, column: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The (N,) values of a column, numbers as float where all known ones are."""
    if column in columns:
        return _numbers(np.asarray(columns[column]))
    carried = getattr(predictions, CARRIED[column]) if column in CARRIED else None
    if carried is not None:
        return np.asarray(carried)
    there = [name for name, key in CARRIED.items() if getattr(predictions, key) is not None]
    known = ', '.join([*columns, *(name for name in there if name not in columns)])
    hint = '; views are of images: take --unit image' if predictions.unit == 'study' else ''
    raise ValueError(
        f'{predictions.stamp}: no column {column!r} to group by; there is {known or "none"}. '
        'mlrfnet test writes sex, age and view where the data set and meta_keys of PackInputs '
        f'have them; or give a table with that column: --columns CSV{hint}'
    )


def _numbers(values: np.ndarray) -> np.ndarray:
    """Texts as float, NaN where not known, if all are numbers; else as they are."""
    if values.dtype.kind not in 'USO':
        return values.astype(float)
    texts = values.astype(str)
    distinct, index = np.unique(texts, return_inverse=True)
    try:
        numbers = [
            np.nan if text.strip().lower() in NOT_KNOWN else float(text) for text in distinct
        ]
    except ValueError:
        return texts
    found = np.array(numbers, float)
    return texts if np.isnan(found).all() else found[index]


def _bands(
    by: str, values: np.ndarray, cuts: Sequence[float], years: bool
) -> tuple[list[str], np.ndarray]:
    """Names of the bands between the cuts, and the band of each value."""
    if values.dtype.kind != 'f':
        text = next(v for v in values.tolist() if _is_text(v))
        raise ValueError(f'--by {by}: the column has {text!r}, which is not a number to cut')
    if years and all(cut == int(cut) for cut in cuts):  # completed years: 64.5 is in 40-64
        starts = [0, *map(int, cuts)]
        names = [f'{a}-{b - 1}' for a, b in pairwise(starts)]
        names.append(f'{starts[-1]}+')
    else:
        names = [f'below {cuts[0]:g}']
        names += [f'{a:g} to below {b:g}' for a, b in pairwise(cuts)]
        names.append(f'{cuts[-1]:g} and above')
    of_value = np.searchsorted(cuts, values, 'right')
    return names, np.where(np.isnan(values), -1, of_value)


def _is_text(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return str(value).strip().lower() not in NOT_KNOWN
    return False


def _categories(column: str, values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of the values in their order, and the place of each."""
    if values.dtype.kind != 'f':
        values = np.char.strip(values.astype(str))
    distinct, index = np.unique(values, return_inverse=True)  # all NaN are one
    names = [f'{v:.10g}' if isinstance(v, float) else str(v) for v in distinct.tolist()]
    known = [name.lower() not in NOT_KNOWN for name in names]
    if sum(known) > MOST_GROUPS:
        raise ValueError(
            f'column {column!r} has {sum(known)} different values, more than {MOST_GROUPS} groups; '
            f'if they are numbers, say where to cut them: --by {column}=40,65'
        )
    place = np.where(known, np.arange(len(names)), -1)
    return names, place[index]
