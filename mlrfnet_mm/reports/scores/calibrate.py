"""Calibration and thresholds of a checkpoint from its validation predictions."""

from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation import (
    Calibration,
    Predictions,
    Thresholds,
    brier_score,
    calibration_error,
    choose_thresholds,
    fit_calibration,
    mean_defined,
    roc_auc,
)
from mlrfnet_mm.evaluation.calibration.reliability import BINS
from mlrfnet_mm.evaluation.files.digest import checkpoint_digest
from mlrfnet_mm.evaluation.files.pairing import TESTS, check_site, check_validation
from mlrfnet_mm.reports.output.tables import Record, Table


def fit(
    val: Predictions, method: str = 'platt', rule: str = 'youden'
) -> tuple[Calibration | None, Thresholds]:
    """Fit a calibration and choose thresholds on the same validation predictions.

    Args:
        val: the validation predictions.
        method: see :func:`~mlrfnet_mm.evaluation.fit_calibration`; ``'none'`` for thresholds on
            scores only.
        rule: see :func:`~mlrfnet_mm.evaluation.choose_thresholds`.

    Returns:
        The calibration, None for ``'none'``, and the thresholds: on probabilities, so that a
        prediction shows both on one scale; NaN for a class whose scale is 0, as all its images have
        the same probability.

    Raises:
        ValueError: predictions of a test set, or without any class to fit.
    """
    if val.stamp.endswith(TESTS):
        raise ValueError(
            f'{val.stamp} is for the test alone: calibrate on predictions of validation, '
            'mlrfnet test … --split val'
        )
    if np.isnan(roc_auc(val.scores, val.labels)).all():
        raise ValueError(f'{val.stamp}: no finding has both positive and negative labels')
    classes, origin = tuple(val.classes.tolist()), (val.stamp, val.checkpoint, val.unit)
    thresholds = choose_thresholds(val.scores, val.labels, rule)
    if method == 'none':
        return None, Thresholds(classes, rule, thresholds, 'scores', *origin)
    scale, bias = fit_calibration(val.scores, val.labels, method)
    known = (~np.isnan(val.labels)).sum(0)
    prevalence = np.nansum(val.labels, 0) / np.where(known, known, np.nan)
    calibration = Calibration(classes, method, scale, bias, *origin, prevalence=prevalence)
    return calibration, Thresholds(
        classes, rule, calibrated_thresholds(calibration, thresholds), 'calibrated', *origin
    )


def calibrated_thresholds(calibration: Calibration, thresholds: np.ndarray) -> np.ndarray:
    """Thresholds (K,) on scores as probabilities; NaN where the scale is 0 or not known."""
    known = ~np.isnan(thresholds)  # on the scores' scale; calibration keeps their order
    moved = calibration.apply(np.where(known, thresholds, 0.5))
    moved[~known | (calibration.scale == 0)] = np.nan
    return moved


def write(
    folder: str | Path, calibration: Calibration | None, thresholds: Thresholds
) -> list[Path]:
    """Write ``calibration.json`` and ``thresholds.json`` next to a checkpoint.

    Raises:
        NotADirectoryError: no such folder.
        FileExistsError: thresholds on scores, but a ``calibration.json`` is there: predictions
            would go on using it; or one of another checkpoint.
        ValueError: no checkpoint in the folder is the one that made the predictions.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f'no folder {folder}: give that of the checkpoint')
    digests = {path.name: checkpoint_digest(path) for path in sorted(folder.glob('*.pth'))}
    if thresholds.checkpoint and digests and thresholds.checkpoint not in digests.values():
        raise ValueError(
            f'the predictions are of a checkpoint of SHA-256 {thresholds.checkpoint}…, and none in '
            f'{folder} is that one: {digests}'
        )
    for kind, name in ((Calibration, 'calibration.json'), (Thresholds, 'thresholds.json')):
        old = folder / name
        found = kind.load(old).checkpoint if old.is_file() else ''
        if found not in ('', thresholds.checkpoint):
            raise FileExistsError(
                f'{old} is of another checkpoint ({found}…, not {thresholds.checkpoint}…): remove '
                'it first if it is of no more use'
            )
    if calibration is None:
        stale = folder / 'calibration.json'
        if stale.exists():
            raise FileExistsError(f'{stale} is there and would still be used: remove it first')
        return [thresholds.save(folder)]
    return [calibration.save(folder), thresholds.save(folder)]


def calibration_table(
    calibration: Calibration, val: Predictions, test: Predictions | None = None
) -> Table:
    """Calibration error and Brier score of every class, before and after.

    Args:
        calibration: fitted on ``val``.
        val: the validation predictions.
        test: predictions to evaluate it on; without them it is ``val`` itself, and the title says
            so.

    Raises:
        ValueError: see :func:`~mlrfnet_mm.evaluation.files.pairing.check_validation`.
    """
    shown = val if test is None else test
    check_site(calibration, shown)
    if test is not None:
        check_validation(test, val)
    before, after = shown.scores.astype(float), calibration.apply(shown.scores)
    known = (~np.isnan(shown.labels)).sum(0)
    columns = dict(prevalence=np.nansum(shown.labels, 0) / np.where(known, known, np.nan))
    for when, p in (('before', before), ('after', after)):
        columns[f'mean_{when}'] = p.mean(0)
        columns[f'ece_{when}'] = calibration_error(p, shown.labels)
        columns[f'ece_equal_count_{when}'] = calibration_error(p, shown.labels, strategy='quantile')
        columns[f'brier_{when}'] = brier_score(p, shown.labels)
    columns |= dict(scale=calibration.scale, bias=calibration.bias)
    records: list[Record] = []
    for k, name in enumerate(calibration.classes):
        records.append({'finding': name, **{key: float(v[k]) for key, v in columns.items()}})
    mean: Record = dict(finding='mean')
    mean |= {key: mean_defined(columns[key]) for key in columns if key[:3] in ('ece', 'bri')}
    headers = {'finding': 'finding', 'scale': 'scale', 'bias': 'bias', 'prevalence': 'prevalence'}
    headers |= {'mean p': 'mean_before', '→': 'mean_after'}
    headers |= {'ECE': 'ece_before', '→ ': 'ece_after'}
    headers |= {'ECE =n': 'ece_equal_count_before', '→  ': 'ece_equal_count_after'}
    headers |= {'Brier': 'brier_before', '→   ': 'brier_after'}
    on = shown.stamp + (' (the set that it was fitted on: optimistic)' if test is None else '')
    title = f'{on}: {calibration.method} calibration fitted on {calibration.stamp}'
    return Table('calibration', title, headers, [*records, mean], _notes(calibration))


def _notes(calibration: Calibration) -> list[str]:
    notes = [
        f'Before → after. ECE: expected calibration error, {BINS} bins of equal width; ECE =n: '
        f'{BINS} bins of equal count. Brier: mean squared error.'
    ]
    names = np.array(calibration.classes)
    if np.isnan(calibration.scale).any():
        missing = ', '.join(names[np.isnan(calibration.scale)])
        notes.append(f'Not calibrated, as validation has one label value only: {missing}.')
    if (calibration.scale == 0).any():
        flat = ', '.join(names[calibration.scale == 0])
        notes.append(
            f'Scale 0, as the scores run against the labels on validation or are all but equal: '
            f'{flat}. Every image has one probability there, and no threshold.'
        )
    return notes
