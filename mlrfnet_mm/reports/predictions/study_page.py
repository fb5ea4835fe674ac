"""One HTML page per study, which opens offline and names no patient unless asked to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from mlrfnet_mm.inference.decisions import Decisions, ranked
from mlrfnet_mm.reports.output.page import Picture, Section, html_page
from mlrfnet_mm.reports.output.tables import Record, Table

INTRODUCTION = (
    'Scores of a research model. It was not validated on patients, and its findings are not a '
    'diagnosis.'
)


@dataclass
class StudyImage:
    """What the page shows of one image; no file name, as that may be the patient's.

    Attributes:
        record: as :class:`CXRInferencer` returns it.
        pictures: in order.
    """

    record: dict[str, Any]
    pictures: list[Picture] = field(default_factory=list)


def study_findings(images: Sequence[StudyImage], decisions: Decisions) -> dict[str, dict[str, Any]]:
    """Each finding by the greatest score of the study's images, CheXpert's rule.

    Read by what was fitted per study; for a study of one image by what is there.
    """
    names = decisions.classes
    scores = [[image.record['findings'][n]['score'] for n in names] for image in images]
    units = ('image', 'study') if len(images) == 1 else ('study',)
    return decisions.read(np.max(scores, 0), units)


def study_page(
    number: int,
    images: Sequence[StudyImage],
    stamp: Mapping[str, str],
    decisions: Decisions,
    curves: Picture | None = None,
) -> str:
    """Write the page of one study.

    A patient is named where the records hold one, which is by request only.

    Args:
        number: of the study in this run.
        images: its images.
        stamp: of the model.
        decisions: how its scores are read.
        curves: calibration of this study's findings.
    """
    blocks: list[Any] = [INTRODUCTION]
    patients = {tuple(i.record['patient'].values()) for i in images if i.record.get('patient')}
    blocks += [
        f'Patient: {name or "no name"}, ID {key or "none"}' for name, key in sorted(patients)
    ]
    blocks.append(_findings_table(images, stamp, decisions))
    sections = [Section('Findings', blocks)]
    for i, image in enumerate(images, 1):
        section = Section(f'Image {i}', [_describe(image.record)])
        section.blocks += [f'Note: {note}.' for note in image.record['notes']]
        section.blocks += image.pictures
        sections.append(section)
    if curves is not None:
        sections.append(Section('From score to probability', [curves]))
    records: list[Record] = [{'what': key, 'value': value} for key, value in stamp.items()]
    records.append({'what': 'date of this page', 'value': date.today().isoformat()})
    table = Table('model', 'Stamp', {'': 'what', 'value': 'value'}, records)
    sections.append(Section('Model', [table]))
    return html_page(f'Chest X-ray study {number}', sections)


def _findings_table(
    images: Sequence[StudyImage], stamp: Mapping[str, str], decisions: Decisions
) -> Table:
    found = study_findings(images, decisions)
    records: list[Record] = []
    for name in ranked(found):
        row = found[name]
        record: Record = dict(finding=name.replace('_', ' '), score=row['score'])
        record |= {key: v for key in ('probability', 'threshold') if (v := row[key]) is not None}
        records.append(record | dict(decision=row['decision'] or 'none'))
    several = len(images) > 1
    notes = [f'Calibration: {stamp["calibration"]}.', f'Thresholds: {stamp["thresholds"]}.']
    if several:
        notes.insert(0, f'Each finding by the greatest of {len(images)} images.')
        fitted = [x for x in (decisions.calibration, decisions.thresholds) if x]
        if any(x.unit == 'image' for x in fitted):
            notes.append(
                'What was fitted per image is not applied to the greatest of several: for studies '
                'use mlrfnet calibrate --unit study.'
            )
    columns = {'finding': 'finding', 'probability': 'probability', 'threshold': 'threshold'}
    columns |= {'decision': 'decision', 'score of the model': 'score'}
    return Table('findings', 'All findings', columns, records, notes)


def _describe(record: Mapping[str, Any]) -> str:
    width, height = record['size']
    text = f'{width} × {height} pixels'
    if record['spacing_mm']:
        down, across = record['spacing_mm']
        text += f', {across:g} × {down:g} mm each: {width * across:.0f} × {height * down:.0f} mm'
    return text + '.'


def page_name(number: int) -> Path:
    """File name of a study's page."""
    return Path(f'study_{number:04d}.html')
