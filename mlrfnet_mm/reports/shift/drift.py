"""What differs between two sets of images: what ``mlrfnet drift`` prints and writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from mlrfnet_mm.evaluation import holm
from mlrfnet_mm.evaluation.files.whole_files import write_text
from mlrfnet_mm.evaluation.shift.permutation import (
    chi_square_statistics,
    ks_statistics,
    permutation_p,
    shuffle_sides,
)
from mlrfnet_mm.evaluation.shift.stability import BINS, index_of_counts, stability_index
from mlrfnet_mm.reports.output.page import Section, html_page, markdown_page
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.shift.sets import SCORE, ImageSet

LEVEL = 0.05


@dataclass(frozen=True)
class Drift:
    """Two sets compared.

    Attributes:
        tables: those of :func:`drift_tables`.
        stamp: what they are based on.
    """

    tables: list[Table]
    stamp: dict[str, str | int]

    @property
    def differing(self) -> list[str]:
        """What differs: p after Holm's correction below 0.05."""
        rows = self.tables[0].records
        return [str(row['what']) for row in rows if float(row['p_holm']) < LEVEL]

    def sentence(self) -> str:
        """Say in one sentence what differs."""
        total = sum(not np.isnan(float(row['p_shuffled'])) for row in self.tables[0].records)
        names = self.differing
        scores = ', '.join(n.removeprefix(SCORE) for n in names if n.startswith(SCORE))
        others = [name for name in names if not name.startswith(SCORE)]
        found = '; '.join([*others, *([f'scores of {scores}'] if scores else [])])
        found = f': {found}' if found else ''
        return f'{len(names)} of {total} comparisons differ (p Holm < {LEVEL}){found}.'

    def write(self, folder: str | Path) -> list[Path]:
        """Write ``drift.html``, ``drift.md`` and one CSV per table; return their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = ', '.join(f'{k} {v:,}' if v.__class__ is int else f'{k} {v}'
                          for k, v in self.stamp.items())  # fmt: skip
        first = Section('What differs', [self.sentence(), f'{stamp}.', *self.tables])
        html, page = folder / 'drift.html', folder / 'drift.md'
        title = f'Drift from {self.stamp["first"]} to {self.stamp["second"]}'
        write_text(html, html_page(title, [first]))
        write_text(page, markdown_page(title, [first], folder))
        return [html, page, *(table.write_csv(folder, self.stamp) for table in self.tables)]


def drift(
    first: ImageSet,
    second: ImageSet,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> Drift:
    """Compare two sets.

    Args:
        first: for reference: the bins of PSI are of equal count in it.
        second: of other images; a patient, known by its number, may be in both. Two persons of
            one number do no harm: their parts, too, could as well be on either side.
        replicates: shuffles of the patients.
        seed: of the shuffles.
        progress: called when one thing is compared.

    Raises:
        ValueError: see :func:`drift_tables`.
    """
    tables = drift_tables(first, second, replicates, seed, progress)
    stamp: dict[str, str | int] = dict(first=first.name, second=second.name)
    stamp |= dict(images_first=len(first), images_second=len(second))
    stamp |= dict(shuffles=replicates, seed=seed, date=date.today().isoformat())
    return Drift(tables, stamp)


def common(first: ImageSet, second: ImageSet) -> list[str]:
    """What both sets have, in the first's order, where at least one image of each is known."""
    one, two = (
        {
            **{what: (~np.isnan(values)).any() for what, values in side.numbers.items()},
            **{what: (values != '').any() for what, values in side.categories.items()},
        }
        for side in (first, second)
    )
    return [what for what, known in one.items() if known and two.get(what)]


def drift_tables(
    first: ImageSet,
    second: ImageSet,
    replicates: int = 1000,
    seed: int = 0,
    progress: Callable[[], None] | None = None,
) -> list[Table]:
    """Tests and sizes of all differences, and the shares of the categories.

    Args:
        first: for reference.
        second: of other images.
        replicates: shuffles of the patients.
        seed: of the shuffles.
        progress: called when one thing is compared.

    Returns:
        The table ``drift``, and ``drift_categories`` if there are any.

    Raises:
        ValueError: nothing that both sets have, or patients known in one alone.
    """
    shared = common(first, second)
    if not shared:
        names = [', '.join([*side.numbers, *side.categories]) or 'nothing'
                 for side in (first, second)]  # fmt: skip
        raise ValueError(
            f'{first.name} and {second.name} have nothing that could be compared: the first has '
            f'{names[0]}, the second {names[1]}'
        )
    patients, by_patient = _patients(first, second)
    n = len(first), len(second)
    is_second = np.repeat([False, True], n)
    sides = np.vstack([is_second, shuffle_sides(patients, is_second, replicates, seed)])
    records: list[Record] = []
    shares: list[Record] = []
    for what in shared:
        if what in first.numbers:
            records.append(_number(what, first.numbers[what], second.numbers[what], sides))
        else:
            pair = first.categories[what], second.categories[what]
            records.append(_category(what, *pair, sides))
            shares += _shares(what, *pair)
        if progress:
            progress()
    corrected = holm(np.array([record['p_shuffled'] for record in records], float))
    for record, p in zip(records, corrected, strict=True):
        record['p_holm'] = float(p)
    columns = {'': 'what', 'n first': 'n_first', 'n second': 'n_second'}
    columns |= {'mean first': 'mean_first', 'second': 'mean_second', 'distance': 'distance'}
    columns |= {'PSI': 'psi', 'p': 'p_shuffled', 'p Holm': 'p_holm'}
    title = f'{second.name} ({n[1]:,} images) against {first.name} ({n[0]:,})'
    people = [set(patients[side].tolist()) for side in (~is_second, is_second)]
    notes = _notes(people if by_patient else [], replicates, len(records), n)
    tables = [Table('drift', title, columns, records, notes)]
    if shares:
        columns = {'': 'what', 'category': 'category', 'first': 'share_first'}
        columns |= {
            'second': 'share_second',
            'images first': 'n_first',
            'images second': 'n_second',
        }
        title = 'Shares of the categories, of the images where they are known'
        tables.append(Table('drift_categories', title, columns, shares))
    return tables


