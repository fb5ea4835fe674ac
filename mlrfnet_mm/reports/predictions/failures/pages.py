"""One page per finding with its worst errors, and one over them all."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.inference.heatmaps import HeatMapper, default_method
from mlrfnet_mm.inference.loaded_model import LoadedModel
from mlrfnet_mm.reports.output.page import Links, Picture, Section, html_page, markdown_page
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.predictions.failures.cases import (
    ALARM,
    MISSED,
    Case,
    Pictures,
    draw_cases,
    picture_cases,
)
from mlrfnet_mm.reports.predictions.failures.errors import Errors, compared_values, worst_errors
from mlrfnet_mm.reports.predictions.failures.images import KnownImages

PICTURES = 'pictures'
APART = 0.01  # scores of the file and of the maps' pass that differ by more are mentioned


@dataclass(frozen=True)
class Settings:
    """What the user chooses.

    Attributes:
        top: cases of each kind per finding.
        method: of the heat maps; None takes the head's own, else Grad-CAM.
        layer: target layer of the Grad-CAM family.
        with_patient: name patients and images on the pages.
        batch_size: images at a time.
    """

    top: int = 6
    method: str | None = None
    layer: str | None = None
    with_patient: bool = False
    batch_size: int = 16


def write_failures(
    loaded: LoadedModel,
    predictions: Predictions,
    tested: KnownImages,
    out: Path,
    settings: Settings,
    start: Callable[[int], Callable[[int], None]] | None = None,
) -> list[Path]:
    """Write ``index``, a page per finding, both as HTML and Markdown, and ``failures.csv``.

    The pages name no patient and no file, which may be the patient's, unless asked to; the table
    has the images' names.

    Args:
        loaded: the model; thresholds and calibration lie next to its checkpoint.
        predictions: its own, by image.
        tested: their images.
        out: folder.
        settings: see there.
        start: called with the number of cases before the first one; returns what is called with
            the number done since its last call.

    Returns:
        The index first.

    Raises:
        ValueError: no thresholds, or thresholds of another unit or checkpoint; see also
            :class:`~mlrfnet_mm.inference.heatmaps.HeatMapper`.
    """
    decisions = Decisions.next_to(loaded.path, loaded.classes, loaded.stamp['sha256'])
    method = settings.method or default_method(loaded.model)
    mapper = HeatMapper(loaded.model, method, settings.layer)
    found = find_errors(predictions, decisions, settings.top)
    cases = list(_cases(predictions, decisions, tested, found))
    advance = start(len(cases)) if start else None
    shown = list(picture_cases(loaded, tested, cases, mapper, settings.batch_size, advance))
    assert decisions.thresholds is not None  # find_errors refuses
    compared = 'probability' if decisions.thresholds.on == 'calibrated' else 'score'
    stamp = dict(loaded.stamp, predictions=predictions.stamp, **decisions.stamp())
    stamp |= dict(compared=compared, maps=method)
    notes = [*tested.notes, *_apart(cases, shown)]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, errors in found.items():
        own = [pair for pair in zip(cases, shown, strict=True) if pair[0].finding == name]
        sections = [
            _section(kind, [pair for pair in own if pair[0].error == kind], errors, stem, stamp,
                     settings.with_patient)
            for kind, stem in (
                (MISSED, out / PICTURES / f'{file_name(name)}_missed'),
                (ALARM, out / PICTURES / f'{file_name(name)}_alarms'),
            )
        ]  # fmt: skip
        sections.append(_about(stamp, notes, [('All findings', 'index')]))
        written += _write(out, file_name(name), f'{_words(name)}: the worst errors', sections)
    index = _write(out, 'index', 'Failures', _index(found, predictions, decisions, stamp, notes))
    table = Table('failures', '', {}, [_without(case.record(), settings) for case in cases])
    return [*index, table.write_csv(out, {**stamp, 'date': date.today().isoformat()}), *written]


def _apart(cases: Sequence[Case], shown: Sequence[Pictures]) -> Iterator[str]:
    """Say where the scores of the file are not those of the maps' pass."""
    most = max((abs(c.score - p.score) for c, p in zip(cases, shown, strict=True)), default=0)
    if most > APART:
        yield (
            f'The scores of the file differ by up to {most:.3f} from those of the pass that made '
            'the maps, as where several crops or models were averaged.'
        )


def find_errors(predictions: Predictions, decisions: Decisions, top: int) -> dict[str, Errors]:
    """Finding → its errors, of the findings that have a threshold and both label values.

    Raises:
        ValueError: other findings than the thresholds', and see :func:`compared_values`.
    """
    if tuple(predictions.classes.tolist()) != decisions.classes:
        raise ValueError(
            f'the predictions are of {", ".join(predictions.classes.tolist())}, the checkpoint has '
            f'{", ".join(decisions.classes)}: give predictions on its own findings'
        )
    values = compared_values(predictions, decisions)
    assert decisions.thresholds is not None  # compared_values refuses others
    found = {}
    for k, name in enumerate(decisions.classes):
        threshold, labels = decisions.thresholds.thresholds[k], predictions.labels[:, k]
        if not np.isnan(threshold) and {0, 1} <= set(labels[~np.isnan(labels)].tolist()):
            parts = values[:, k], labels, threshold, predictions.patients
            found[name] = worst_errors(*parts, top)
    return found


