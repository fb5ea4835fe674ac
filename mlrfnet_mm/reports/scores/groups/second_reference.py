"""Two references on the same images: what ``mlrfnet evaluate --labels`` adds.

How much of what a model is missing is missing in its labels? The AUC of the same scores against the
data set's labels and against another source's, and how far the two sources agree.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mlrfnet_mm.evaluation import (
    Predictions,
    bootstrap_auc,
    bootstrap_p,
    holm,
    patient_counts,
    percentile_interval,
    roc_auc,
    too_few_patients,
)
from mlrfnet_mm.evaluation.areas.bootstrap import LEAST_PATIENTS
from mlrfnet_mm.evaluation.files.pairing import split_stamp
from mlrfnet_mm.evaluation.groups.agreement import MEASURES, label_agreement
from mlrfnet_mm.evaluation.groups.joined_findings import JOINED, POOLS, Joined, any_of
from mlrfnet_mm.evaluation.metrics.synonyms import finding
from mlrfnet_mm.reports.output.tables import Record, Table, number
from mlrfnet_mm.reports.scores.groups.reference_labels import ReferenceLabels, bare
from mlrfnet_mm.reports.scores.statistics import UNITS, with_interval


class Match(NamedTuple):
    """A finding of the reference, and what the model has of it."""

    name: str
    column: int  # of the reference
    parts: list[int]  # classes of the model
    joined: Joined | None = None  # how several are one


class Shared(NamedTuple):
    """The images that both sources have, M findings.

    Attributes:
        matches: M of them.
        scores: (N, M).
        labels: (N, M) of the data set.
        reference: (N, M), NaN where either source does not know.
        patients: (N,).
        other_pools: name of a joined finding → name of another pool → (N,) scores.
    """

    matches: list[Match]
    scores: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    patients: np.ndarray
    other_pools: dict[str, dict[str, np.ndarray]]


def match_findings(model: Sequence[str], reference: Sequence[str]) -> list[Match]:
    """Findings of the reference that the model has, by name, or joined of parts.

    >>> [(m.name, m.parts) for m in match_findings(['Mass', 'Edema'], ['edema', 'Nodule or mass'])]
    [('edema', [1]), ('Nodule or mass', [0])]
    """
    own = [finding(name) for name in model]
    joined = {finding(entry.name): entry for entry in JOINED}
    matches = []
    for column, name in enumerate(reference):
        key = finding(name)
        if key in own:
            matches.append(Match(name, column, [own.index(key)]))
        elif key in joined:
            parts = [own.index(finding(p)) for p in joined[key].parts if finding(p) in own]
            if parts:
                matches.append(Match(name, column, parts, joined[key]))
    return matches


def shared_images(test: Predictions, reference: ReferenceLabels) -> Shared:
    """Scores and both labels of the images that are in both.

    Raises:
        ValueError: images of another data set, no finding or no image in both, a patient that
            differs.
    """
    dataset = split_stamp(test.stamp)[0]
    if not dataset.startswith(reference.dataset):
        raise ValueError(
            f'labels of {reference.title} are for images of {reference.dataset}, the predictions '
            f'are of {dataset!r}'
        )
    classes = test.classes.tolist()
    matches = match_findings(classes, reference.classes)
    if not matches:
        raise ValueError(
            f'the predictions ({", ".join(classes)}) and {reference.title} '
            f'({", ".join(reference.classes)}) share no finding'
        )
    names = [bare(str(name)) for name in test.images]
    rows = np.array([name in reference.marks for name in names])
    if not rows.any():
        raise ValueError(
            f'{test.stamp} and {reference.title} share no image: theirs are named like '
            f'{next(iter(reference.marks), "–")!r}, those of the predictions like {names[0]!r}'
        )
    part = test.rows(rows)
    kept = [name for name, there in zip(names, rows, strict=True) if there]
    for name, patient in zip(kept, part.patients.tolist(), strict=True):
        theirs = reference.patients.get(name)
        if theirs is not None and theirs != str(patient):
            raise ValueError(
                f'{reference.places[name]}: image {name} is of patient {theirs}, in the '
                f'predictions of {patient}: these are not the same images'
            )
    second = reference.labels(kept, [match.column for match in matches])
    labels = np.stack([any_of(part.labels[:, m.parts]) for m in matches], 1)
    unknown = np.isnan(labels) | np.isnan(second)
    pools: dict[str, dict[str, np.ndarray]] = {
        m.name: {pool: join(part.scores[:, m.parts]) for pool, join in POOLS.items()}
        for m in matches
        if m.joined
    }
    scores = [
        pools[m.name].pop(m.joined.pool) if m.joined else part.scores[:, m.parts[0]].astype(float)
        for m in matches
    ]
    return Shared(
        matches,
        np.stack(scores, 1).astype(float),
        np.where(unknown, np.nan, labels),
        np.where(unknown, np.nan, second),
        part.patients,
        pools,
    )


def second_reference_tables(
    test: Predictions, reference: ReferenceLabels, replicates: int = 1000, seed: int = 0
) -> list[Table]:
    """AUC against both sources with the paired difference, and the agreement of the two.

    Args:
        test: predictions, with the data set's labels.
        reference: of the same images or some of them.
        replicates: of the bootstrap by patient.
        seed: of the bootstrap.

    Raises:
        ValueError: see :func:`shared_images`.
    """
    shared = shared_images(test, reference)
    base = (
        f'{len(shared.patients):,} {UNITS[test.unit]} of {len(np.unique(shared.patients)):,} '
        f'patients that are in both'
    )
    title = f'{test.stamp}: AUC by two references; {base}'
    areas = _areas_table(title, reference, shared, replicates, seed)
    notes = [*_mapping_notes(test, reference, shared, areas.records), *_few_notes(shared)]
    title = f"{test.stamp}: the data set's labels against {reference.title}; {base}"
    agreement = _agreement_table(title, shared, replicates, seed)
    areas.notes, agreement.notes = [*areas.notes, *notes], [*agreement.notes, *notes]
    return [areas, agreement]


def _few(shared: Shared) -> np.ndarray:
    """(M,) findings with few positive or negative patients in either source."""
    few = [too_few_patients(y, shared.patients) for y in (shared.labels, shared.reference)]
    return few[0] | few[1]


def _areas_table(
    title: str, reference: ReferenceLabels, shared: Shared, replicates: int, seed: int
) -> Table:
    few, sources = _few(shared), (shared.labels, shared.reference)
    aucs = [roc_auc(shared.scores, y) for y in sources]
    draws = [bootstrap_auc(shared.scores, y, shared.patients, replicates, seed) for y in sources]
    gaps = draws[1] - draws[0]
    p = bootstrap_p(gaps)
    ends = [percentile_interval(d) for d in (*draws, gaps)]
    for values in (*ends, p):
        values[..., few] = np.nan
    corrected = holm(p)
    records: list[Record] = []
    for k, match in enumerate(shared.matches):
        record: Record = dict(finding=match.name, n=int((~np.isnan(shared.labels[:, k])).sum()))
        for key, y in zip(('positives', 'positives_reference'), sources, strict=True):
            record[key] = int(np.nansum(y[:, k]))
        for key, auc, interval in zip(('auc', 'auc_reference'), aucs, ends, strict=False):
            record |= with_interval(key, auc[k], interval[:, k])
        record |= with_interval('difference', aucs[1][k] - aucs[0][k], ends[2][:, k])
        record |= dict(p_bootstrap=float(p[k]), p_bootstrap_holm=float(corrected[k]))
        for pool, scores in shared.other_pools.get(match.name, {}).items():
            for key, y in zip(('auc', 'auc_reference'), sources, strict=True):
                found = roc_auc(scores[:, None], y[:, [k]])[0]
                record[f'{key} by {pool}'] = float(found)
        records.append(record)
    columns = {
        'finding': 'finding',
        'n': 'n',
        'own': 'positives',
        'theirs': 'positives_reference',
        'AUC, own': 'auc',
        'AUC, theirs': 'auc_reference',
        'difference': 'difference',
        'p': 'p_bootstrap',
        'p Holm': 'p_bootstrap_holm',
    }
    note = (
        f"Own: the data set's labels, and how many are positive; theirs: {reference.title}. The "
        'same scores of the same images; nominal 95 % intervals and two-sided p by bootstrap over '
        'patients, of the difference by the same replicates for both (least p '
        f'{2 / (replicates + 1):.2g}). Holm corrects over {(~np.isnan(p)).sum()} findings.'
    )
    return Table('second_reference', title, columns, records, [note], wide=True)


def _agreement_table(title: str, shared: Shared, replicates: int, seed: int) -> Table:
    found = label_agreement(shared.labels, shared.reference, shared.patients, replicates, seed)
    records: list[Record] = []
    for k, match in enumerate(shared.matches):
        cells = dict(zip(('both', 'labels', 'reference', 'neither'), found.counts[k], strict=True))
        record: Record = dict(finding=match.name) | {key: int(n) for key, n in cells.items()}
        for i, measure in enumerate(MEASURES):
            ends = found.by_patient[:, k, i]
            if measure != 'kappa':
                record |= with_interval(measure, found.values[k, i], found.wilson[:, k, i])
                low_high = zip(('low', 'high'), ends, strict=True)
                record |= {f'{measure}_by_patient_{end}': float(v) for end, v in low_high}
            else:
                record |= with_interval(measure, found.values[k, i], ends)
        records.append(record)
    columns = {
        'finding': 'finding',
        'both': 'both',
        'own': 'labels',
        'theirs': 'reference',
        'Se (Wilson)': 'sensitivity',
        'by patient': 'sensitivity_by_patient',
        'PPV (Wilson)': 'PPV',
        'by patient ': 'PPV_by_patient',
        'kappa': 'kappa',
    }
    note = (
        'Images positive in both sources, in one alone. Sensitivity (Se) and PPV of the data '
        "set's labels with theirs as the truth, with Wilson's intervals, which take images as "
        "independent (by simulation they cover 0.5 to 0.8 where a patient's images are labeled "
        "alike), and by bootstrap over patients, as is that of Cohen's kappa, which takes neither "
        'source as the truth.'
    )
    return Table('label_agreement', title, columns, records, [note], wide=True)


def _mapping_notes(
    test: Predictions, reference: ReferenceLabels, shared: Shared, areas: Sequence[Record]
) -> Iterator[str]:
    """Say how findings are joined, and name those that are not compared."""
    classes = test.classes.tolist()
    for match, record in zip(shared.matches, areas, strict=True):
        if match.joined is None:
            continue
        others = ', '.join(
            f'by {pool} AUC {number(record[f"auc by {pool}"])} and '
            f'{number(record[f"auc_reference by {pool}"])}'
            for pool in shared.other_pools[match.name]
        )
        parts = [classes[k] for k in match.parts]
        own = {finding(part) for part in parts}
        lost = [part for part in match.joined.parts if finding(part) not in own]
        without = f' (without {", ".join(lost)}, which the model does not have)' if lost else ''
        yield (
            f"{match.name}: the data set's label is any of {', '.join(parts)}{without}, the score "
            f'their {match.joined.pool} ({others}); {match.joined.reason}.'
        )
    taken = {match.name for match in shared.matches}
    left = [name for name in reference.classes if name not in taken]
    if left:
        yield f'Not compared, as the model has no such finding: {", ".join(left)}.'


def _few_notes(shared: Shared) -> Iterator[str]:
    """Name the findings without interval and test."""
    counts = [patient_counts(y, shared.patients).min(0) for y in (shared.labels, shared.reference)]
    least = np.minimum(*counts)
    few = np.flatnonzero(_few(shared))
    if len(few):
        each = ', '.join(f'{shared.matches[k].name} ({least[k]})' for k in few)
        yield (
            f'No interval by patient and no test with fewer than {LEAST_PATIENTS} positive or '
            f'negative patients in either source: {each}.'
        )
