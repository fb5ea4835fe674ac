"""PadChest on a made folder with the published names, and on the real table."""

import ast
import csv
import gzip
from collections import Counter

import cv2
import numpy as np
import pytest
from public_sets import edit, needs, real, stems, write_image, write_table

from mlrfnet_mm.datasets import PadChest, xray_dataset
from mlrfnet_mm.datasets.published.padchest.dataset import FINDINGS
from mlrfnet_mm.datasets.published.padchest.labels import LABELS
from mlrfnet_mm.datasets.published.padchest.tables import (
    TABLE,
    names_in,
    read_table,
    reason_to_leave_out,
)
from mlrfnet_mm.datasets.tables import hash_split

# Some of the 36 columns, in their order; a report has line breaks and commas
HEADER = ',ImageID,ImageDir,StudyID,PatientID,Projection,Pediatric,Report,MethodLabel,Labels'
ROWS = [
    "0,s1_a.png,0,s1,p1,PA,No,x,Physician,\"['cardiomegaly', ' nodule']\"",
    "1,s1_b.png,0,s1,p1,L,No,x,Physician,\"['cardiomegaly', ' nodule']\"",
    '2,s2_a.png,3,s2,p1,AP,No,"a, b\nc",RNN_model,[\'normal\']',
    "3,s3_a.png,3,s3,p2,AP_horizontal,No,x,RNN_model,\"['unchanged', 'pneumonia', '']\"",
    '4,s4_a.png,3,s4,p3,PA,No,x,RNN_model,nan',
    "5,s5_a.png,3,s5,p4,PA,No,x,Physician,\"['exclude', 'pneumonia']\"",
    "6,s6_a.png,3,s6,p5,COSTAL,No,x,Physician,['unchanged']",
    "7,s7_a.png,3,s7,p6,EXCLUDE,No,x,Physician,['']",
    "8,s8_a.png,54,s8,p7,UNK,No,x,RNN_model,['rib fracture']",
]
USED = ['s1_a', 's1_b', 's2_a', 's3_a', 's8_a']


@pytest.fixture
def root(tmp_path):
    write_table(tmp_path / TABLE, [HEADER, *ROWS])
    for i, row in enumerate(ROWS):
        _, image, folder, *_ = row.split(',')
        write_image(tmp_path / folder / image, i, bits=16)
    return tmp_path


def test_items(root):
    dataset = PadChest(str(root))
    assert stems(dataset) == USED
    items = [dataset.get_data_info(i) for i in range(5)]
    assert [item['view'] for item in items] == ['Frontal', 'Lateral', 'Frontal', 'Frontal', 'Other']
    found = [[FINDINGS[k] for k in np.flatnonzero(item['gt_score'])] for item in items]
    assert found == [['cardiomegaly', 'nodule']] * 2 + [[], ['pneumonia'], ['rib fracture']]
    assert items[0]['patient_id'] == 'p1' and items[0]['study_id'] == 'p1/s1'
    assert items[0]['gt_score'].dtype == np.float32
    assert items[0]['img_path'] == str(root / '0' / 's1_a.png')
    assert dataset.metainfo['protocol'] == 'patient-hash'


def test_images_in_one_folder(root):
    for path in root.glob('*/*.png'):
        (root / 'images').mkdir(exist_ok=True)
        path.rename(root / 'images' / path.name)
    dataset = PadChest(str(root))
    assert stems(dataset) == USED
    assert dataset.get_data_info(0)['img_path'] == str(root / 'images' / 's1_a.png')


def test_what_is_left_out_is_said(root, monkeypatch):
    lines = []
    monkeypatch.setattr(xray_dataset, 'print_log', lambda line, logger: lines.append(line))
    PadChest(str(root))
    assert lines[0].startswith('PadChest patient-hash/all: 5 images, 3 patients; positives: ')
    assert lines[0].endswith(
        "; left out: 1 labeled 'exclude', 2 that say nothing but 'unchanged' or a blank, "
        "1 whose Labels is 'nan', not a list"
    )


@pytest.mark.parametrize(
    ('options', 'expected', 'protocol'),
    [
        (dict(views='frontal'), ['s1_a', 's2_a', 's3_a'], 'patient-hash-frontal'),
        (dict(views=['PA', 'L']), ['s1_a', 's1_b'], 'patient-hash-PA+L'),
        (dict(labeled_by='physician'), ['s1_a', 's1_b'], 'patient-hash-physician'),
        (
            dict(labeled_by='network', views='frontal'),
            ['s2_a', 's3_a'],
            'patient-hash-frontal-network',
        ),
    ],
)
def test_views_and_labelers(root, options, expected, protocol):
    dataset = PadChest(str(root), **options)
    assert stems(dataset) == expected
    assert dataset.metainfo['protocol'] == protocol


def test_chosen_classes(root):
    dataset = PadChest(str(root), classes=['normal', 'nodule'])
    assert [dataset.get_data_info(i)['gt_score'].tolist() for i in (0, 2)] == [[0, 1], [1, 0]]
    assert dataset.metainfo['classes'] == ('normal', 'nodule')


