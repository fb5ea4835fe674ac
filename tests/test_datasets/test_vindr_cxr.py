"""VinDr-CXR on made folders of both publishers, and on Kaggle's real table."""

import csv
import gzip
from collections import defaultdict

import numpy as np
import pytest
from public_sets import edit, needs, real, stems, write_image, write_table

from mlrfnet_mm.datasets import VinDrCXR, xray_dataset
from mlrfnet_mm.datasets.published.vindr_cxr.tables import (
    ALL_FINDINGS,
    FINDINGS,
    combine,
    read_boxes,
    read_kaggle,
)
from mlrfnet_mm.evaluation import roc_auc

HEADER = 'image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max'
# a: mass by two of three (one draws two), effusion by one; b: nothing; c: effusion by all
ROWS = [
    'a,Nodule/Mass,8,R8,10,20,30,40',
    'b,No finding,14,R1,,,,',
    'a,Nodule/Mass,8,R9,11.5,20,30,40',
    'a,Nodule/Mass,8,R9,1,2,3,4',
    'a,Pleural effusion,10,R9,5,5,9,9',
    'a,No finding,14,R10,,,,',
    'b,No finding,14,R2,,,,',
    'b,No finding,14,R3,,,,',
    'c,Pleural effusion,10,R1,0,0,9,9',
    'c,Pleural effusion,10,R2,0,0,9,9',
    'c,Pleural effusion,10,R3,0,0,8,8',
]
MASS, EFFUSION = FINDINGS.index('Nodule/Mass'), FINDINGS.index('Pleural effusion')


@pytest.fixture
def kaggle(tmp_path):
    write_table(tmp_path / 'train.csv', [HEADER, *ROWS])
    for i, name in enumerate('abc'):
        write_image(tmp_path / 'train' / f'{name}.dicom', i, bits=12)
    return tmp_path


def image_rows(readers):
    """A header with PhysioNet's own spelling, and rows of three images: a, b and c as above."""
    names = [n.replace('Other diseases', 'Other disease') for n in (*ALL_FINDINGS, 'No finding')]
    seen = {'a': [['Nodule/Mass'], ['Nodule/Mass', 'COPD'], []], 'b': [[], [], []]}
    rows = [','.join(['image_id', *(['rad_id'] if readers else []), *names])]
    for image, by_reader in seen.items():
        for i, own in enumerate(by_reader if readers else by_reader[:1]):
            marks = ['1' if name in (own or ['No finding']) else '0' for name in names]
            rows.append(','.join([image, *([f'R{i}'] if readers else []), *marks]))
    return rows


@pytest.fixture
def physionet(tmp_path):
    write_table(tmp_path / 'annotations/image_labels_train.csv', image_rows(True))
    write_table(tmp_path / 'annotations/image_labels_test.csv', image_rows(False))
    boxes = ['image_id,rad_id,class_name,x_min,y_min,x_max,y_max', 'b,R0,No finding,,,,']
    boxes += ['a,R0,Nodule/Mass,1,1,2,2', 'a,R1,Nodule/Mass,1,1,3,3']
    write_table(tmp_path / 'annotations/annotations_train.csv', boxes)
    boxes = ['image_id,class_name,x_min,y_min,x_max,y_max', 'a,Nodule/Mass,1,1,2,2']
    write_table(tmp_path / 'annotations/annotations_test.csv', boxes)
    for folder in ('train', 'test'):
        for name in 'ab':
            write_image(tmp_path / folder / f'{name}.dicom', bits=12)
    return tmp_path


@pytest.mark.parametrize(
    ('reading', 'mass', 'effusion'),
    [('majority', 1, 0), ('any', 1, 1), ('all', 0, 0), ('share', 2 / 3, 1 / 3)],
)
def test_three_readers_become_one_label(kaggle, reading, mass, effusion):
    dataset = VinDrCXR(str(kaggle), reading=reading)
    assert stems(dataset) == ['a', 'b', 'c']
    scores = np.stack([dataset.get_data_info(i)['gt_score'] for i in range(3)])
    assert scores.dtype == np.float32
    expected = np.zeros((3, 14), np.float32)
    expected[0, [MASS, EFFUSION]] = mass, effusion
    expected[2, EFFUSION] = 1
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert dataset.metainfo['protocol'] == f'kaggle-{reading}'
    assert dataset.get_cat_ids(1) == []


def test_votes_against_the_words_of_the_rules():
    votes = np.arange(4)
    assert combine(votes, 3, 'all').tolist() == [0, 0, 0, 1]
    assert combine(votes, 3, 'any').tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(combine(votes, 3, 'share'), votes / 3, rtol=1e-6)
    assert combine(np.array([1]), 1, 'majority').tolist() == [1]  # a consensus
    assert combine(np.array([1, 2]), 2, 'majority').tolist() == [0, 1]  # half is not more than half
    assert combine(np.array([200]), 255, 'majority').tolist() == [1]  # no overflow of a byte


