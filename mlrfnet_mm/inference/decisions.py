"""From raw scores to calibrated probabilities and decisions, by the files next to a checkpoint."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.evaluation.shift.sites import SITES, site_folder

UNCALIBRATED = 'uncalibrated: a score is not a probability'


@dataclass(frozen=True)
class Decisions:
    """How the scores of one model are read.

    Attributes:
        classes: K names of the findings.
        calibration: None if there is no ``calibration.json``.
        thresholds: None if there is no ``thresholds.json``.
    """

    classes: tuple[str, ...]
    calibration: Calibration | None
    thresholds: Thresholds | None

    @classmethod
    def next_to(
        cls, checkpoint: Path, classes: tuple[str, ...], digest: str = '', site: str = ''
    ) -> 'Decisions':
        """Read what lies in the checkpoint's folder, or in that of a site below it.

        Args:
            checkpoint: the file.
            classes: names of the findings that it predicts.
            digest: of the checkpoint; files that were made from another one are refused.
            site: where the images are from; ``''``: where the checkpoint was validated.

        Raises:
            ValueError: a file of other findings, of another checkpoint, of another site or of
                another form, or thresholds on calibrated probabilities without a calibration.
        """
        folder = checkpoint.parent
        if site and site_folder(folder, site).is_dir():
            folder = site_folder(folder, site)
        found: dict[str, Any] = {}
        for key, kind in (('calibration', Calibration), ('thresholds', Thresholds)):
            path = folder / f'{key}.json'
            found[key] = kind.load(path) if path.is_file() else None
            if found[key] is None:
                continue
            if tuple(found[key].classes) != classes:
                raise ValueError(
                    f'{path} is for {", ".join(found[key].classes)}; the checkpoint has '
                    f'{", ".join(classes)}: make it again with mlrfnet calibrate'
                )
            if digest and found[key].checkpoint not in ('', digest):
                raise ValueError(
                    f'{path} is for a checkpoint of SHA-256 {found[key].checkpoint}…, '
                    f'{checkpoint.name} has {digest}…: make it again with mlrfnet test on '
                    'validation and mlrfnet calibrate, or remove it'
                )
            if found[key].site != site:
                raise ValueError(_other_site(path, found[key].site, site))
        if site and found['calibration'] is None:
            raise ValueError(
                f'no {site_folder(checkpoint.parent, site) / "calibration.json"}: mlrfnet adapt '
                f'writes it{_known_sites(checkpoint.parent)}'
            )
        on = found['thresholds'].on if found['thresholds'] else ''
        if on == 'calibrated' and found['calibration'] is None:
            raise ValueError(
                f'{folder / "thresholds.json"} is on calibrated probabilities and there is no '
                'calibration.json next to it: make both again with mlrfnet calibrate'
            )
        return cls(classes, **found)

    def stamp(self) -> dict[str, str]:
        """What probabilities and decisions are based on."""
        by, at = self.calibration, self.thresholds
        where = f' for the site {by.site}' if by and by.site else ''
        how = f'{by.method}{where}, fitted on {by.stamp} per {by.unit}' if by else UNCALIBRATED
        return dict(
            calibration=how,
            thresholds=(
                f'{at.rule}, chosen on {at.stamp} per {at.unit}' if at else 'none: no decisions'
            ),
        )

    def probabilities(
        self, scores: np.ndarray, units: Sequence[str] = ('image', 'study')
    ) -> np.ndarray:
        """(…, K) calibrated probabilities; NaN where there is no calibration for such a unit."""
        if self.calibration is None or self.calibration.unit not in units:
            return np.full(np.shape(scores), np.nan)
        return self.calibration.apply(scores)

    def read(
        self, scores: np.ndarray, units: Sequence[str] = ('image', 'study')
    ) -> dict[str, dict[str, Any]]:
        """Finding → ``score``, ``probability``, ``threshold``, ``decision``; None: not known.

        The threshold is on the scale of the probability if there is one, else of the score; a
        finding is ``'present'`` from it on, else ``'absent'``.

        Args:
            scores: (K,), sigmoid of the logits.
            units: what the scores are of: ``'image'``, ``'study'`` (the maximum over its images),
                or both, as an image is that is alone in its study. What was fitted on another unit
                is not applied: the maximum of several scores is higher than each.
        """
        probabilities = self.probabilities(scores, units)
        limits = np.full(len(self.classes), np.nan)
        compared = scores
        if self.thresholds is not None and self.thresholds.unit in units:
            limits = self.thresholds.thresholds
            if self.thresholds.on == 'calibrated':
                compared = probabilities
        rows: dict[str, dict[str, Any]] = {}
        for k, name in enumerate(self.classes):
            decision = None
            if not np.isnan(limits[k]) and not np.isnan(compared[k]):
                decision = 'present' if compared[k] >= limits[k] else 'absent'
            rows[name] = dict(
                score=float(scores[k]),
                probability=_known(probabilities[k]),
                threshold=_known(limits[k]),
                decision=decision,
            )
        return rows


def _other_site(path: Path, found: str, asked: str) -> str:
    """Why a file is not for these images, and the way out."""
    if not found:
        return (
            f'{path} is for images from where the checkpoint was validated, not for the site '
            f'{asked!r}: make those of the site with mlrfnet adapt{_known_sites(path.parent)}'
        )
    return (
        f'{path} is for the site {found!r}, and the images are of '
        f'{repr(asked) if asked else "no site that was named"}: say --site '
        f'{shlex.quote(found)} if they are from there'
    )


def _known_sites(folder: Path) -> str:
    names = sorted(path.parent.name for path in folder.glob(f'{SITES}/*/calibration.json'))
    return f' (there are: {", ".join(names)})' if names else ''


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def value_of(row: Mapping[str, Any]) -> float:
    """The probability of a finding if there is one, else its score."""
    value: float = row['score'] if row['probability'] is None else row['probability']
    return value


def ranked(findings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the findings, the most probable first.

    A score is not a probability: findings without a calibration come after those with one.
    """

    def key(name: str) -> tuple[bool, float]:
        return findings[name]['probability'] is None, -value_of(findings[name])

    return sorted(findings, key=key)
