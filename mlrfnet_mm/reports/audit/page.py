"""One page about the data of one or several configs, and a table of what is wrong with them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.pairing import load_predictions, split_stamp
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.reports.audit.images.files import Files, by_name, describe_files, find_files, look
from mlrfnet_mm.reports.audit.images.hashes import Pair
from mlrfnet_mm.reports.audit.labels import Suspect, co_occurrence, find_suspects, prevalence
from mlrfnet_mm.reports.audit.problems import (
    ERROR,
    LEVELS,
    NOTE,
    Problem,
    count_table,
    problem_table,
    worst_first,
    write_problems,
)
from mlrfnet_mm.reports.audit.rows import Split, read_splits
from mlrfnet_mm.reports.audit.sheets import Tile, draw_sheet
from mlrfnet_mm.reports.audit.splits import (
    compare_lists,
    count_splits,
    describe_people,
    find_common,
)
from mlrfnet_mm.reports.output.page import Absent, Picture, Section, html_page
from mlrfnet_mm.reports.output.tables import Record, Table

ODD = ('inverted', 'rotated', 'blank')


@dataclass
class Audit:
    """What was found and where it was written.

    Attributes:
        problems: the worst first.
        counts: of them.
        written: page and table.
    """

    problems: list[Problem]
    counts: Table
    written: list[Path]

    @property
    def errors(self) -> int:
        """Number of problems that are errors."""
        return sum(problem.level == ERROR for problem in self.problems)


def audit(
    configs: dict[str, Config],
    out: Path,
    deep: bool = False,
    predictions: Sequence[str] = (),
    workers: int = 1,
) -> Audit:
    """Look at the data of configs, and write ``audit.html`` and ``problems.csv``.

    Args:
        configs: name → config; their images are compared too.
        out: folder to write into.
        deep: open every image file.
        predictions: prediction files of these data, to suspect labels by.
        workers: processes.

    Raises:
        FileNotFoundError: no such data folder or prediction file.
        ImportError: a library of the extra ``audit`` is not installed.
        ValueError: configs without data, and prediction files that are none.
    """
    loaded = {path: load_predictions(path) for path in predictions}
    splits: list[Split] = []
    problems: list[Problem] = []
    for source, (name, cfg) in enumerate(configs.items()):
        found, refused = read_splits(cfg, source, f'{name} ' if len(configs) > 1 else '')
        splits += found
        problems += refused
    out.mkdir(parents=True, exist_ok=True)
    files, absent = find_files(splits)
    common, shared = find_common(splits)
    problems += shared + absent
    sections = [_splits_section(splits, common), _labels_section(splits)]
    names = ' '.join(configs)
    images, more = _images_section(files, out, workers, names, deep)
    suspects, doubts = _suspects_section(loaded, splits, out, names)
    problems = worst_first([*problems, *more, *doubts])
    counts = count_table(problems)
    first = Section('What was found', [_sentence(problems, splits, deep), counts])
    if problems:
        first.blocks.append(problem_table(problems))
    page = out / 'audit.html'
    write_text(page, html_page(f'Audit of {names}', [first, *sections, images, suspects]))
    stamp: dict[str, str | int] = dict(config=names, date=date.today().isoformat())
    return Audit(problems, counts, [page, write_problems(problems, out, stamp)])


def _sentence(problems: Sequence[Problem], splits: Sequence[Split], deep: bool) -> str:
    counts = Counter(problem.level for problem in problems)
    found = ', '.join(f'{counts[level]:,} {level}s' for level in LEVELS)
    images = len({path for split in splits for path in split.paths})
    how = 'every file was opened' if deep else 'no file was opened (--deep does)'
    return f'{found} in {images:,} images; {how}. {date.today().isoformat()}.'


def _splits_section(splits: Sequence[Split], common: Table) -> Section:
    lists = [compare_lists(root) for root in dict.fromkeys(split.root for split in splits)]
    tables = [count_splits(splits), common, *(table for table in lists if table)]
    return Section('Splits', [*tables, *describe_people(splits)])


def _labels_section(splits: Sequence[Split]) -> Section:
    section = Section('Labels')
    if splits:
        section.blocks += [prevalence(splits), co_occurrence(splits[0])]
    return section


def _images_section(
    files: Files, out: Path, workers: int, names: str, deep: bool
) -> tuple[Section, list[Problem]]:
    section = Section('Images')
    if not deep or not files.paths:
        what = 'Duplicates, sizes, broken, blank, inverted and rotated images'
        section.blocks.append(Absent(what, f'mlrfnet audit {names} --deep'))
        return section, []
    seen, problems, pairs = look(files, out, workers)
    section.blocks.append(describe_files(files, seen))
    for kind in ODD:
        odd = [problem for problem in problems if problem.kind == kind]
        tiles = [Tile(p.what, f'{Path(p.what).name}\n{p.splits}') for p in odd]
        if tiles:
            caption = f'{kind.capitalize()} images, or what looks so'
            sheet = draw_sheet(tiles, caption, out / f'audit_{kind}')
            section.blocks.append(Picture(sheet, caption))
    if pairs:
        caption = 'Near-duplicates, in pairs'
        sheet = draw_sheet(_pair_tiles(files, pairs), caption, out / 'audit_near_duplicates')
        section.blocks.append(Picture(sheet, caption))
    return section, problems


def _pair_tiles(files: Files, pairs: Sequence[Pair]) -> list[Tile]:
    """Both images of each pair, those in different splits first."""
    names = [(files.paths[pair.one], files.paths[pair.two]) for pair in pairs]
    names.sort(key=lambda paths: not files.apart(paths))
    return [Tile(p, f'{Path(p).name}\n{files.parts(p)}') for paths in names for p in paths]


def _suspects_section(
    loaded: dict[str, Predictions], splits: Sequence[Split], out: Path, names: str
) -> tuple[Section, list[Problem]]:
    section, problems = Section('Suspected labels'), []
    if not loaded:
        command = f'mlrfnet audit {names} --predictions predictions.npz'
        section.blocks.append(Absent('Labels that are likely wrong', command))
    known = by_name(splits)
    for number, (file, predictions) in enumerate(loaded.items(), 1):
        suspects = find_suspects(predictions.scores, predictions.labels)
        split = split_stamp(predictions.stamp)[2]
        classes, images = predictions.classes.tolist(), predictions.images.tolist()
        for suspect in suspects:
            path, part = known.get(images[suspect.row], (images[suspect.row], split))
            value = f'{classes[suspect.finding]} is labeled {_given(suspect)}, score '
            problems.append(Problem(NOTE, 'label', part, path, f'{value}{suspect.score:.3f}'))
        section.blocks.append(_suspects_table(predictions, suspects, file))
        tiles = [
            Tile(
                known.get(images[suspect.row], ('', ''))[0],
                f'{images[suspect.row]}\n{classes[suspect.finding]}: labeled {_given(suspect)}\n'
                f'score {suspect.score:.3f}',
            )
            for suspect in suspects
        ]
        if tiles:
            caption = f'Suspected labels of {predictions.stamp}, the most suspect first'
            sheet = draw_sheet(tiles, caption, out / f'audit_labels_{number}')
            section.blocks.append(Picture(sheet, caption))
    return section, problems


def _given(suspect: Suspect) -> str:
    return 'present' if suspect.label else 'absent'


def _suspects_table(predictions: Predictions, suspects: Sequence[Suspect], file: str) -> Table:
    """Per finding, how many labels are suspected."""
    records: list[Record] = []
    for k, name in enumerate(predictions.classes.tolist()):
        labels = predictions.labels[:, k]
        own = [suspect for suspect in suspects if suspect.finding == k]
        records.append(
            dict(
                finding=name,
                labels=int((~np.isnan(labels)).sum()),
                positive=int(np.nansum(labels)),
                suspected=len(own),
                present=sum(suspect.label for suspect in own),
                absent=sum(not suspect.label for suspect in own),
            )
        )
    columns = {'finding': 'finding', 'labels': 'labels', 'present': 'positive'}
    columns |= {'suspected': 'suspected', 'of present': 'present', 'of absent': 'absent'}
    notes = [f'By cleanlab, from {file}. A suspicion, not a finding: see the documents.']
    if split_stamp(predictions.stamp)[2] == 'train':
        notes.append(
            'These are predictions of the training split. Unless the model was trained on other '
            'images (out of fold), it has learned its labels, wrong ones too, and little is found.'
        )
    return Table('suspects', f'Suspected labels: {predictions.stamp}', columns, records, notes)
