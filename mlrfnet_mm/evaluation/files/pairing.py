"""Which prediction files may be used together; the others are refused with the reason."""

import shlex
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from mlrfnet_mm.evaluation import Calibration, Predictions
from mlrfnet_mm.evaluation.files.predictions import ROWS

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, EOFError, BadZipFile, zlib.error)
# Splits that are for the test alone, as the end of a stamp.
TESTS = ('/test', ' held-out/valid')


def load_predictions(path: str | Path, unit: str = 'image') -> Predictions:
    """Read a prediction file and check that its parts fit together.

    Args:
        path: what ``mlrfnet test --out`` wrote.
        unit: what a row is to be: ``'image'``, ``'study'`` (maximum over its images), or
            ``'auto'``: studies where the file has them, as CheXpert is scored.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, parts of different lengths, an image twice, an image
            without patient, and studies asked for where there are none.
    """
    try:
        predictions = Predictions.load(path)
    except UNREADABLE as error:
        raise ValueError(
            f'{path} is not a prediction file (mlrfnet test … --out NPZ writes one): {error}'
        ) from error
    _check_kinds(path, predictions)
    images, n = predictions.images, len(predictions.images)
    by_image = [getattr(predictions, name) for name in ROWS]
    shapes = [predictions.scores.shape, predictions.labels.shape]
    fits = all(len(part) == n for part in by_image if part is not None)
    if shapes != [(n, len(predictions.classes))] * 2 or not fits:
        raise ValueError(
            f'{path}: {n} images, {len(predictions.patients)} patients and '
            f'{len(predictions.classes)} classes do not fit scores and labels of {shapes}'
        )
    _check_values(path, predictions)
    names, counts = np.unique(images, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f'{path}: image {names[counts > 1][0]} is in it {counts.max()} times')
    missing = predictions.patients.astype(str) == ''
    if missing.any():
        raise ValueError(
            f'{path}: {missing.sum():,} of {n:,} images have no patient, the first is '
            f'{images[missing][0]}; intervals by patient need them all: let the data set give '
            "'patient_id' and run mlrfnet test again"
        )
    if unit == 'study' or (unit == 'auto' and predictions.studies is not None):
        return predictions.per_study()
    return predictions


def _check_kinds(path: str | Path, predictions: Predictions) -> None:
    """Raise a ValueError that names the first array of another kind or number of axes."""
    vectors = (*ROWS, 'classes', 'scored', 'members', 'weights')
    axes = dict.fromkeys(vectors, 1) | dict(scores=2, labels=2)
    kinds = dict(scores='f', labels='fiub', classes='U', scored='U', sexes='U', ages='f')
    kinds |= dict(members='U', weights='f')
    for name, ndim in axes.items():
        values = getattr(predictions, name)
        if values is None:
            continue
        allowed = kinds.get(name, 'USiu')
        if values.ndim != ndim or values.dtype.kind not in allowed:
            raise ValueError(
                f'{path} is not a prediction file (mlrfnet test … --out NPZ writes one): {name} is '
                f'{values.dtype} of shape {values.shape}, and must have {ndim} axes of '
                f'{"numbers" if ndim == 2 else "names"}'
            )
    if predictions.unit not in ('image', 'study'):
        raise ValueError(f"{path}: unit must be 'image' or 'study', got {predictions.unit!r}")


def _check_values(path: str | Path, predictions: Predictions) -> None:
    """Raise a ValueError that names the first value that scores or labels cannot have."""
    scores, labels = predictions.scores, predictions.labels
    if not scores.size:
        raise ValueError(f'{path} holds no predictions: {scores.shape} scores')
    names, counts = np.unique(predictions.classes, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f'{path}: finding {str(names[counts > 1][0])!r} is in it {counts.max()} times'
        )
    for what, values, good in (
        ('score', scores, (scores >= 0) & (scores <= 1)),
        ('label', labels, np.isin(labels, (0, 1)) | np.isnan(labels)),
    ):
        if not good.all():
            i, k = np.argwhere(~good)[0]
            allowed = 'from 0 to 1, a probability' if what == 'score' else '0, 1 or NaN (unknown)'
            raise ValueError(
                f'{path}: the {what} of {predictions.classes[k]} for image {predictions.images[i]} '
                f'is {values[i, k]}, and must be {allowed}'
            )


def split_stamp(stamp: str) -> tuple[str, str, str]:
    """Return data set, protocol and split of a stamp such as ``'ChestX-ray14 official/test'``."""
    head, _, split = stamp.rpartition('/')
    dataset, _, protocol = head.rpartition(' ')
    return dataset, protocol, split