def test_splits_are_by_patient(root):
    parts = {s: PadChest(str(root), split=s, lazy_init=True) for s in ('train', 'val', 'test')}
    found = {}
    for split, dataset in parts.items():
        owners = zip(USED, ['p1', 'p1', 'p1', 'p2', 'p7'], strict=True)
        wanted = [image for image, p in owners if hash_split('PadChest', p) == split]
        if not wanted:
            with pytest.raises(ValueError, match=f'patient-hash/{split} is empty'):
                dataset.full_init()
            continue
        found[split] = stems(dataset)
        assert found[split] == wanted
    assert sorted(name for part in found.values() for name in part) == USED


def test_sixteen_bits_are_read(root):
    pixels = np.full((40, 40), 1 << 14, np.uint16)
    pixels[:20] = 1 << 15
    cv2.imwrite(str(root / '0' / 's1_a.png'), pixels)
    image = PadChest(str(root), pipeline=[dict(type='mlrfnet_mm.LoadXray')])[0]['img']
    assert image.dtype == np.uint8
    assert float(image[0, 0]) == pytest.approx(2 * float(image[-1, 0]), abs=1)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ("['normal']", "['norma']", r"line 5: s2_a.png has the label 'norma', which is not one"),
        ("['normal']", 'normal', r"s2_a.png has 'normal' in column 'Labels', which is a list"),
        ("['normal']", "['normal'", r"in column 'Labels', which is a list"),
        ('p2,AP_horizontal', 'p2,LL', r"s3_a.png has Projection 'LL', which is none of PA, AP"),
        ('p2,AP_horizontal', ',AP_horizontal', r"s3_a.png has .*PatientID ''; none may be blank"),
        ('x,Physician', 'x,RNN', r"s1_a.png has MethodLabel 'RNN'"),
        ('1,s1_b.png', '1,s1_a.png', r'line 3: s1_a.png is there already, at line 2'),
        ('MethodLabel', 'Method', r"line 1: the header needs one column 'MethodLabel'"),
    ],
)
def test_faults_of_the_table(root, old, new, message):
    edit(root / TABLE, old, new)
    with pytest.raises(ValueError, match=message):
        PadChest(str(root))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(split='valid'), "one of all, train, val, test, got 'valid'"),
        (dict(views='PA'), "one of all, frontal, or a list of PA, .* got 'PA'"),
        (dict(views=['LL']), 'a list of PA'),
        (dict(views=[]), 'a list of PA'),
        (dict(labeled_by='RNN_model'), "one of all, physician, network, got 'RNN_model'"),
        (dict(classes=['Edema']), "PadChest has no finding 'Edema'"),
        (dict(classes=['nodule', 'nodule']), 'different names'),
        (dict(classes='nodule'), 'different names'),
    ],
)
def test_unknown_names_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        PadChest('x', lazy_init=True, **options)


def test_what_is_missing_is_named(root, monkeypatch):
    (root / '54/s8_a.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'line 11: no image s8_a in the folders that'):
        PadChest(str(root))
    assert len(PadChest(str(root), views='frontal')) == 3  # it is not needed there
    monkeypatch.setenv('PADCHEST_ROOT', str(root / '3'))
    with pytest.raises(FileNotFoundError, match=r'(?s)160K_01\.02\.19\.csv.*PADCHEST_ROOT'):
        PadChest()


def test_entries_of_the_column():
    assert names_in("['']") == () and reason_to_leave_out("['']")
    assert names_in('[]') == ()
    assert not reason_to_leave_out("['unchanged', 'normal']")
    assert set(FINDINGS) <= set(LABELS) and len(set(LABELS)) == 193


@needs('PadChest')
def test_the_real_table():
    path = real('PadChest', TABLE)
    rows = read_table(path)
    assert len(rows.images) == 160_861 and len(set(rows.patients)) == 67_625
    projections = Counter(rows.projections)
    assert [projections[name] for name in ('PA', 'L', 'AP_horizontal', 'AP')] == [
        91_728, 49_579, 14_346, 4_559,
    ]  # fmt: skip
    assert Counter(rows.methods)['Physician'] == 39_053
    assert rows.labels.count('nan') == 103
    counts: Counter[str] = Counter()
    for text, number in Counter(rows.labels).items():
        if text != 'nan':
            names = names_in(text)
            # Python's own reading of the list
            assert set(names) == {n.strip() for n in ast.literal_eval(text)} - {''}
            counts.update(dict.fromkeys(names, number))
    golden = {'cardiomegaly': 15_022, 'pleural effusion': 9_853}
    golden |= {'pneumonia': 7_953, 'pneumothorax': 533}
    assert {name: counts[name] for name in golden} == golden
    assert set(counts) == set(LABELS)
    with gzip.open(path, 'rt', encoding='utf-8', newline='') as file:
        studies = {(row['StudyID'], row['ImageID'][: len(row['StudyID'])]) for row in
                   csv.DictReader(file)}  # fmt: skip
    assert len(studies) == 109_931 and all(one == other for one, other in studies)
