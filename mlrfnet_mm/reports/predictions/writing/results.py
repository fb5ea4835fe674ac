"""The tables and pages of a prediction from its spools, in one pass."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrfnet_mm import NOTICE
from mlrfnet_mm.inference.decisions import Decisions
from mlrfnet_mm.reports.output.page import Picture
from mlrfnet_mm.reports.output.tables import in_csv
from mlrfnet_mm.reports.predictions.figures import calibration_figure
from mlrfnet_mm.reports.predictions.study_page import (
    StudyImage,
    page_name,
    study_findings,
    study_page,
)
from mlrfnet_mm.reports.predictions.writing.options import Outcome
from mlrfnet_mm.reports.predictions.writing.pictures import DPI
from mlrfnet_mm.reports.predictions.writing.place import LIST_STARTS, SCRATCH, TABLES
from mlrfnet_mm.reports.predictions.writing.spool import Line, read_line, read_lines

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

NAMES = 'backslashreplace'  # file names need not be UTF-8
COLUMNS = ('number', 'study', 'file', 'finding', 'score', 'probability', 'threshold', 'decision')


def write_results(
    spools: Sequence[Path], folder: Path, inferencer: Inferencer, report: bool
) -> Outcome:
    """Write the CSV, the JSON and, if asked for, one page per study.

    Args:
        spools: in the order of the list of files.
        folder: of the results; it has ``scratch``. Pictures of spools elsewhere are linked there.
        inferencer: whose stamp and decisions are written.
        report: write the pages.

    Returns:
        What was done; ``written`` is relative to the folder.
    """
    outcome, pictures = Outcome(), []
    studies = _Studies(folder, inferencer.stamp, inferencer.decisions) if report else None
    numbers = _Numbers()
    records = folder / SCRATCH / 'predictions'
    with (
        _csv_table(folder / TABLES[0], inferencer.stamp) as write_rows,
        records.open('w', encoding='utf-8', errors=NAMES) as json_list,
    ):
        for line in (line for spool in spools for line in read_lines(spool)):
            record = line.record
            if 'study' in record:
                record['study'] = numbers.of(line.key)
            write_rows(record)
            json_list.write(',\n  ' if outcome.count else '  ')
            json_list.write(_json(record).replace('\n', '\n  '))
            outcome.count += 1
            for picture in line.pictures:
                name = picture.path.relative_to(line.spool)
                if name.parts[0] != SCRATCH:
                    pictures.append(name)
                    if line.spool != folder:
                        _link(picture.path, folder / name)
            if 'error' in record:
                outcome.errors.append(record)
            elif studies is not None:
                studies.add(line)
    pages = studies.finish() if studies is not None else []
    outcome.written = [*map(Path, TABLES), *pictures, *pages]
    names = [path.as_posix() for path in outcome.written]  # the next call knows what to replace
    head = _json(dict(notice=NOTICE, stamp=dict(inferencer.stamp), files=names))
    _write_json(folder / TABLES[1], head, records)
    return outcome


class _Numbers:
    """Numbers the studies in the order of their first image."""

    def __init__(self) -> None:
        self.last = 0
        self.known: dict[str, int] = {}

    def of(self, key: str | None) -> int:
        """Number of a study; a file without a key is one of its own."""
        if key is not None and key in self.known:
            return self.known[key]
        self.last += 1
        if key is not None:
            self.known[key] = self.last
        return self.last


class _Studies:
    """Writes the page of a file that is a study at once, those of several images at the end."""

    def __init__(self, folder: Path, stamp: Mapping[str, str], decisions: Decisions) -> None:
        self.folder, self.stamp, self.decisions = folder, stamp, decisions
        self.several: dict[int, list[tuple[Path, int]]] = {}  # study → places of its lines
        self.written: list[int] = []
        (folder / 'reports').mkdir(exist_ok=True)

    def add(self, line: Line) -> None:
        """Take one image."""
        number = line.record['study']
        if line.key is None:
            self._write(number, [line])
        else:
            self.several.setdefault(number, []).append((line.spool, line.offset))

    def finish(self) -> list[Path]:
        """Write the rest; return all pages by their numbers, relative to the folder."""
        for number, places in self.several.items():
            self._write(number, [read_line(*place) for place in places])
        return ['reports' / page_name(number) for number in sorted(self.written)]

    def _write(self, number: int, lines: Sequence[Line]) -> None:
        images = [StudyImage(line.record, line.pictures) for line in lines]
        curves = None
        figure = calibration_figure(self.decisions, study_findings(images, self.decisions))
        if figure is not None:
            path = self.folder / SCRATCH / 'curves.png'
            figure.savefig(path, dpi=DPI)
            text = 'Calibration curves of the most probable findings; dots: this study'
            curves = Picture(path, text)
        page = study_page(number, images, self.stamp, self.decisions, curves)
        path = self.folder / 'reports' / page_name(number)
        path.write_text(page, encoding='utf-8', errors=NAMES)
        self.written.append(number)


@contextmanager
def _csv_table(path: Path, stamp: Mapping[str, str]) -> Iterator[Any]:
    """Yield what writes a row for each finding of a record, or for its error."""
    with path.open('w', newline='', encoding='utf-8', errors=NAMES) as file:
        writer = csv.DictWriter(file, [*COLUMNS, 'error', *stamp], extrasaction='ignore')
        writer.writeheader()

        def write_rows(record: Mapping[str, Any]) -> None:
            for finding, row in record.get('findings', {'': {}}).items():
                values = {**record, 'finding': finding, **row, **stamp}
                writer.writerow({key: in_csv(value) for key, value in values.items()})

        yield write_rows


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _write_json(path: Path, head: str, records: Path) -> None:
    """One object: the fields of ``head``, and ``predictions``, the list in ``records``."""
    with path.open('wb') as file, records.open('rb') as items:
        start = f'{head.removesuffix("}").rstrip()},\n{LIST_STARTS}'
        file.write(start.encode(errors=NAMES))
        shutil.copyfileobj(items, file)
        file.write(b'\n ]\n}\n')


def _link(source: Path, target: Path) -> None:
    """A file under a second name: the spool keeps its own until the result is in place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
