"""What a comparison of two models on these images can show at all."""

import numpy as np

from mlrfnet_mm.evaluation import (
    Predictions,
    mean_defined,
    patient_counts,
    roc_auc,
    too_few_patients,
)
from mlrfnet_mm.evaluation.comparison.power import ASSUMED, HIGHEST, smallest_differences
from mlrfnet_mm.evaluation.files.pairing import aligned
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.statistics import few_notes, mean_name, unit_note


def power_table(test: Predictions, against: Predictions | None = None, seed: int = 0) -> Table:
    """The smallest difference in AUC that these images can show.

    Args:
        test: predictions of a model.
        against: of a second one, for how much two models' scores go together.
        seed: of the simulation.
    """
    other = None if against is None else aligned(test, against).scores
    parts = test.scores, test.labels, test.patients
    found = smallest_differences(*parts, test.in_mean, other, seed)
    aucs = roc_auc(test.scores, test.labels)
    positives, _ = patient_counts(test.labels, test.patients)
    records: list[Record] = [
        dict(
            finding=name,
            positives=int(np.nansum(test.labels[:, k])),
            positive_patients=int(positives[k]),
            auc=float(aucs[k]),
            icc=float(found.within_patient[k]),
            correlation=float(found.correlation[k]),
            smallest=float(found.findings[k]),
            smallest_holm=float(found.corrected[k]),
        )
        for k, name in enumerate(test.classes.tolist())
    ]
    mean: Record = dict(finding=mean_name(test, 'mean'), auc=mean_defined(aucs[test.in_mean]))
    origin = 'as found with the second file' if against else f'{ASSUMED:g}, an assumption'
    notes = [
        'By how much a second model must be better to be shown so with 80 % power, two-sided at '
        '0.05; for findings also at 0.05 over their number, the first step of Holm. Simulated '
        f'({found.runs} test sets: known to about {np.ceil(50 / found.runs**0.5):.0f} %) with the '
        "labels and patients of this test set, the ROC curves of this file, and its scores' "
        'correlations within a patient (ICC) and between findings. Correlation of the two '
        f"models' scores: {origin}. The mean: all findings better by the same.",
        *few_notes(test),
    ]
    room = np.isnan(found.findings) & ~np.isnan(found.correlation)
    room &= ~too_few_patients(test.labels, test.patients)
    if room.any():
        names = ', '.join(test.classes[room].tolist())
        notes.append(f'The second AUC would have to be above {HIGHEST}: {names}.')
    columns = {
        'finding': 'finding',
        'positives': 'positives',
        'of patients': 'positive_patients',
        'AUC': 'auc',
        'ICC': 'icc',
        'correlation': 'correlation',
        'smallest difference': 'smallest',
        'after Holm': 'smallest_holm',
    }
    title = f'{test.stamp}: the smallest difference in AUC that can be shown{unit_note(test)}'
    return Table('power', title, columns, [*records, mean | dict(smallest=found.mean)], notes)