def test_soft_labels_are_not_for_evaluation(kaggle):
    with pytest.raises(ValueError, match=r"'share' gives soft labels.*set reading='majority'"):
        VinDrCXR(str(kaggle), reading='share', test_mode=True)
    soft = VinDrCXR(str(kaggle), reading='share')
    labels = np.stack([soft.get_data_info(i)['gt_score'] for i in range(3)])
    with pytest.raises(ValueError, match=r'0, 1 or NaN .* found \[0\.33.* soft labels'):
        roc_auc(labels, labels)


def test_the_pixels_are_those_of_the_dicom(kaggle):
    pytest.importorskip('pydicom')
    steps = [
        dict(type='mlrfnet_mm.LoadXray'),
        dict(type='mlrfnet_mm.XrayGeometry', scale=36, crop_size=32),
        dict(type='mmpretrain.PackInputs', meta_keys=('patient_id',)),
    ]
    item = VinDrCXR(str(kaggle), pipeline=steps)[0]
    assert item['inputs'].shape == (1, 32, 32) and item['data_samples'].patient_id == 'a'


def test_what_it_says(kaggle, monkeypatch):
    lines = []
    monkeypatch.setattr(xray_dataset, 'print_log', lambda line, logger: lines.append(line))
    VinDrCXR(str(kaggle))
    assert lines[0].startswith('VinDr-CXR kaggle-majority/all: 3 images, 3 patients; positives: ')
    assert 'Nodule/Mass 1' in lines[0] and 'Pleural effusion 1' in lines[0]
    assert 'patients are not known' in lines[0]


def test_boxes_are_of_findings_that_the_label_has(kaggle):
    by_majority = VinDrCXR(str(kaggle)).read_boxes()
    found = [(b.image, b.finding, b.x, b.y, b.width, b.height, b.frame) for b in by_majority]
    assert found == [
        ('a', 'Nodule/Mass', 10, 20, 20, 20, None),
        ('a', 'Nodule/Mass', 11.5, 20, 18.5, 20, None),
        ('a', 'Nodule/Mass', 1, 2, 2, 2, None),
        *[('c', 'Pleural effusion', 0, 0, 9, 9, None)] * 2,
        ('c', 'Pleural effusion', 0, 0, 8, 8, None),
    ]
    assert len(VinDrCXR(str(kaggle), reading='any').read_boxes()) == 7
    assert len(VinDrCXR(str(kaggle), reading='all').read_boxes()) == 3


def test_physionet(physionet):
    pairs = [VinDrCXR(str(physionet), 'physionet', split) for split in ('train', 'test')]
    train, test = pairs
    assert train.metainfo['classes'] == ALL_FINDINGS and len(ALL_FINDINGS) == 27
    named = [dict(zip(ALL_FINDINGS, d.get_data_info(0)['gt_score'], strict=True)) for d in pairs]
    assert [(n['Nodule/Mass'], n['COPD']) for n in named] == [(1, 0), (1, 0)]
    val = VinDrCXR(str(physionet), 'physionet', 'val')
    assert (stems(train), stems(val), stems(test)) == (['a'], ['b'], ['a', 'b'])
    soft = VinDrCXR(str(physionet), 'physionet', 'train', 'share').get_data_info(0)['gt_score']
    assert soft[ALL_FINDINGS.index('COPD')] == pytest.approx(1 / 3)
    assert [len(d.read_boxes()) for d in pairs] == [2, 1]
    with pytest.raises(ValueError, match="reading='any': the official test has one consensus"):
        VinDrCXR(str(physionet), 'physionet', 'test', 'any')
    with pytest.raises(ValueError, match="one of train, val, test, got 'all'"):
        VinDrCXR(str(physionet), 'physionet')


