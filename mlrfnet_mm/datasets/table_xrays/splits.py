"""Who trains, validates and tests: a column says so, or a hash of the patient."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlrfnet_mm.datasets.table_xrays.table import Table
from mlrfnet_mm.datasets.tables import refuse, stable_bucket

SPLITS = ('train', 'val', 'test')
BUCKETS = 10_000
FORMS = (
    "a column of train, val and test ('split'), fractions of the patients "
    '(dict(train=0.7, val=0.1, test=0.2)), or a column with its own names '
    "(dict(column='set', train='training', val=['dev'], test=0.2), where a fraction below 1 is "
    "taken from the patients of 'train')"
)


class Splits(NamedTuple):
    """What `read_splits` understood.

    Attributes:
        column: that says it; ``None`` for fractions of all patients.
        names: entry of the column → split.
        fractions: split → share of the patients: of all, or with a column of those of ``train``.
    """

    column: str | None
    names: dict[str, str]
    fractions: dict[str, float]

    @property
    def protocol(self) -> str:
        """One word for the stamp."""
        if self.column is not None:
            return 'own-split'
        return 'by-patient-' + '-'.join(f'{self.fractions.get(name, 0):g}' for name in SPLITS)


def read_splits(splits: str | Mapping[str, Any]) -> Splits:
    """Understand the argument ``splits``.

    Raises:
        ValueError: another form.
    """
    wrong = ValueError(f'splits must be {FORMS}, got {splits!r}')
    if isinstance(splits, str):
        return Splits(splits, {name: name for name in SPLITS}, {})
    if not isinstance(splits, Mapping) or not set(splits) - {'column'} <= set(SPLITS):
        raise wrong
    column = splits.get('column')
    names: dict[str, str] = {}
    fractions: dict[str, float] = {}
    for split in SPLITS:
        value = splits.get(split)
        if value is None:
            continue
        if column is None or (isinstance(value, float) and 0 < value < 1):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise wrong
            fractions[split] = float(value)
            continue
        for entry in [value] if isinstance(value, str | int | float) else value:
            if names.setdefault(str(entry), split) != split:
                raise ValueError(
                    f'splits gives {entry!r} to {names[str(entry)]} and to {split}: {splits}'
                )
    total = sum(fractions.values())
    if column is None and abs(total - 1) > 1e-6:
        raise ValueError(f'the fractions of splits must sum to 1, got {total:g}: {splits}')
    if column is not None and (
        not isinstance(column, str) or 'train' not in names.values() or total >= 1
    ):
        raise wrong
    return Splits(column, names, fractions)


def by_hash(patient: str, fractions: Mapping[str, float], rest: str) -> str:
    """The split of a patient, by his name alone: also where a table grows.

    The SHA-256 of ``TableXrays/<patient>``, as a big-endian integer modulo 10,000, is compared with
    the fractions' bounds, in the order test, val, train.

    Args:
        patient: as the table writes it.
        fractions: split → share of the patients.
        rest: split of those that no fraction takes.
    """
    place, bound = stable_bucket(f'TableXrays/{patient}', BUCKETS), 0.0
    for split in reversed(SPLITS):
        bound += fractions.get(split, 0.0)
        if place < round(bound * BUCKETS):
            return split
    return rest


def assign(table: Table, patients: Sequence[str], splits: Splits) -> list[str]:
    """Return the split of each row.

    Raises:
        ValueError: an entry that names no split, or a patient in two; with their places.
    """
    if splits.column is None:
        chosen = {p: by_hash(p, splits.fractions, 'train') for p in set(patients)}
        return [chosen[patient] for patient in patients]
    entries = table.column(splits.column, 'splits')
    refuse(
        [
            f'{table.where(row)}: {entry!r} in column {splits.column!r} is none of '
            f'{", ".join(splits.names)}; correct it, or say what it means: splits=dict('
            f'column={splits.column!r}, train=[…], val=[…], test=[…])'
            for row, entry in enumerate(entries)
            if entry not in splits.names
        ]
    )
    found = [splits.names[entry] for entry in entries]
    _check_patients(table, patients, found)
    if splits.fractions:
        chosen = {p: by_hash(p, splits.fractions, 'train') for p in set(patients)}
        found = [
            chosen[patient] if split == 'train' else split
            for patient, split in zip(patients, found, strict=True)
        ]
    return found


def _check_patients(table: Table, patients: Sequence[str], found: Sequence[str]) -> None:
    first: dict[str, int] = {}
    problems: dict[str, str] = {}  # one per patient, however many images
    for row, (patient, split) in enumerate(zip(patients, found, strict=True)):
        other = first.setdefault(patient, row)
        if found[other] != split and patient not in problems:
            problems[patient] = (
                f'{table.where(row)}: patient {patient!r} is in {split}, and at {table.unit} '
                f'{table.lines[other]} in {found[other]}; move all images of a patient into one '
                'split, or let splits be fractions'
            )
    refuse(list(problems.values()))
