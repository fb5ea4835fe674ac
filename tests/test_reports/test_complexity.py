import csv
import json
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from mlrfnet_mm import config_file
from mlrfnet_mm.commands import complexity as command
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
    times = list(complexity._rounds([(Small(), torch.zeros(1, 3, 8, 8))], 4))
    assert len(times) == 4
    found = complexity.Complexity(
        dict(head=(1, 2), total=(4, 8)), 16, np.array([0.1, 0.2, 0.3, 0.4, 0.5]), 'a device', 8, 3
    )
    table = found.table('c.py')
    assert 'median 300.0 ms, quartiles 200.0–400.0 ms of 5 passes' in table.notes[1]
    assert 'a device' in table.notes[1]
    assert table.rows()[0] == ['head', '1', '25.00%', '0.0000', '25.00%']


def test_the_command(run, tmp_path):
    command = [sys.executable, 'tools/complexity.py', 'configs/mlrfnet_phantom.py', '--size', 64]
    printed = run(*command, '--runs', 1, '--out-dir', tmp_path).stdout
    assert '23,700,305' in printed
    with (tmp_path / 'complexity.csv').open(newline='') as file:
        rows = {row['part']: row for row in csv.DictReader(file)}
    assert rows['total']['parameters'] == '23700305'
    assert rows['total']['size'] == '64'


class Note(nn.Module):
    def __init__(self, name, order):
        super().__init__()
        self.name, self.order = name, order

    def forward(self, x):
        self.order.append(self.name)
        time.sleep(0.02 if self.name == 'a' else 0)


def test_the_passes_go_round_all_networks():
    order = []
    networks = [(Note(name, order), torch.zeros(1)) for name in 'abc']
    rounds = np.array(list(complexity._rounds(networks, 3)))
    assert ''.join(order) == 'abc' * (complexity.WARM_UP + 3)
    assert rounds.shape == (3, 3)
    assert rounds[:, 0].min() >= 0.02 and rounds[:, 1:].min() < 0.02  # each under its own clock


def test_several_networks_are_measured_as_each_alone():
    configs = {name: read_config(name) for name in ('mlrfnet_phantom', 'ablations/table5/dcnn')}
    found = complexity.compare(configs, 64, runs=1)
    for name, each in found.items():
        alone = complexity.measure(config_file(name), 64, runs=1)
        assert (each.parts, each.flops, each.size) == (alone.parts, alone.flops, 64)
    assert found['ablations/table5/dcnn'].parts['total'][0] == 23_536_718
    rows = complexity.comparison(found).rows()
    assert [row[:3] for row in rows] == [
        ['mlrfnet_phantom', '64', '23,700,305'],
        ['ablations/table5/dcnn', '64', '23,536,718'],
    ]


def test_the_size_is_that_of_the_config_s_test():
    assert complexity.measure(config_file('mlrfnet_phantom'), runs=1).size == 64


def test_a_table_of_configs_in_one_command(tmp_path, capsys):
    base = config_file('mlrfnet_phantom')
    (tmp_path / 'no_eca.py').write_text(f"_base_ = '{base}'\n_base_.model.neck = None\n")
    rows = {
        'no_eca': {'label': 'without ECA'},
        'elsewhere': {'label': 'ResNet-50', 'config': 'mlrfnet_mm::ablations/table10/resnet50'},
    }
    table = dict(title='T', base=dict(label='MLRFNet', config=str(base)), rows=rows)
    (tmp_path / 'table.json').write_text(json.dumps(table))
    words = [tmp_path, '--size', 64, '--runs', 1, '--out-dir', tmp_path / 'out']
    command.main([str(word) for word in words])
    assert 'one pass of each network in turn' in ' '.join(capsys.readouterr().out.split())
    with (tmp_path / 'out/complexity.csv').open(newline='') as file:
        found = {row['network']: int(row['parameters']) for row in csv.DictReader(file)}
    assert found['MLRFNet'] == 23_700_305 == found['without ECA'] + 9
    assert list(found) == ['MLRFNet', 'without ECA', 'ResNet-50']
    assert '| without ECA | 64 | 23,700,296 |' in (tmp_path / 'out/complexity.md').read_text()


def test_quartiles_stand_in_their_columns():
    times = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    found = complexity.Complexity(dict(head=(1, 2), total=(4, 8)), 16, times, 'd', 8, 3)
    record = found.table('c.py').records[-1]
    assert [record[f'{key}_ms'] for key in ('q1', 'median', 'q3')] == pytest.approx([200, 300, 400])


class Slow(nn.Module):
    def forward(self, x):
        time.sleep(0.01)


def test_the_clock_runs_while_the_model_does():
    rounds = list(complexity._rounds([(Slow(), torch.zeros(1)), (Slow(), torch.zeros(1))], 2))
    assert min(map(min, rounds)) >= 0.01


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
