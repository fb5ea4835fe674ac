"""A checkpoint's calibration and thresholds for another site: what ``mlrfnet adapt`` writes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from mlrfnet_mm.evaluation import (
    Calibration,
    Predictions,
    Thresholds,
    choose_thresholds,
    fit_calibration,
)
from mlrfnet_mm.evaluation.calibration.file import ADAPTED, logits
from mlrfnet_mm.evaluation.files.pairing import data_set_of
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.evaluation.shift.known import AUTO, UPDATES, learn
from mlrfnet_mm.evaluation.shift.prior import prior_shift
from mlrfnet_mm.evaluation.shift.recalibrate import fit_intercept
from mlrfnet_mm.reports.output.tables import Table, in_markdown
from mlrfnet_mm.reports.scores.calibrate import calibrated_thresholds
from mlrfnet_mm.reports.shift.adaptation_table import adaptation_table, notes, reasons


@dataclass(frozen=True)
class Adaptation:
    """What is written for a site.

    Attributes:
        calibration: for the site.
        thresholds: for the site; None if there were none and no labels to choose them by.
        table: what was done with each finding, and why.
        stamp: what it is based on.
    """

    calibration: Calibration
    thresholds: Thresholds | None
    table: Table
    stamp: dict[str, str | int]

    @property
    def unchanged(self) -> bool:
        """Whether no finding was adapted."""
        return all(record['update'] == 'none' for record in self.table.records)

    def write(self, folder: str | Path) -> list[Path]:
        """Write ``calibration.json``, ``thresholds.json``, ``adaptation.md`` and its CSV."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stale = folder / 'thresholds.json'
        if self.thresholds is None and stale.exists():
            raise FileExistsError(f'{stale} is there and would still be used: remove it first')
        paths = [self.calibration.save(folder)]
        if self.thresholds is not None:
            paths.append(self.thresholds.save(folder))
        page, stamp = folder / 'adaptation.md', ', '.join(f'{k} {v}' for k, v in self.stamp.items())
        text = f'{in_markdown(stamp)}. Research use, not for diagnosis.\n'
        write_text(page, f'# Adaptation to a site\n\n{text}\n{self.table.markdown()}')
        return [*paths, page, self.table.write_csv(folder, self.stamp)]


def source_prevalence(calibration: Calibration, val: Predictions | None) -> np.ndarray:
    """(K,) prevalences that a calibration is right for: recorded in it, or of validation.

    Raises:
        ValueError: neither is there; validation predictions of other classes or of another
            checkpoint, unit or set than the calibration.
    """
    if val is None:
        if calibration.prevalence is None:
            raise ValueError(
                'calibration.json does not record the prevalence that it was fitted at: give the '
                'validation predictions (--val), or write it again with mlrfnet calibrate'
            )
        return calibration.prevalence
    made_on = calibration.stamp, calibration.unit, calibration.classes
    if (val.stamp, val.unit, tuple(val.classes.tolist())) != made_on:
        raise ValueError(
            f'the calibration is of {calibration.stamp} per {calibration.unit}, the validation '
            f'predictions are of {val.stamp} per {val.unit}, or their findings differ: give those '
            'that it was fitted on'
        )
    _check_checkpoint(calibration, val)
    known = (~np.isnan(val.labels)).sum(0)
    return np.nansum(val.labels, 0) / np.where(known, known, np.nan)


def _check_checkpoint(calibration: Calibration, predictions: Predictions) -> None:
    digests = calibration.checkpoint, predictions.checkpoint
    if all(digests) and digests[0] != digests[1]:
        raise ValueError(
            f'checkpoints differ: the calibration is of {digests[0]}…, the predictions of '
            f'{predictions.stamp} are of {digests[1]}… (SHA-256)'
        )


def site_name(site: Predictions, calibration: Calibration, name: str | None) -> str:
    """The name that is given, or that of the data set.

    Raises:
        ValueError: none is given, and the data set is the one that was validated on.
    """
    own = data_set_of(site.stamp)
    if name is None and own == data_set_of(calibration.stamp):
        raise ValueError(
            f'the predictions are of {own}, as the calibration: if they are of another site, name '
            'it (--site)'
        )
    return own if name is None else name


