"""Probabilities and decisions of an image's findings."""

import numpy as np
import pytest

from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.inference.decisions import Decisions, ranked

NAMES = ('Edema', 'Hernia', 'Mass')
SCORES = np.array([0.4, 0.9, 0.6])
LIMITS = np.array([0.5, np.nan, 0.5])
# to 0.83, not known, 0.17: on the other sides of 0.5
CALIBRATION = Calibration(NAMES, 'platt', np.ones(3), np.array([2.0, np.nan, -2.0]), 'x a/val')


@pytest.mark.parametrize(
    ('calibration', 'limits', 'on', 'expected'),
    [
        (CALIBRATION, LIMITS, 'calibrated', ['present', None, 'absent']),
        (CALIBRATION, CALIBRATION.apply(SCORES), 'calibrated', ['present', None, 'present']),
        (None, LIMITS, 'scores', ['absent', None, 'present']),
    ],
    ids=['probabilities', 'at the threshold', 'scores'],
)
def test_decisions_are_on_the_scale_of_the_thresholds(calibration, limits, on, expected):
    thresholds = Thresholds(NAMES, 'f1', limits, on, 'x a/val')
    findings = Decisions(NAMES, calibration, thresholds).read(SCORES)
    assert [row['decision'] for row in findings.values()] == expected


def test_scores_rank_behind_probabilities():
    findings = dict(
        Hernia=dict(score=0.9, probability=None),
        Edema=dict(score=0.1, probability=0.2),
        Mass=dict(score=0.2, probability=0.3),
    )
    assert ranked(findings) == ['Mass', 'Edema', 'Hernia']
