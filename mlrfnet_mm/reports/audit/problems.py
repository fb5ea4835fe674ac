"""What an audit says of one thing that is wrong, and how bad it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mlrfnet_mm.reports.output.tables import Record, Table

ERROR, WARNING, NOTE = 'error', 'warning', 'note'
LEVELS = (ERROR, WARNING, NOTE)
ADVICE = {
    'refused': 'do what the message says; training refuses these data too',
    'image in two splits': 'leave it in one of them',
    'patient in two splits': "move all of the patient's images into one split",
    'study in two splits': 'move all images of the study into one split',
    'exact duplicate': 'keep one of the files in one split',
    'near-duplicate': 'look at both; if it is one film, keep it in one split',
    'missing': 'get the file again, or take it out of the list',
    'broken': 'get the file again',
    'blank': 'look at it; take it out of the list',
    'inverted': 'look at it; if bone is dark, invert it (255 - v)',
    'rotated': 'look at it; turn it upright',
    'border': 'look at it; cut the border off, or leave it',
    'bit depth': 'set LoadXray(bits=...) if they come from detectors of one depth',
    'label': 'look at the image and its report',
}


@dataclass(frozen=True)
class Problem:
    """One row of ``problems.csv``.

    Attributes:
        level: one of ``LEVELS``; an error ends the command with exit code 1.
        kind: a key of ``ADVICE``.
        splits: the splits that it concerns, as ``'train, test'``.
        what: file or files, patient, or study.
        value: what was found, in words.
    """

    level: str
    kind: str
    splits: str
    what: str
    value: str

    def record(self) -> Record:
        """As a row of a table, with what to do."""
        return {**asdict(self), 'what_to_do': ADVICE[self.kind]}


def joined(problems: Sequence[Problem]) -> list[Problem]:
    """One for what several splits are told in the same words."""
    found: dict[Problem, list[str]] = {}
    for problem in problems:
        found.setdefault(replace(problem, splits=''), []).append(problem.splits)
    return [replace(problem, splits=', '.join(parts)) for problem, parts in found.items()]


def worst_first(problems: Sequence[Problem]) -> list[Problem]:
    """Errors, warnings, notes; within a level in the order found."""
    return sorted(problems, key=lambda problem: LEVELS.index(problem.level))


def count_table(problems: Sequence[Problem]) -> Table:
    """How many problems of each level and kind, by split."""
    counts: dict[tuple[str, str, str], int] = {}
    for problem in worst_first(problems):
        key = (problem.level, problem.kind, problem.splits)
        counts[key] = counts.get(key, 0) + 1
    columns = dict(level='level', kind='kind', splits='splits', count='count')
    columns['what to do'] = 'what_to_do'
    records: list[Record] = [
        dict(level=level, kind=kind, splits=splits, count=count, what_to_do=ADVICE[kind])
        for (level, kind, splits), count in counts.items()
    ]
    notes = [] if records else ['Nothing was found.']
    return Table('problem_counts', 'By kind and split', columns, records, notes)


def problem_table(problems: Sequence[Problem], most: int = 5) -> Table:
    """The first problems of each level, kind and splits; the CSV has them all."""
    shown: list[Record] = []
    seen: dict[tuple[str, str, str], int] = {}
    for problem in worst_first(problems):
        key = (problem.level, problem.kind, problem.splits)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= most:
            shown.append({**problem.record(), 'what': _short(problem.what)})
    columns = dict(level='level', kind='kind', splits='splits', what='what', found='value')
    notes = []
    if len(shown) < len(problems):
        notes = [
            f'The first {most} of each kind and split, {len(shown)} of {len(problems):,}; all of '
            'them are in problems.csv.'
        ]
    return Table('problems', 'One by one', columns, shown, notes)


def _short(what: str) -> str:
    """Paths by their last two parts; the CSV has them whole.

    >>> _short('/data/images/a.png = /data/images/b.png')
    'images/a.png = images/b.png'
    """
    return ' '.join('/'.join(word.rsplit('/', 2)[-2:]) for word in what.split(' '))


def write_problems(problems: Sequence[Problem], folder: Path, stamp: dict[str, str | int]) -> Path:
    """Write ``problems.csv``: one row per problem, and the header alone where there is none."""
    keys = ('level', 'kind', 'splits', 'what', 'value', 'what_to_do')
    records = [problem.record() for problem in worst_first(problems)]
    table = Table('problems', '', dict(zip(keys, keys, strict=True)), records)
    return table.write_csv(folder, stamp)