def test_the_splits_cover_and_are_apart(tmp_path):
    names = [f'{i:03}' for i in range(120)]
    rows = [f'{name},No finding,14,R{r},,,,' for name in names for r in (1, 2, 3)]
    write_table(tmp_path / 'train.csv', [HEADER, *rows], compress=True)
    (tmp_path / 'train').mkdir()
    for name in names:
        (tmp_path / 'train' / f'{name}.png').touch()  # converted, and not read here
    parts = [stems(VinDrCXR(str(tmp_path), split=s)) for s in ('train', 'val', 'test')]
    assert sorted(name for part in parts for name in part) == names
    assert [len(part) for part in parts] == pytest.approx([84, 12, 24], abs=12)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('R8,10,20', 'R8,31,20', r'line 2: a has the corners .*31.* without area'),
        ('R8,10,20', 'R8,nan,20', r'line 2: a has the corners'),
        ('R8,10,20', 'R8,-1,20', r'line 2: a has the corners'),
        ('R8,10,20', 'R8,x,20', r'line 2: a has the corners .* not four numbers'),
        ('Nodule/Mass,8', 'Nodul,8', r"line 2: a has class_name 'Nodul'"),
        ('Nodule/Mass,8', 'Nodule/Mass,9', r"line 2: a has class_id '9' of 'Nodule/Mass'"),
        ('b,No finding,14,R1,,', 'b,No finding,14,R1,1,', r"line 3: b has a box of 'No finding'"),
        ('b,No finding,14,R1', 'b,No finding,14,', 'neither may be blank'),
        ('b,No finding,14,R1', 'b,No finding,14,R2', r'line 3: b has 2 readers \(R2, R3\)'),
        ('a,No finding,14,R10', 'a,No finding,14,R9', r'2 readers \(R8, R9\)'),
        ('c,Pleural effusion,10,R1,0,0,9,9', 'c,No finding,14,R2,,,,', 'next to findings'),
        ('rad_id', 'reader', r"line 1: the header needs one column 'rad_id'"),
    ],
)
def test_faults_of_the_table(kaggle, old, new, message):
    edit(kaggle / 'train.csv', old, new)
    if 'next to' in message:
        edit(kaggle / 'train.csv', 'c,Pleural effusion,10,R3', 'c,Pleural effusion,10,R3')
        write = kaggle / 'train.csv'
        write.write_text(write.read_text() + 'c,No finding,14,R1,,,,\n')
    with pytest.raises(ValueError, match=message):
        VinDrCXR(str(kaggle))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('\na,R1,', '\na,R0,', 'line 3: a second row of a by R0'),
        ('\nb,R2,', '\nc,R2,', 'b has 2 rows, each image has 3'),
        ('\na,R0,0', '\na,R0,2', "line 2: a has '2' in column 'Aortic enlargement'"),
        ('Tuberculosis', 'TB', "needs one column 'Tuberculosis'"),
    ],
)
def test_faults_of_physionet_s_table(physionet, old, new, message):
    edit(physionet / 'annotations/image_labels_train.csv', old, new)
    with pytest.raises(ValueError, match=message):
        VinDrCXR(str(physionet), 'physionet', 'train')


def test_what_is_missing_is_named(kaggle, tmp_path, monkeypatch):
    (kaggle / 'train/b.dicom').unlink()
    with pytest.raises(FileNotFoundError, match=r'line 3: no image b in .*train; get the missing'):
        VinDrCXR(str(kaggle))
    monkeypatch.setenv('VINDR_CXR_ROOT', str(tmp_path / 'none'))
    with pytest.raises(FileNotFoundError, match=r'(?s)no .*train\.csv .*VINDR_CXR_ROOT'):
        VinDrCXR()
    write_image(kaggle / 'train/b.dicom')
    write_image(kaggle / 'train/b.png')
    with pytest.raises(ValueError, match=r'b\.dicom and .*b\.png are one image|b\.png and'):
        VinDrCXR(str(kaggle))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(protocol='Kaggle'), "one of kaggle, physionet, got 'Kaggle'"),
        (dict(split='valid'), "one of all, train, val, test, got 'valid'"),
        (dict(reading='mean'), "one of majority, any, all, share, got 'mean'"),
    ],
)
def test_unknown_names_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        VinDrCXR('x', lazy_init=True, **options)


GOLDEN = {
    'Cardiomegaly': 1817, 'Pleural effusion': 634, 'Pneumothorax': 58, 'Nodule/Mass': 405,
    'Consolidation': 121, 'Atelectasis': 62,
}  # fmt: skip


@needs('VinDr-CXR')
def test_the_real_table():
    path = real('VinDr-CXR', 'train.csv')
    table = read_kaggle(path)
    assert len(table.votes) == 15_000
    votes = np.frombuffer(b''.join(table.votes.values()), np.uint8).reshape(-1, 14)
    counts = dict(zip(FINDINGS, combine(votes, 3, 'majority').sum(0), strict=True))
    assert {name: counts[name] for name in GOLDEN} == GOLDEN
    assert (votes == 0).all(1).sum() == 10_606  # No finding, by all three
    boxes = read_boxes(path)
    assert len({reader for reader, _ in boxes}) <= 17
    with gzip.open(path, 'rt') as file:  # counted again, another way
        rows = list(csv.DictReader(file))
    assert len(rows) == 67_914 and len({row['rad_id'] for row in rows}) == 17
    assert len(boxes) == sum(row['class_name'] != 'No finding' for row in rows)
    seen = defaultdict(set)
    for row in rows:
        seen[row['image_id'], row['class_name']].add(row['rad_id'])
    for (image, name), readers in seen.items():
        if name in FINDINGS:
            assert table.votes[image][FINDINGS.index(name)] == len(readers)
