"""Predict image files and write what was found: what ``tools/predict.py`` does."""

import csv
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .drawing import NOTICE
from .inferencer import CXRInferencer
from .prediction_figures import SIDE, calibration_figure, heats_figure, scores_figure
from .report_page import Picture
from .study_report import StudyImage, page_name, study_findings, study_page
from .xray_files import Xray

DPI = 110
WRITTEN = (
    'predictions.csv',
    'predictions.json',
    'reports/study_[0-9][0-9][0-9][0-9].html',
    'heatmaps/[0-9][0-9][0-9][0-9]_*.png',
    'scores/[0-9][0-9][0-9][0-9]_*.png',
)
NAMES = 'backslashreplace'  # file names need not be UTF-8


@dataclass(frozen=True)
class Options:
    """What to write beside the CSV and JSON.

    Attributes:
        heatmap: overlays, ``heatmaps/``.
        scores: the image beside its highest scores (Fig. 12), ``scores/``.
        report: a page a study, ``reports/``.
        with_patient: name and ID of DICOM files, in JSON and reports.
        method: of the heat maps; None for the inferencer's default.
        layer: target layer of the Grad-CAM family.
        top: findings to map.
        labels: image name → its labelled findings, which Fig. 12 marks.
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
    inferencer: CXRInferencer,
    files: Sequence[Path],
    out: str | Path,
    options: Options,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Predict and write ``predictions.csv``, ``predictions.json`` and what the options ask for.

    A file that cannot be read becomes a record with ``error``; the others go on.

    Args:
        inferencer: the model.
        files: see :func:`~mlrfnet_mm.analysis.xray_files.list_files`.
        out: folder; what an earlier call wrote there is removed.
        options: see there.
        progress: called with the number of files done since its last call.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if options.heatmap:
        inferencer.mapper(options.method, options.layer)  # refuses before the first file
    _clear(out)
    outcome = Outcome()
    studies: dict[str, list[StudyImage]] = {}
    numbers: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as scratch:
        pictures = _Pictures(inferencer, out, Path(scratch), options)
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
            parts = zip(
                result['predictions'], result['images'], result['visualization'], strict=True
            )
            for record, xray, heats in parts:
                outcome.records.append(record)
                record['number'] = len(outcome.records)
                if xray is None:
                    continue
                record['study'] = numbers.setdefault(xray.study, len(numbers) + 1)
                shown = pictures.draw(record, xray, heats)
                studies.setdefault(xray.study, []).append(StudyImage(record, shown))
            if progress:
                progress(len(chunk))
        outcome.written += pictures.written
        if options.report:
            outcome.written += _reports(inferencer, studies, numbers, out, Path(scratch))
    outcome.written = [*_tables(outcome.records, inferencer.stamp, out), *outcome.written]
    return outcome


def _clear(out: Path) -> None:
    """Remove an earlier call's files: none of them may pass for this one's."""
    for pattern in WRITTEN:
        for path in out.glob(pattern):
            path.unlink()


class _Pictures:
    """Draws the pictures of an image once, for the folder and for the report."""

    def __init__(
        self, inferencer: CXRInferencer, out: Path, scratch: Path, options: Options
    ) -> None:
        self.out, self.scratch, self.options = out, scratch, options
        stamp = inferencer.stamp
        self.stamp = f'{stamp["model"]} {stamp["sha256"]}, trained on {stamp["trained_on"]}'
        self.method = options.method or inferencer.default_method
        self.written: list[Path] = []

    def draw(self, record: dict[str, Any], xray: Xray, heats: dict[str, Any]) -> list[Picture]:
        """Draw what the options ask for; name the files in the record."""
        options, findings, shown = self.options, record['findings'], []
        name = f'{record["number"]:04d}_{Path(record["file"]).stem}.png'
        if options.scores or options.report:
            truth = None
            if options.labels is not None:
                truth = options.labels.get(Path(record['file']).name)
            figure = scores_figure(xray, findings, truth, self.stamp)
            folder = self.out / 'scores' if options.scores else self.scratch
            shown.append(self._save(figure, folder / name, 'The image beside its highest scores'))
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
    inferencer: CXRInferencer,
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


COLUMNS = ('number', 'study', 'file', 'finding', 'score', 'probability', 'threshold', 'decision')


def _tables(records: Sequence[dict[str, Any]], stamp: Mapping[str, str], out: Path) -> list[Path]:
    """Write JSON, and a CSV with a row for each finding of each image, or for an error."""
    content = dict(notice=NOTICE, stamp=dict(stamp), predictions=list(records))
    path = out / 'predictions.json'
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + '\n', encoding='utf-8', errors=NAMES)
    table = out / 'predictions.csv'
    with table.open('w', newline='', encoding='utf-8', errors=NAMES) as file:
        writer = csv.DictWriter(file, [*COLUMNS, 'error', *stamp], extrasaction='ignore')
        writer.writeheader()
        for record in records:
            for finding, row in record.get('findings', {'': {}}).items():
                writer.writerow({**record, 'finding': finding, **row, **stamp})
    return [table, path]