def _cases(
    predictions: Predictions,
    decisions: Decisions,
    tested: KnownImages,
    found: dict[str, Errors],
) -> Iterator[Case]:
    values, names = compared_values(predictions, decisions), predictions.classes
    number = count(1)
    for finding, errors in found.items():
        k = decisions.classes.index(finding)
        assert decisions.thresholds is not None
        for error, rows in ((MISSED, errors.missed), (ALARM, errors.alarms)):
            for row in rows.tolist():
                image = str(predictions.images[row])
                second = None if tested.second is None else tested.second.get(image)
                yield Case(
                    number=next(number),
                    image=image,
                    patient=str(predictions.patients[row]),
                    finding=finding,
                    error=error,
                    score=float(predictions.scores[row, k]),
                    value=float(values[row, k]),
                    threshold=float(decisions.thresholds.thresholds[k]),
                    labels=tuple(names[predictions.labels[row] == 1].tolist()),
                    second=second,
                    person=tested.people[image],
                    regions=tested.regions(image, finding),
                )


def _without(record: Record, settings: Settings) -> Record:
    """A row of the table of all cases; the patient is in it on request."""
    return {k: v for k, v in record.items() if k != 'patient' or settings.with_patient}


def _section(
    kind: str,
    drawn: Sequence[tuple[Case, Pictures]],
    errors: Errors,
    stem: Path,
    stamp: dict[str, str],
    with_patient: bool,
) -> Section:
    """Counts, figure and table of the misses or of the false alarms."""
    missed = kind == MISSED
    wrong = errors.false_negatives if missed else errors.false_positives
    right = errors.true_positives if missed else errors.true_negatives
    said = 'positive' if missed else 'negative'
    text = f'{wrong:,} of {wrong + right:,} {said} images are {kind}s at this threshold.'
    section = Section(f'{kind.capitalize()}s', [text])
    if not drawn:
        return section
    section.blocks[0] = f'{text} The {len(drawn)} worst, at most one per patient:'
    line = f'{stamp["model"]} {stamp["sha256"]}, {stamp["predictions"]}'
    picture = draw_cases(drawn, stem, stamp['maps'], line)
    caption = f'{kind.capitalize()}s, the worst first: image, and heat map over it'
    columns = {
        'case': 'number',
        stamp['compared']: 'value',
        'threshold': 'threshold',
        'score': 'score',
    }
    columns |= {'sex': 'sex', 'age': 'age', 'view': 'view', 'boxes': 'boxes', 'labels': 'labels'}
    if any(case.second is not None for case, _ in drawn):
        columns |= {'radiologists': 'second'}
    if with_patient:
        columns |= {'patient': 'patient', 'image': 'image'}
    table = Table('cases', 'Cases', columns, [case.record() for case, _ in drawn])
    section.blocks += [Picture(picture, caption), table]
    return section


def _about(
    stamp: dict[str, str], notes: Sequence[str], links: Sequence[tuple[str, str]] = ()
) -> Section:
    records: list[Record] = [{'what': key, 'value': value} for key, value in stamp.items()]
    records.append({'what': 'date of this page', 'value': date.today().isoformat()})
    table = Table('model', 'Stamp', {'': 'what', 'value': 'value'}, records, notes)
    return Section('What this is based on', [table, *([Links(links)] if links else [])])


def _index(
    found: dict[str, Errors],
    predictions: Predictions,
    decisions: Decisions,
    stamp: dict[str, str],
    notes: Sequence[str],
) -> list[Section]:
    """Counts of all findings, links to their pages, and which have none."""
    assert decisions.thresholds is not None
    limits = dict(zip(decisions.classes, decisions.thresholds.thresholds.tolist(), strict=True))
    records: list[Record] = []
    for name, e in found.items():
        positives = e.true_positives + e.false_negatives
        negatives = e.true_negatives + e.false_positives
        records.append(
            dict(finding=_words(name), threshold=limits[name], positives=positives)
            | dict(missed=e.false_negatives, sensitivity=e.true_positives / positives)
            | dict(negatives=negatives, alarms=e.false_positives)
            | dict(specificity=e.true_negatives / negatives)
        )
    columns = {'finding': 'finding', 'threshold': 'threshold', 'positives': 'positives'}
    columns |= {'missed': 'missed', 'sensitivity': 'sensitivity', 'negatives': 'negatives'}
    columns |= {'false alarms': 'alarms', 'specificity': 'specificity'}
    title = f'{predictions.stamp}: errors at the thresholds'
    section = Section('Findings', [Table('errors', title, columns, records)])
    section.blocks.append(Links([(_words(name), file_name(name)) for name in found]))
    absent = [_words(name) for name in decisions.classes if name not in found]
    if absent:
        section.blocks.append(
            'No page, as there is no threshold, or one label value only: ' + ', '.join(absent) + '.'
        )
    return [section, _about(stamp, notes)]


def _words(name: str) -> str:
    return name.replace('_', ' ')


def file_name(finding: str) -> str:
    """Name of a finding's files, without suffix.

    >>> file_name('Nodule/Mass')
    'Nodule_Mass'
    """
    return re.sub(r'\W+', '_', finding)


def _write(out: Path, stem: str, title: str, sections: Sequence[Section]) -> list[Path]:
    pages = {
        out / f'{stem}.html': html_page(title, sections),
        out / f'{stem}.md': markdown_page(title, sections, out),
    }
    for path, text in pages.items():
        write_text(path, text)
    return list(pages)
