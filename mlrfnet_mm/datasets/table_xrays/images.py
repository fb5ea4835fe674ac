"""The image files, patients, studies and views that a table names."""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from mlrfnet_mm.datasets.table_xrays.table import Table
from mlrfnet_mm.datasets.tables import refuse
from mlrfnet_mm.xrays.people import years

# ViewPosition of DICOM, and what tables call it
VIEWS: Mapping[str, str] = {
    **dict.fromkeys(('PA', 'AP', 'FRONTAL', 'POSTEROANTERIOR', 'ANTEROPOSTERIOR'), 'Frontal'),
    **dict.fromkeys(('LATERAL', 'LL', 'RL', 'LLD', 'RLD'), 'Lateral'),
}


def image_paths(table: Table, column: str, root: str) -> list[str]:
    """Paths of the images: absolute ones as they are, others below ``root``.

    Raises:
        ValueError: no such column, a blank entry, an image twice.
    """
    names = table.column(column, 'image')
    lines: dict[str, int] = {}
    problems = []
    for row, name in enumerate(names):
        if not name:
            problems.append(
                f'{table.where(row)}: column {column!r} is blank; name the image, or remove the row'
            )
        elif (first := lines.setdefault(name, row)) != row:
            problems.append(
                f'{table.where(row)}: {name} is there already, at {table.unit} '
                f'{table.lines[first]}; one row per image: merge or remove one of the two'
            )
    refuse(problems)
    return [name if name.startswith('/') else f'{root}/{name}' for name in names]


def check_files(table: Table, paths: Sequence[str], origin: str) -> None:
    """Refuse images that are not there, by one listing for each folder.

    Args:
        table: that names them.
        paths: of its rows.
        origin: where the folder comes from, for the error.

    Raises:
        FileNotFoundError: with place and path of the first one, and how many there are.
    """
    listings: dict[str, set[str]] = {}
    missing = []
    for row, path in enumerate(paths):
        folder, _, name = path.rpartition('/')
        if folder not in listings:
            listings[folder] = set(os.listdir(folder or '/')) if os.path.isdir(folder) else set()
        if name not in listings[folder]:
            missing.append(
                f'{table.where(row)}: no file {os.path.abspath(path)}. Paths of the table are '
                f'relative to data_root, here from {origin}: set it, correct the column, or remove '
                'the row'
            )
    refuse(missing, FileNotFoundError)


def filled(table: Table, column: str, argument: str) -> list[str]:
    """Entries of a column that must not be blank, as the patients'.

    Raises:
        ValueError: no such column, or a blank entry.
    """
    entries = table.column(column, argument)
    refuse(
        [
            f'{table.where(row)}: column {column!r} ({argument}) is blank; fill it in, or remove '
            'the row'
            for row, entry in enumerate(entries)
            if not entry
        ]
    )
    return entries


def views(table: Table, column: str) -> list[str]:
    """``'Frontal'``, ``'Lateral'`` or ``'Other'`` for each row; blank is ``'Other'``."""
    entries = table.column(column, 'view')
    known = {entry: VIEWS.get(entry.upper(), 'Other') for entry in set(entries)}
    return [known[entry] for entry in entries]


def ages(table: Table, column: str) -> list[float]:
    """Years, NaN for blank; ``'018M'`` of DICOM is 1.5.

    Raises:
        ValueError: no such column, or another entry; with its place.
    """
    known: dict[str, float] = {}
    problems = []
    for row, entry in enumerate(entries := table.column(column, 'age')):
        if entry in known:
            continue
        try:
            found = years(entry)
            known[entry] = np.nan if found is None else found
        except ValueError:
            problems.append(
                f'{table.where(row)}: {entry!r} in column {column!r} is not an age: give years, or '
                "DICOM's age as 018M; leave it blank where it is not known"
            )
    refuse(problems)
    return [known[entry] for entry in entries]


def check_studies(
    table: Table, studies: Sequence[str], codes: np.ndarray, labels: Sequence[str]
) -> None:
    """Refuse a study whose images have different labels: it would have no label to be scored by.

    Args:
        table: for the places.
        studies: of each row, (N,).
        codes: (N, K).
        labels: K names.

    Raises:
        ValueError: with both places.
    """
    first: dict[str, int] = {}
    firsts = [first.setdefault(study, row) for row, study in enumerate(studies)]
    differ = codes != codes[firsts]
    problems = []
    for row in np.flatnonzero(differ.any(1)).tolist():
        name, other = labels[int(differ[row].argmax())], firsts[row]
        here, there = table.columns[name][row], table.columns[name][other]
        problems.append(
            f'{table.where(row)}: study {studies[row]} has {here!r} in column {name!r}, at '
            f'{table.unit} {table.lines[other]} {there!r}; scores per study need one label per '
            'study: correct it, or leave study out and score images'
        )
    refuse(problems)
