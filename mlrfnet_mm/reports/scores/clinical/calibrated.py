"""Tables of what reads scores as probabilities: calibration slope, net benefit."""

from collections.abc import Sequence

import numpy as np

from mlrfnet_mm.evaluation import Calibration, Predictions, mean_defined
from mlrfnet_mm.evaluation.calibration.slope import calibration_slope
from mlrfnet_mm.evaluation.thresholds.net_benefit import DecisionCurves, decision_curves
from mlrfnet_mm.reports.output.tables import Record, Table
from mlrfnet_mm.reports.scores.clinical.probabilities import UNCALIBRATED, probabilities
from mlrfnet_mm.reports.scores.statistics import few_notes, unit_note, with_interval

SHOWN = (0.05, 0.2)  # threshold probabilities in the table of net benefit


def calibration_slope_table(test: Predictions, calibration: Calibration | None = None) -> Table:
    """Calibration slope and intercept, and calibration in the large."""
    p, origin = probabilities(test, calibration)
    found = calibration_slope(p, test.labels, test.patients)
    shares = np.where(np.isnan(test.labels), np.nan, p)
    records: list[Record] = []
    for k, name in enumerate(test.classes.tolist()):
        y = test.labels[:, k]
        n, positives = int((~np.isnan(y)).sum()), int(np.nansum(y))
        record: Record = dict(finding=name, n=n, positives=positives)
        record['observed'] = positives / n if n else float('nan')
        record['expected'] = mean_defined(shares[:, k])
        for i, key in enumerate(('slope', 'intercept', 'in_the_large')):
            record |= with_interval(key, found.values[i, k], found.intervals[:, i, k])
        records.append(record)
    notes = [
        'Logistic regression of the labels on the logits of the probabilities (Cox): perfect are '
        'slope 1 and intercept 0; a slope below 1 means too extreme. In the large: the intercept '
        'with slope 1, above 0 where probabilities are too low. Nominal 95 % intervals (Wald) by '
        'patient (Liang & Zeger).',
        *few_notes(test),
    ]
    lost = test.classes[np.isnan(found.values[0]) & ~np.isnan(found.values[2])].tolist()
    if lost:
        notes.append(
            'No slope, as the probabilities are all alike or separate the labels: '
            f'{", ".join(lost)}.'
        )
    columns = {
        'finding': 'finding',
        'positives': 'positives',
        'observed': 'observed',
        'expected': 'expected',
        'slope': 'slope',
        'intercept': 'intercept',
        'in the large': 'in_the_large',
    }
    title = f'{test.stamp}: calibration slope and intercept{unit_note(test)}; {origin}'
    return Table('calibration_slope', title, columns, records, notes, wide=True)


def net_benefit_table(
    test: Predictions,
    calibration: Calibration | None = None,
    replicates: int = 1000,
    seed: int = 0,
    thresholds: Sequence[float] = SHOWN,
) -> Table:
    """Net benefit at a few threshold probabilities, and what it gains over all or none."""
    p, origin = probabilities(test, calibration)
    curves = decision_curves(p, test.labels, test.patients, tuple(thresholds), replicates, seed)
    records = []
    for k, name in enumerate(test.classes.tolist()):
        record: Record = dict(finding=name, positives=int(np.nansum(test.labels[:, k])))
        for i, t in enumerate(thresholds):
            record |= _benefit(curves, i, k, f'_at_{t:g}')
        records.append(record)
    notes = [
        'Net benefit: true positives per image less false positives per image, weighed with '
        't / (1 - t) for a threshold probability t (Vickers & Elkin 2006). Gain: over the better '
        'of calling all and calling none, on the same replicates; the model is worth using at t '
        'where its interval lies above 0. Nominal 95 % intervals by bootstrap over patients; by '
        'simulation that of a gain lies too low where t is close to how frequent the finding is.',
        *few_notes(test),
    ]
    if origin == UNCALIBRATED:
        notes.append(
            'The scores are not calibrated: a threshold probability means nothing on them. Give '
            'the calibration (--calibration).'
        )
    columns = {'finding': 'finding'}
    for t in thresholds:
        columns |= {f'model at {t:g}': f'net_benefit_at_{t:g}', f'gain at {t:g}': f'gain_at_{t:g}'}
    title = f'{test.stamp}: net benefit{unit_note(test)}; {origin}'
    return Table('net_benefit', title, columns, records, notes, wide=True)


def decision_curve_table(test: Predictions, curves: DecisionCurves, origin: str) -> Table:
    """All points of the decision curves, one per row: what the figure draws."""
    records = [
        dict(finding=name, threshold=float(t)) | _benefit(curves, i, k)
        for k, name in enumerate(test.classes.tolist())
        for i, t in enumerate(curves.thresholds)
    ]
    columns = {
        'finding': 'finding',
        't': 'threshold',
        'net benefit': 'net_benefit',
        'of calling all': 'net_benefit_of_all',
        'gain': 'gain',
    }
    title = f'{test.stamp}: decision curves; {origin}'
    return Table('decision_curves', title, columns, records)


def _benefit(curves: DecisionCurves, i: int, k: int, suffix: str = '') -> Record:
    """One point of one finding."""
    model = with_interval(f'net_benefit{suffix}', curves.model[i, k], curves.model_ends[:, i, k])
    everyone: Record = {f'net_benefit_of_all{suffix}': float(curves.everyone[i, k])}
    return (
        model
        | everyone
        | with_interval(f'gain{suffix}', curves.gain[i, k], curves.gain_ends[:, i, k])
    )
