"""Who is in which split: counts, what two splits have in common, sex, age and view."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from mlrfnet_mm.datasets.published.chestxray14.tables import LISTS
from mlrfnet_mm.datasets.tables import read_names
from mlrfnet_mm.reports.audit.problems import ERROR, NOTE, Problem
from mlrfnet_mm.reports.audit.rows import Split
from mlrfnet_mm.reports.output.tables import Record, Table

AGES = (0, 20, 40, 60, 80, 130)  # years; above the last, the entry is wrong
OLDEST = 120


def comparable(splits: Sequence[Split]) -> Iterator[tuple[Split, Split]]:
    """Pairs of splits of one folder: only there a patient's name means the same person."""
    for one, two in combinations(splits, 2):
        if one.root.resolve() == two.root.resolve():
            yield one, two


def count_splits(splits: Sequence[Split]) -> Table:
    """Images, studies and patients per split."""
    records: list[Record] = [
        dict(
            split=split.part,
            images=len(split.paths),
            studies=len(set(split.studies) - {''}) or '',
            patients=len(set(split.patients) - {''}),
            most_images=max(Counter(split.patients).values(), default=0),
            data=split.stamp,
        )
        for split in splits
    ]
    columns = dict(split='split', images='images', studies='studies', patients='patients')
    columns |= {'most images of a patient': 'most_images', 'data': 'data'}
    return Table('splits', 'Images, studies and patients', columns, records)


def find_common(splits: Sequence[Split]) -> tuple[Table, list[Problem]]:
    """Images, studies and patients that two splits have in common: all of it should be none."""
    records: list[Record] = []
    problems: list[Problem] = []
    for one, two in comparable(splits):
        level = ERROR if one.source == two.source else NOTE
        pair = f'{one.part}, {two.part}'
        images = sorted(_real(one) & _real(two))
        studies = sorted((set(one.studies) & set(two.studies)) - {''})
        patients = sorted((set(one.patients) & set(two.patients)) - {''})
        record: Record = dict(pair=pair, images=len(images), studies=len(studies))
        records.append({**record, 'patients': len(patients)})
        problems += [Problem(level, 'image in two splits', pair, i, 'one file') for i in images]
        problems += [Problem(level, 'study in two splits', pair, s, 'one study') for s in studies]
        counts = [Counter(split.patients) for split in (one, two)]
        problems += [
            Problem(
                level,
                'patient in two splits',
                pair,
                f'patient {patient}',
                ', '.join(
                    f'{n[patient]:,} {"image" if n[patient] == 1 else "images"} in {split.part}'
                    for n, split in zip(counts, (one, two), strict=True)
                ),
            )
            for patient in patients
        ]
    columns = dict(splits='pair', images='images', studies='studies', patients='patients')
    notes = ['All of it should be 0. Splits of different folders are not compared by patient.']
    return Table('common', 'What two splits have in common', columns, records, notes), problems


def _real(split: Split) -> set[str]:
    """Files whatever links lead to their folder; one look per folder."""
    folders = {os.path.dirname(path) for path in split.paths}
    real = {folder: os.path.realpath(folder) for folder in folders}
    return {f'{real[os.path.dirname(p)]}/{os.path.basename(p)}' for p in split.paths}


def compare_lists(root: Path) -> Table | None:
    """Images in common of the lists of ChestX-ray14's two protocols; None without both."""
    lists = {
        f'{protocol} {part}': set(read_names(root / name))
        for protocol, names in LISTS.items()
        for part, name in names.items()
        if (root / name).is_file()
    }
    if len({name.split()[0] for name in lists}) < 2:
        return None
    records: list[Record] = [
        dict(one=one, two=two, images=len(lists[one] & lists[two]))
        for one in lists
        for two in lists
        if one.startswith('official') and two.startswith('chexnet')
    ]
    columns = {'list of the one protocol': 'one', 'of the other': 'two', 'images': 'images'}
    note = 'Numbers of the two protocols must not be compared, nor their models tested crosswise.'
    return Table('lists', 'Images in common of the two protocols', columns, records, [note])


def describe_people(splits: Sequence[Split]) -> list[Table]:
    """Sex, age and view by split, as shares of the images."""
    tables = []
    sexes = {split.part: Counter(sex or 'unknown' for sex in split.sexes) for split in splits}
    tables.append(_shares('sex', 'Sex', splits, sexes))
    bins = {split.part: Counter(map(_age_group, split.ages.tolist())) for split in splits}
    ages = _shares('age', 'Age in years', splits, bins)
    for record, split in zip(ages.records, splits, strict=True):
        known = split.ages[~np.isnan(split.ages)]
        record['median'] = float(np.median(known)) if len(known) else np.nan
    ages.columns['median'] = 'median'
    tables.append(ages)
    views = {split.part: Counter(view or 'unknown' for view in split.views) for split in splits}
    tables.append(_shares('view', 'View', splits, views))
    return [table for table in tables if list(table.columns) != ['split', 'images', 'unknown']]


def _age_group(age: float) -> str:
    if age != age:
        return 'unknown'
    if age > OLDEST:
        return f'over {OLDEST}'
    k = int(np.searchsorted(AGES, age, 'right'))
    return f'{AGES[k - 1]} to {AGES[k] - 1}' if k < len(AGES) - 1 else f'{AGES[k - 1]} to {OLDEST}'


def _shares(
    name: str, title: str, splits: Sequence[Split], counts: Mapping[str, Counter[str]]
) -> Table:
    """Per split the share of each value, the values in order and unknown last."""
    values = {value for counter in counts.values() for value in counter}
    order = sorted(values, key=lambda value: (value == 'unknown', value[:4] == 'over', value))
    records: list[Record] = []
    for split in splits:
        n = len(split.paths)
        shares = {value: f'{counts[split.part][value] / max(1, n):.1%}' for value in order}
        records.append({'split': split.part, 'images': n, **shares})
    columns = dict(split='split', images='images') | {value: value for value in order}
    return Table(name, title, columns, records)
