"""What a page and a card say that the numbers do not say."""

from dataclasses import replace

import numpy as np
import pytest
from builders import make_predictions
from mmengine.config import Config

from mlrfnet_mm.evaluation import Calibration
from mlrfnet_mm.reports.output.tables import Table
from mlrfnet_mm.reports.run_page.finished_run import Run
from mlrfnet_mm.reports.run_page.found.tables import Found
from mlrfnet_mm.reports.run_page.found.topics import TOPICS
from mlrfnet_mm.reports.run_page.limits import limits, weakest
from mlrfnet_mm.reports.run_page.results import Results
from mlrfnet_mm.reports.scores.statistics import Statistics

NAN = float('nan')
# finding: AUC and its interval
AREAS = {
    'Edema': (0.9, 0.8, 0.95), 'Mass': (0.6, 0.5, 0.7), 'Nodule': (0.3, 0.2, 0.45),
    'Hernia': (NAN, NAN, NAN), 'Fibrosis': (0.7, NAN, NAN), 'Pneumonia': (0.55, 0.4, 0.6),
}  # fmt: skip


def make_results(tmp_path, stamp='ChestX-ray14 official/test', config=None, ran=()):
    test = replace(make_predictions(), stamp=stamp)
    run = Run(tmp_path, Config(config or {}), 'c', None, {'predictions.npz': test})
    rows = [dict(finding=f, auc=a, auc_low=b, auc_high=c) for f, (a, b, c) in AREAS.items()]
    mean = dict(finding='mean', auc=0.6, auc_low=0.4, auc_high=0.7)
    statistics = Statistics({}, [Table('auc', '', {}, [*rows, mean])])
    table = Table('t', '', {})
    found = {t.key: Found(t, [table] if t.key in ran else [], [], [], []) for t in TOPICS}
    calibration = Calibration(
        ('A', 'B', 'C'), 'platt', np.array([0, 1, NAN]), np.array([0, 0, NAN]), stamp
    )
    return Results(run, statistics, calibration, None, found)


def test_findings_are_named_by_what_their_intervals_hold(tmp_path):
    found = limits(make_results(tmp_path))
    assert 'No AUC, as the test set has one label value only: Hernia.' in found
    few = [text for text in found if text.endswith('and so no interval: Fibrosis (0.700).')]
    assert len(few) == 1 and few[0].startswith('Fewer than 10 positive or negative patients')
    chance = 'Not told from chance (the interval of the AUC has 0.5 in it)'
    assert f'{chance}: Mass (0.600), Pneumonia (0.550).' in found
    assert 'Worse than chance: Nodule (0.300).' in found
    assert 'No usable probability or threshold after calibration: A, C.' in found
    assert not any('Edema' in text for text in found)


def test_the_weakest_are_those_of_lowest_area(tmp_path):
    names = [row['finding'] for row in weakest(make_results(tmp_path))]
    assert names == ['Nodule', 'Pneumonia', 'Mass']


@pytest.mark.parametrize(
    ('stamp', 'text'),
    [
        ('generated phantom official/test', 'no number here says anything about patients'),
        ('part of ChestX-ray14 official/test', 'The test set is a part of its split: part of C'),
        ('shuffled labels of ChestX-ray14 official/test', 'a control that must fail'),
        ('RSNA (model of x y/z), same images k/all', 'has seen images of the test set'),
    ],
)
def test_the_stamp_says_what_the_data_are(tmp_path, stamp, text):
    assert sum(text in limit for limit in limits(make_results(tmp_path, stamp))) == 1
    assert not any(text in limit for limit in limits(make_results(tmp_path)))


@pytest.mark.parametrize('wrap', [False, True])
def test_a_training_on_a_part_is_named(tmp_path, wrap):
    data = dict(type='mlrfnet_mm.ChestXray14', indices=720)
    data = dict(type='RepeatDataset', times=2, dataset=data) if wrap else data
    text = 'The training used a part of its images (`indices` in the config).'
    assert text in limits(make_results(tmp_path, config=dict(train_dataloader=dict(dataset=data))))
    assert text not in limits(make_results(tmp_path))


def test_what_was_not_run_is_named_but_for_what_is_no_limit(tmp_path):
    last = limits(make_results(tmp_path, ran=('subgroups', 'drift')))[-1]
    assert last == (
        'Not run: a second reference, compared with another model, clinical use, robustness, '
        'failures, another site, localisation.'
    )
    everything = [topic.key for topic in TOPICS if topic.key != 'complexity']
    assert not any('Not run' in text for text in limits(make_results(tmp_path, ran=everything)))