def _patients(first: ImageSet, second: ImageSet) -> tuple[np.ndarray, bool]:
    """(N,) patient of each image of both sets, and whether they are known."""
    if first.patients is None and second.patients is None:
        return np.arange(len(first) + len(second)), False
    if first.patients is None or second.patients is None:
        lost = first.name if first.patients is None else second.name
        raise ValueError(
            f'the patients of {lost} are not known, those of the other set are: give both as '
            'predictions, or as tables or configs, or both as folders'
        )
    return np.concatenate([first.patients, second.patients]), True


def _number(what: str, first: np.ndarray, second: np.ndarray, sides: np.ndarray) -> Record:
    values = np.concatenate([first, second]).astype(float)
    known = ~np.isnan(values)
    found = ks_statistics(values[known], sides[:, known])
    one, two = (part[~np.isnan(part)].astype(float) for part in (first, second))
    record: Record = dict(what=what, test='KS', n_first=len(one), n_second=len(two))
    record |= dict(mean_first=float(one.mean()), mean_second=float(two.mean()))
    record |= dict(distance=float(found[0]), psi=stability_index(one, two))
    return record | dict(p_shuffled=permutation_p(found[0], found[1:]))


def _category(what: str, first: np.ndarray, second: np.ndarray, sides: np.ndarray) -> Record:
    values = np.concatenate([first, second])
    known = values != ''
    found = chi_square_statistics(values[known], sides[:, known])
    one, two = (part[part != ''] for part in (first, second))
    names = np.unique(values[known])
    counts = [np.array([(part == name).sum() for name in names]) for part in (one, two)]
    shares = [count / count.sum() for count in counts]
    record: Record = dict(what=what, test='chi-square', n_first=len(one), n_second=len(two))
    record |= dict(distance=float(abs(shares[0] - shares[1]).sum() / 2))
    record |= dict(chi_square=float(found[0]), psi=index_of_counts(counts[0], counts[1]))
    return record | dict(p_shuffled=permutation_p(found[0], found[1:]))


def _shares(what: str, first: np.ndarray, second: np.ndarray) -> Sequence[Record]:
    names = np.unique(np.concatenate([first, second]))
    records: list[Record] = []
    for name in names[names != ''].tolist():
        record: Record = dict(what=what, category=name)
        for key, part in (('first', first), ('second', second)):
            count = int((part == name).sum())
            record[f'share_{key}'] = count / max(int((part != '').sum()), 1)
            record[f'n_{key}'] = count
        records.append(record)
    return records


def _notes(people: Sequence[set[str]], replicates: int, rows: int, n: tuple[int, int]) -> list[str]:
    who = (
        'the patients are not known, so that images change sides: if a patient has several, p is '
        'too small'
    )
    if people:
        both = len(people[0] & people[1])
        who = f'{len(people[0]):,} and {len(people[1]):,} patients change sides as a whole'
        who += f'; {both:,} are in both sets and swap their two parts' if both else ''
    psi = (BINS - 1) * (1 / n[0] + 1 / n[1])
    notes = [
        f'p by {replicates:,} shuffles: {who}. Holm corrects over {rows} comparisons.',
        'distance: greatest difference of the shares below a value (Kolmogorov-Smirnov); of '
        'categories half the sum of the differences of their shares (tested by chi-square). PSI: '
        f'population stability index in {BINS} bins; below 0.1 is called stable, above 0.25 '
        f'shifted; without any shift about {psi:.3f} is expected with so many independent images.',
    ]
    least = rows / (replicates + 1)
    if least > LEVEL:
        notes.append(
            f'With {replicates:,} shuffles no p is below {least:.2g} after the correction: take '
            f'--replicates {int(np.ceil(rows / 0.01)):d}.'
        )
    return notes
