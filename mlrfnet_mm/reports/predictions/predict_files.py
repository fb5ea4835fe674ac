"""Predict image files and write what was found: what ``mlrfnet predict`` does."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from matplotlib.figure import Figure

from mlrfnet_mm import NOTICE
from mlrfnet_mm.reports.output.page import Picture
from mlrfnet_mm.reports.output.tables import in_csv
from mlrfnet_mm.reports.predictions.figures import (
    SIDE,
    calibration_figure,
    heats_figure,
    scores_figure,
)
from mlrfnet_mm.reports.predictions.study_page import (
    StudyImage,
    page_name,
    study_findings,
    study_page,
)
from mlrfnet_mm.xrays.files import Xray

if TYPE_CHECKING:
    from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
    from mlrfnet_mm.inference.inferencer import CXRInferencer

    Inferencer = CXRInferencer | BundleInferencer

DPI = 110
TABLES = ('predictions.csv', 'predictions.json')
ASIDE, SCRATCH = '.predictions.part', 'scratch'
STEM = 120  # bytes of an image's name in that of its pictures: file systems end at 255 bytes
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
NAMES = 'backslashreplace'  # file names need not be UTF-8


@dataclass(frozen=True)
class Options:
    """What to write next to the CSV and JSON.

    Attributes:
        heatmap: overlays, ``heatmaps/``.
        scores: the image next to its highest scores (Fig. 12), ``scores/``.
        report: one page per study, ``reports/``.
        with_patient: name and ID of DICOM files, in JSON and reports.
        method: of the heat maps; None for the inferencer's default.
        layer: target layer of the Grad-CAM family.
        top: findings to map.
        labels: image name → its labeled findings, which Fig. 12 marks.
        batch_size: images at a time.
    """

    heatmap: bool = False
    scores: bool = False
    report: bool = False
    with_patient: bool = False
    method: str | None = None
    layer: str | None = None
    top: int = 3
    labels: Mapping[str, Sequence[str]] | None = None
    batch_size: int = 8


@dataclass
class Outcome:
    """What was done: records in order, errors among them, and the files written."""

    records: list[dict[str, Any]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Records of files that could not be read."""
        return [record for record in self.records if 'error' in record]