def aligned(first: Predictions, second: Predictions) -> Predictions:
    """Return the second model's predictions in the order of the first's images.

    Raises:
        ValueError: they differ in protocol stamp, classes, images, patients or labels.
    """
    if first.stamp != second.stamp:
        raise ValueError(
            f'protocols differ: {first.stamp!r} and {second.stamp!r} must not be compared'
        )
    _require_same_classes(first, second)
    place = {image: i for i, image in enumerate(second.images.tolist())}
    lost = [image for image in first.images.tolist() if image not in place]
    if lost:
        raise ValueError(f'images differ: {lost[0]} is in the first file only ({len(lost):,} are)')
    if len(place) > len(first.images):
        extra = np.flatnonzero(~np.isin(second.images, first.images))
        raise ValueError(
            f'images differ: {second.images[extra[0]]} is in the second file only '
            f'({len(extra):,} are)'
        )
    second = second.rows(np.array([place[image] for image in first.images.tolist()]))
    moved = first.patients.astype(str) != second.patients.astype(str)
    if moved.any():
        i = np.flatnonzero(moved)[0]
        raise ValueError(
            f'patients differ: image {first.images[i]} is of patient {first.patients[i]} in the '
            f'first file and {second.patients[i]} in the second'
        )
    a, b = first.labels, second.labels
    unequal = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if unequal.any():
        i, k = np.argwhere(unequal)[0]
        raise ValueError(
            f'labels differ: {first.classes[k]} of image {first.images[i]} is {a[i, k]:g} in the '
            f'first file and {b[i, k]:g} in the second'
        )
    return second


def check_validation(test: Predictions, val: Predictions) -> int:
    """Refuse validation predictions that are not of this model or not for this test set.

    Returns:
        Number of the test set's patients who are in validation as well, by other images. It should
        be 0; the two protocols of ChestX-ray14 split by patient.

    Raises:
        ValueError: they differ in data set, protocol, classes, unit or checkpoint, or share an
            image.
    """
    if test.checkpoint and val.checkpoint and test.checkpoint != val.checkpoint:
        raise ValueError(
            f'checkpoints differ: the validation predictions are of {val.checkpoint}…, those of '
            f'the test of {test.checkpoint}… (SHA-256): make both with mlrfnet test and one file'
        )
    if test.unit != val.unit:
        raise ValueError(f'units differ: {val.unit} in validation, {test.unit} in the test')
    if split_stamp(test.stamp)[:2] != split_stamp(val.stamp)[:2]:
        raise ValueError(
            f'protocols differ: thresholds from {val.stamp!r} are not for {test.stamp!r}'
        )
    _require_same_classes(test, val)
    shared = test.images[np.isin(test.images, val.images)]
    if len(shared):
        raise ValueError(
            f'the validation file holds {len(shared):,} images of the test file, the first is '
            f'{shared[0]}: thresholds chosen on it would be chosen on test'
        )
    return len(np.intersect1d(test.patients.astype(str), val.patients.astype(str)))


def data_set_of(stamp: str) -> str:
    """Name of the data set in a stamp, without whose model was tested on it.

    >>> data_set_of('CheXpert (model of ChestX-ray14 official/train) held-out/valid')
    'CheXpert'
    """
    return split_stamp(stamp)[0].split(' (')[0]


def check_site(calibration: Calibration, predictions: Predictions, site: str = '') -> None:
    """Refuse a calibration of a site for predictions of another one.

    Args:
        calibration: one without a site is for all.
        predictions: whose stamp names their data set.
        site: what the user calls the predictions' site; ``''``: they are of the calibration's if
            the data set is the one that it was made on.

    Raises:
        ValueError: they are of another site.
    """
    own, theirs = data_set_of(calibration.stamp), data_set_of(predictions.stamp)
    here = site == calibration.site if site else own == theirs
    if calibration.site and not here:
        raise ValueError(
            f'the calibration is for the site {calibration.site!r}, made on {own}, and the '
            f'predictions are of {site or theirs}: make one for them with mlrfnet adapt, or say '
            f'--site {shlex.quote(calibration.site)} if they are from there'
        )


def _require_same_classes(first: Predictions, second: Predictions) -> None:
    """Raise a ValueError that names the first class that differs."""
    a, b = first.classes.tolist(), second.classes.tolist()
    if a != b:
        at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        what = f'{len(a)} and {len(b)} of them' if at is None else f'{a[at]!r} and {b[at]!r}'
        raise ValueError(f'classes differ: {what}')
