"""The radiologists' labels of ChestX-ray14 on a made folder, and the real table."""

import numpy as np
import pytest
from public_sets import METADATA, edit, needs, real, stems, write_image, write_table

from mlrfnet_mm.datasets import NIHRadiologists
from mlrfnet_mm.datasets.published.chestxray14.radiologists import (
    RADIOLOGISTS,
    TABLE,
    check_lists,
    read_table,
)
from mlrfnet_mm.datasets.published.chestxray14.tables import read_names

# The published columns, those that are read and two of the others
HEADER = 'Image Index,Finding Labels,Patient ID,OriginalImage[Width,Height],' + ','.join(
    [*RADIOLOGISTS, 'Set Id']
)
HEADER = HEADER.replace('OriginalImage[Width,Height],', '"OriginalImage[Width,Height]",')
ROWS = [
    '00000001_000.png,No Finding,1,5,NO,YES,NO,NO,test',
    '00000001_001.png,No Finding,1,5,NO,NO,NO,NO,test',
    '00000002_000.png,Mass,2,5,YES,NO,NO,YES,val',
]


@pytest.fixture
def root(tmp_path):
    write_table(tmp_path / TABLE, [HEADER, *ROWS])
    write_table(tmp_path / 'test_list.txt', ['00000001_000.png', '00000001_001.png'])
    write_table(tmp_path / 'train_val_list.txt', ['00000002_000.png'])
    for i, row in enumerate(ROWS):
        folder = 'images_001/images' if i % 2 else 'images'
        write_image(tmp_path / folder / row.split(',')[0], i)
    return tmp_path


def test_items(root):
    test, val = (NIHRadiologists(str(root), split=split) for split in ('test', 'val'))
    assert stems(test) == ['00000001_000', '00000001_001'] and stems(val) == ['00000002_000']
    assert test.get_data_info(0)['gt_score'].tolist() == [0, 1, 0, 0]
    assert val.get_data_info(0)['gt_score'].tolist() == [1, 0, 0, 1]
    assert test.get_data_info(1)['patient_id'] == '1' and ' 1 patients' in test._summary
    assert test.metainfo['dataset'] == 'ChestX-ray14 (radiologists)'
    assert test.metainfo['classes'] == RADIOLOGISTS


@pytest.mark.parametrize(
    ('name', 'old', 'new', 'message'),
    [
        (TABLE, 'NO,YES,NO', 'NO,Y,NO', r"00000001_000.png has 'Y' in column 'Pneumothorax'"),
        (TABLE, 'YES,val', 'YES,train', r"has 'train' in column Set Id, .* val, test"),
        (TABLE, '_001.png', '_000.png', 'line 3: 00000001_000.png has a row already, at line 2'),
        (TABLE, 'Mass,2,', 'Mass,p2,', "patient ID 'p2', which is not a number"),
        (TABLE, 'Mass,2,', 'Mass,1,', 'line 4: .* has patient 1, who is in test, too'),
        (TABLE, 'Set Id', 'Set', "needs one column 'Set Id'"),
        ('train_val_list.txt', '2_000', '1_001', r'line 3: .* in the set test, and in .*train_val'),
        ('test_list.txt', '1_001', '2_000', r'line 4: .* in the set val, and in .*test_list'),
    ],
)
def test_faults(root, name, old, new, message):
    edit(root / name, old, new)
    with pytest.raises(ValueError, match=message):
        NIHRadiologists(str(root))


def test_what_is_missing_is_named(root, monkeypatch):
    (root / 'images/00000001_000.png').unlink()
    with pytest.raises(FileNotFoundError, match='line 2: no image 00000001_000 in an image folder'):
        NIHRadiologists(str(root))
    monkeypatch.setenv('XRAY14_ROOT', str(root / 'images'))
    with pytest.raises(FileNotFoundError, match=r'(?s)google2019.*XRAY14_ROOT'):
        NIHRadiologists()
    with pytest.raises(ValueError, match="one of val, test, got 'train'"):
        NIHRadiologists(split='train', lazy_init=True)


@needs('ChestX-ray14')
def test_the_real_table():
    path = real('ChestX-ray14', TABLE)
    table = read_table(path)
    check_lists(path, table, METADATA / 'ChestX-ray14')
    official = read_names(METADATA / 'ChestX-ray14/test_list.txt')
    parts = {part: [n for n, p in table.sets.items() if p == part] for part in ('test', 'val')}
    assert {part: len(names) for part, names in parts.items()} == dict(test=1962, val=2414)
    assert all(name in official for name in parts['test'])
    assert not any(name in official for name in parts['val'])
    counts = {
        part: np.sum([list(table.labels[name]) for name in names], 0)[1]
        for part, names in parts.items()
    }
    assert counts == dict(test=195, val=43)  # Pneumothorax
