"""What the tables say of a config's splits: CheXpert's people, several data sets in a loader."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mlrfnet_mm.datasets.phantom import write_chexpert_phantom
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.reports.audit.rows import _sex, _years, read_splits
from mlrfnet_mm.reports.audit.splits import count_splits, describe_people, find_common


@pytest.fixture(scope='module')
def chexpert(tmp_path_factory):
    root = tmp_path_factory.mktemp('chexpert') / 'data'
    write_chexpert_phantom(root, patients=54, size=48, seed=0, workers=1)
    return root


def config(root):
    cfg = read_config('mlrfnet_phantom_chexpert')
    for loader in ('train', 'val', 'test'):
        cfg[f'{loader}_dataloader'].dataset.data_root = str(root)
    return cfg


def test_chexpert_s_people_and_studies(chexpert):
    splits, problems = read_splits(config(chexpert))
    assert not problems and [split.part for split in splits] == ['train', 'val', 'test']
    with open(next(chexpert.rglob('valid.csv')), newline='') as file:
        rows = list(csv.DictReader(file))
    test = splits[2]
    tails = ['/'.join(Path(row['Path']).parts[-3:]) for row in rows]
    assert test.images == tails and all(Path(path).is_file() for path in test.paths)
    assert test.sexes == [row['Sex'][0] for row in rows]
    np.testing.assert_array_equal(test.ages, [float(row['Age']) for row in rows])
    assert test.views == [row['AP/PA'] or row['Frontal/Lateral'] for row in rows]
    record = count_splits(splits).records[2]
    assert record['studies'] == len({tail.rsplit('/', 1)[0] for tail in tails})
    assert record['patients'] == len({tail.split('/')[0] for tail in tails})
    sex, age, _ = describe_people(splits)
    women = Counter(row['Sex'] for row in rows)['Female'] / len(rows)
    assert sex.records[2]['F'] == f'{women:.1%}'
    assert age.records[2]['median'] == np.median([float(row['Age']) for row in rows])
    common, shared = find_common(splits)
    assert not shared and all(not record['studies'] for record in common.records)


def test_data_sets_of_one_loader_are_splits_of_their_own(chexpert):
    cfg = config(chexpert)
    one = cfg.test_dataloader.dataset
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[one, dict(one, indices=5)])
    splits, _ = read_splits(cfg, prefix='mine ')
    assert [split.part for split in splits] == [
        'mine train',
        'mine val',
        'mine test 1',
        'mine test 2',
    ]
    _, problems = find_common(splits)
    assert {problem.splits for problem in problems} == {'mine test 1, mine test 2'}
    kinds = Counter(problem.kind for problem in problems)
    assert kinds['image in two splits'] == 5 and kinds['study in two splits'] > 0


def test_a_config_without_data():
    with pytest.raises(ValueError, match='has no data'):
        read_splits(read_config('_base_/default_runtime'))


@pytest.mark.parametrize(
    ('age', 'years'),
    [('58', 58), ('058Y', 58), (7, 7), ('', np.nan), ('x', np.nan), (None, np.nan)],
)
def test_ages(age, years):
    np.testing.assert_equal(_years(age), years)


@pytest.mark.parametrize(('text', 'sex'), [('Female', 'F'), ('m', 'M'), ('', ''), (None, '')])
def test_sexes(text, sex):
    assert _sex(text) == sex