def adapt(
    site: Predictions,
    calibration: Calibration,
    thresholds: Thresholds | None = None,
    name: str | None = None,
    update: str = AUTO,
    val: Predictions | None = None,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> Adaptation:
    """Move a calibration and thresholds to a site.

    Where labels are used a threshold is chosen on them, by the rule that chose the checkpoint's;
    elsewhere the score that it stands for stays, at its new probability: sensitivity and
    specificity do not depend on the prevalence.

    Args:
        site: predictions of the site's images, of the unit of the calibration; labels that are NaN
            are not known, and none need be. Findings that they lack are left as they were.
        calibration: of the same checkpoint, from where it was validated.
        thresholds: the same; None: there are none.
        name: of the site; None takes the data set's.
        update: one of ``UPDATES`` for all findings where it is possible, or ``'auto'``: by what is
            known of each, see :func:`~mlrfnet_mm.evaluation.shift.known.Known.update`.
        val: validation predictions, that the calibration was fitted on. Without them ``'auto'``
            does nothing by the prevalence alone: whether that suffices cannot be seen.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.
        progress: called when the prevalence of a finding is estimated.

    Raises:
        ValueError: parts that do not belong together, or an unknown update.
    """
    if update not in (AUTO, *UPDATES):
        raise ValueError(f'update must be one of {", ".join((AUTO, *UPDATES))}, got {update!r}')
    if calibration.site:
        raise ValueError(
            f'the calibration is one of a site already ({calibration.site!r}): adapt that of '
            'where the checkpoint was validated'
        )
    name = site_name(site, calibration, name)
    there, site = np.isin(calibration.classes, site.classes), _matched(site, calibration)
    prior = source_prevalence(calibration, val)
    p = calibration.apply(site.scores)
    known = learn(site, p, prior, val, replicates, seed, progress)
    updates = [
        known.update(k, update, bool(np.isnan(calibration.scale[k]))) for k in range(len(prior))
    ]
    adapted = updated(site, calibration, updates, prior, known.prevalence, name)
    moved = _thresholds(site, calibration, adapted, thresholds, updates)
    table = adaptation_table(site, calibration, adapted, moved, updates, prior, known)
    table.notes = [*reasons(calibration, updates, there, known), *notes(site, updates)]
    stamp: dict[str, str | int] = dict(
        site=name,
        predictions=site.stamp,
        checkpoint=calibration.checkpoint or 'not recorded',
        calibration=calibration.stamp,
        images=len(site.images),
        patients=len(np.unique(site.patients)),
        asked=update,
        replicates=replicates,
        seed=seed,
        date=date.today().isoformat(),
    )
    return Adaptation(adapted, moved, table, stamp)


def _matched(site: Predictions, calibration: Calibration) -> Predictions:
    """The site's predictions with the calibration's findings; those they lack without labels.

    Raises:
        ValueError: other units or checkpoints, no common finding.
    """
    if site.unit != calibration.unit:
        raise ValueError(
            f'units differ: the calibration is for each {calibration.unit}, the predictions are of '
            f'each {site.unit}'
        )
    _check_checkpoint(calibration, site)
    names = site.classes.tolist()
    common = [name for name in calibration.classes if name in names]
    if not common:
        raise ValueError(
            f'no finding is in both: {", ".join(names)} and, in the calibration, '
            f'{", ".join(calibration.classes)}'
        )
    shape = len(site.images), len(calibration.classes)
    scores, labels = np.full(shape, 0.5, site.scores.dtype), np.full(shape, np.nan)
    to = [calibration.classes.index(name) for name in common]
    here = [names.index(name) for name in common]
    scores[:, to], labels[:, to] = site.scores[:, here], site.labels[:, here]
    classes = np.array(calibration.classes)
    return replace(site, scores=scores, labels=labels, classes=classes, scored=None)


def updated(
    site: Predictions,
    calibration: Calibration,
    updates: list[str],
    prior: np.ndarray,
    estimated: np.ndarray,
    name: str,
) -> Calibration:
    """The site's calibration."""
    scale, bias, prevalence = calibration.scale.copy(), calibration.bias.copy(), prior.copy()
    for k, update in enumerate(updates):
        y = site.labels[:, [k]]
        if update == 'prior':
            bias[k] += prior_shift(prior[k], estimated[k])
            prevalence[k] = estimated[k]
        elif update != 'none':
            prevalence[k] = np.nanmean(y)
        if update == 'intercept':
            bias[k] += fit_intercept(scale[k] * logits(site.scores[:, k]) + bias[k], y[:, 0])
        elif update == 'platt':
            (scale[k],), (bias[k],) = fit_calibration(site.scores[:, [k]], y)
    origin = site.stamp, calibration.checkpoint or site.checkpoint, calibration.unit
    return Calibration(calibration.classes, ADAPTED, scale, bias, *origin, name, prevalence)


def _thresholds(
    site: Predictions,
    calibration: Calibration,
    adapted: Calibration,
    thresholds: Thresholds | None,
    updates: list[str],
) -> Thresholds | None:
    """Thresholds on the site's probabilities.

    Raises:
        ValueError: thresholds of other findings, unit or checkpoint than the calibration.
    """
    by_labels = np.isin(updates, ('intercept', 'platt'))
    if thresholds is None and not by_labels.any():
        return None
    rule, values = 'youden', np.full(len(updates), np.nan)
    if thresholds is not None:
        keys = ('classes', 'unit', 'checkpoint')
        for key in keys:
            found, expected = getattr(thresholds, key), getattr(calibration, key)
            if found != expected:
                raise ValueError(
                    f'thresholds.json is for {key} {found!r}, calibration.json for {expected!r}: '
                    'make both with mlrfnet calibrate'
                )
        rule = thresholds.rule
        x = thresholds.thresholds
        if thresholds.on == 'calibrated':
            with np.errstate(divide='ignore', invalid='ignore'):
                z = (logit(x) - calibration.bias) / calibration.scale
        else:
            z = logits(np.where(np.isnan(x), 0.5, x))
        # a hair lower, as the image that a threshold was chosen at is to stay above it
        values = expit(adapted.scale * z + adapted.bias) * (1 - 1e-12)
        values[np.isnan(x) | (adapted.scale == 0)] = np.nan
    chosen = calibrated_thresholds(adapted, choose_thresholds(site.scores, site.labels, rule))
    values = np.where(by_labels, chosen, values)
    origin = adapted.stamp, adapted.checkpoint, adapted.unit, adapted.site
    return Thresholds(adapted.classes, rule, values, 'calibrated', *origin)
