import csv
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.reports import complexity


def test_golden_values_of_the_paper_s_network():
    found = complexity.measure('configs/mlrfnet_xray14.py', runs=1)
    parameters, adds = found.parts['total']
    assert parameters == 23_700_305
    assert adds / 1e9 == pytest.approx(4.2889, abs=5e-5)  # the paper's 4.29 G
    assert list(found.parts) == ['backbone', 'neck', 'head', 'total']
    assert found.parts['neck'][0] == 9
    assert found.parts['head'][0] == 50_176
    for column in (0, 1):
        assert (
            sum(part[column] for part in found.parts.values()) == 2 * found.parts['total'][column]
        )
    # normalizations are multiply-adds only; convolutions count two FLOPs each
    assert 0.98 * 2 * adds < found.flops < 2 * adds


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.head = nn.Linear(8, 5, bias=False)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def test_a_convolution_by_hand():
    parts = complexity.count_parts(Small().eval(), torch.zeros(1, 3, 16, 16))
    assert parts['body'] == (8 * 3 * 9, 8 * 3 * 9 * 256)
    assert parts['head'] == (40, 40)


@pytest.mark.parametrize(
    ('options', 'message'), [(dict(size=0), 'got 0 and 30'), (dict(device='nose'), "'nose'")]
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        complexity.measure('configs/mlrfnet_xray14.py', **options)


def test_the_warm_up_is_not_counted_and_the_quartiles_are_printed():
    times = list(complexity._times(Small(), torch.zeros(1, 3, 8, 8), 4))
    assert len(times) == 4
    found = complexity.Complexity(
        dict(head=(1, 2), total=(4, 8)), 16, np.array([0.1, 0.2, 0.3, 0.4, 0.5]), 'a device', 8, 3
    )
    table = found.table('c.py')
    assert 'median 300.0 ms, quartiles 200.0–400.0 ms of 5 passes' in table.notes[1]
    assert 'a device' in table.notes[1]
    assert table.rows()[0] == ['head', '1', '25.00%', '0.0000', '25.00%']


def test_the_command(run, tmp_path):
    command = [sys.executable, 'tools/complexity.py', 'configs/mlrfnet_phantom.py', '--shape', 64]
    printed = run(*command, '--runs', 1, '--out', tmp_path).stdout
    assert '23,700,305' in printed
    with (tmp_path / 'complexity.csv').open(newline='') as file:
        rows = {row['part']: row for row in csv.DictReader(file)}
    assert rows['total']['parameters'] == '23700305'
    assert rows['total']['size'] == '64'


def test_quartiles_stand_in_their_columns():
    times = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    found = complexity.Complexity(dict(head=(1, 2), total=(4, 8)), 16, times, 'd', 8, 3)
    record = found.table('c.py').records[-1]
    assert [record[f'{key}_ms'] for key in ('q1', 'median', 'q3')] == pytest.approx([200, 300, 400])


class Slow(nn.Module):
    def forward(self, x):
        time.sleep(0.01)


def test_the_clock_runs_while_the_model_does():
    assert min(complexity._times(Slow(), torch.zeros(1), 2)) >= 0.01


def test_a_config_in_mmpretrain_s_own_style(tmp_path):
    (tmp_path / 'plain.py').write_text(
        "default_scope = 'mmpretrain'\n"
        "model = dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=18), "
        "neck=dict(type='GlobalAveragePooling'), "
        "head=dict(type='LinearClsHead', num_classes=1000, in_channels=512))\n"
    )
    whole = complexity.measure(tmp_path / 'plain.py', size=32, runs=1).parts['total']
    assert whole[0] == 11_689_512  # torchvision's resnet18


def test_a_config_in_this_project_s_own_scope(tmp_path):
    cfg = read_config('mlrfnet_phantom')
    cfg.default_scope = 'mlrfnet_mm'
    for part in (cfg.model.neck, cfg.model.head, cfg.model.data_preprocessor):
        part.type = part.type.removeprefix('mlrfnet_mm.')
    cfg.dump(tmp_path / 'own.py')
    assert complexity.measure(tmp_path / 'own.py', 64, runs=1).parts['total'][0] == 23_700_305