def predict_files(
    inferencer: Inferencer,
    files: Sequence[Path],
    out: str | Path,
    options: Options,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Predict and write ``predictions.csv``, ``predictions.json`` and what the options ask for.

    A file that cannot be read or drawn becomes a record with ``error``; the others go on. All is
    written aside and put in place at the end: a run that is stopped leaves an earlier one's files.

    Args:
        inferencer: the model.
        files: see :func:`~mlrfnet_mm.xrays.files.list_files`.
        out: folder; what an earlier call wrote there, by the list in its ``predictions.json``, is
            replaced.
        options: see there.
        progress: called with the number of files done since its last call.

    Raises:
        BlockingIOError: another call writes there now.
        FileExistsError: tables there that no call wrote.
        OSError: the folder cannot be written, or the disk is full.
    """
    out = Path(out)
    if options.heatmap:
        inferencer.mapper(options.method, options.layer)  # refuses before the first file
    earlier = _earlier_files(out)
    out.mkdir(parents=True, exist_ok=True)
    with _aside(out) as part:
        outcome = _predict(inferencer, files, part, options, progress)
        _put_in_place(part, out, earlier)
    outcome.written = [out / path.relative_to(part) for path in outcome.written]
    return outcome


def _earlier_files(out: Path) -> list[str]:
    """What an earlier call wrote, relative to the folder."""
    if not any((out / name).exists() for name in TABLES):
        return []
    path = out / 'predictions.json'
    try:
        names = json.loads(path.read_text(encoding='utf-8'))['files']
        inside = [name for name in names if (out / name).resolve().is_relative_to(out.resolve())]
        return [str(name) for name in inside]
    except (OSError, ValueError, KeyError, TypeError):
        raise FileExistsError(
            errno.EEXIST,
            'holds predictions.csv or .json that this command did not write: give '
            'another folder (--out-dir), or move them away',
            str(out),
        ) from None


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """An empty folder in ``out``, which is removed in the end."""
    lock = FileLock(out / f'{ASIDE}.lock')
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BlockingIOError(
            errno.EWOULDBLOCK, 'another prediction writes there now', str(out)
        ) from None
    part = out / ASIDE
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a call that was killed
        part.mkdir()
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _put_in_place(part: Path, out: Path, earlier: Sequence[str]) -> None:
    """Move the new files, the tables last, and remove earlier ones that were not replaced."""
    new = [path.relative_to(part) for path in part.rglob('*') if path.is_file()]
    new = [path for path in new if path.parts[0] != SCRATCH]
    for path in sorted(new, key=lambda path: path.name in TABLES):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(part / path, out / path)
    for name in set(earlier) - {path.as_posix() for path in new}:
        (out / name).unlink(missing_ok=True)


def _predict(
    inferencer: Inferencer,
    files: Sequence[Path],
    out: Path,
    options: Options,
    progress: Callable[[int], None] | None,
) -> Outcome:
    outcome = Outcome()
    studies: dict[str, list[StudyImage]] = {}
    numbers: dict[str, int] = {}
    scratch = out / SCRATCH
    scratch.mkdir()
    pictures = _Pictures(inferencer, out, scratch, options)
    for start in range(0, len(files), options.batch_size):
        chunk = files[start : start + options.batch_size]
        result = inferencer(
            chunk,
            batch_size=options.batch_size,
            heatmap=options.heatmap,
            method=options.method,
            layer=options.layer,
            top=options.top,
            map_side=SIDE,
            with_patient=options.with_patient,
        )
        parts = zip(result['predictions'], result['images'], result['visualization'], strict=True)
        for record, xray, heats in parts:
            outcome.records.append(record)
            record['number'] = len(outcome.records)
            if xray is None:
                continue
            record['study'] = numbers.setdefault(xray.study, len(numbers) + 1)
            try:
                shown = pictures.draw(record, xray, heats)
            except Exception as error:  # of any kind: the other files go on
                if isinstance(error, OSError) and error.errno in FULL:
                    raise
                record['error'] = f'not drawn: {type(error).__name__}: {error}'
                continue
            studies.setdefault(xray.study, []).append(StudyImage(record, shown))
        if progress:
            progress(len(chunk))
    outcome.written += pictures.written
    if options.report:
        outcome.written += _reports(inferencer, studies, numbers, out, scratch)
    files_ = [path.relative_to(out).as_posix() for path in outcome.written]
    tables = _tables(outcome.records, inferencer.stamp, out, files_)
    outcome.written = [*tables, *outcome.written]
    return outcome


class _Pictures:
    """Draws the pictures of an image once, for the folder and for the report."""

    def __init__(self, inferencer: Inferencer, out: Path, scratch: Path, options: Options) -> None:
        self.out, self.scratch, self.options = out, scratch, options
        stamp = inferencer.stamp
        self.stamp = f'{stamp["model"]} {stamp["sha256"]}, trained on {stamp["trained_on"]}'
        self.method = options.method or inferencer.default_method
        self.written: list[Path] = []

    def draw(self, record: dict[str, Any], xray: Xray, heats: dict[str, Any]) -> list[Picture]:
        """Draw what the options ask for; name the files in the record."""
        options, findings, shown = self.options, record['findings'], []
        name = f'{record["number"]:04d}_{_short(Path(record["file"]).stem)}.png'
        if options.scores or options.report:
            truth = None
            if options.labels is not None:
                truth = options.labels.get(Path(record['file']).name)
            figure = scores_figure(xray, findings, truth, self.stamp)
            folder = self.out / 'scores' if options.scores else self.scratch
            shown.append(self._save(figure, folder / name, 'The image next to its highest scores'))
        if options.heatmap:
            figure = heats_figure(xray, findings, heats, self.method, self.stamp)
            path = self.out / 'heatmaps' / name
            shown.append(self._save(figure, path, f'Heat maps ({self.method})'))
            record['heatmap'] = f'heatmaps/{name}'
        return shown

    def _save(self, figure: Figure, path: Path, caption: str) -> Picture:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI)
        if self.scratch not in path.parents:
            self.written.append(path)
        return Picture(path, caption)


def _reports(
    inferencer: Inferencer,
    studies: Mapping[str, list[StudyImage]],
    numbers: Mapping[str, int],
    out: Path,
    scratch: Path,
) -> list[Path]:
    folder = out / 'reports'
    folder.mkdir(exist_ok=True)
    paths = []
    for key, images in studies.items():
        curves = None
        figure = calibration_figure(
            inferencer.decisions, study_findings(images, inferencer.decisions)
        )
        if figure is not None:
            figure.savefig(scratch / 'curves.png', dpi=DPI)
            text = 'Calibration curves of the most probable findings; dots: this study'
            curves = Picture(scratch / 'curves.png', text)
        path = folder / page_name(numbers[key])
        page = study_page(numbers[key], images, inferencer.stamp, inferencer.decisions, curves)
        path.write_text(page, encoding='utf-8', errors=NAMES)
        paths.append(path)
    return paths


def _short(stem: str) -> str:
    """A name that leaves room for a number and a suffix, in any script."""
    return stem.encode(errors='surrogateescape')[:STEM].decode(errors='ignore')


COLUMNS = ('number', 'study', 'file', 'finding', 'score', 'probability', 'threshold', 'decision')


def _tables(
    records: Sequence[dict[str, Any]], stamp: Mapping[str, str], out: Path, files: Sequence[str]
) -> list[Path]:
    """Write JSON, and a CSV with a row for each finding of each image, or for an error."""
    everything = [*TABLES, *files]  # by which the next call knows what to replace
    content = dict(notice=NOTICE, stamp=dict(stamp), files=everything, predictions=list(records))
    path = out / 'predictions.json'
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + '\n', encoding='utf-8', errors=NAMES)
    table = out / 'predictions.csv'
    with table.open('w', newline='', encoding='utf-8', errors=NAMES) as file:
        writer = csv.DictWriter(file, [*COLUMNS, 'error', *stamp], extrasaction='ignore')
        writer.writeheader()
        for record in records:
            for finding, row in record.get('findings', {'': {}}).items():
                values = {**record, 'finding': finding, **row, **stamp}
                writer.writerow({key: in_csv(value) for key, value in values.items()})
    return [table, path]
