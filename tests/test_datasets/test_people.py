"""Sex, age and view of the items, as the published tables write them."""

import csv
import gzip

import cv2
import numpy as np
import pytest
from conftest import ROOT
from public_sets import write_image, write_table

from mlrfnet_mm.datasets import ChestXray14, CheXpert, NIHRadiologists, PadChest
from mlrfnet_mm.datasets.published.chestxray14.tables import LABEL_TABLE, read_labels
from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS
from mlrfnet_mm.datasets.published.chexpert.tables import read_table as read_chexpert
from mlrfnet_mm.datasets.published.padchest.tables import TABLE, read_person
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.xrays.people import sex, years

SHARED = ROOT.parent / 'shared' / 'data' / 'metadata'
needs_tables = pytest.mark.skipif(not SHARED.is_dir(), reason=f'no real tables in {SHARED}')


def about(dataset):
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(item['sex'], item['age'], item['view']) for item in items]


@pytest.fixture
def nih(tmp_path):
    """Three images: an age of the first table, one of that of 2017, and one of nobody known."""
    header = 'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,'
    rows = ['1.png,Mass,0,1,058Y,M,PA', '2.png,Mass,0,2,414,F,AP', '3.png,Mass,0,3,,,']
    write_table(tmp_path / LABEL_TABLE, [f'{header}View Position', *rows])
    write_table(tmp_path / 'test_list.txt', ['1.png', '2.png', '3.png'])
    write_table(tmp_path / 'train_val_list.txt', [''])
    (tmp_path / 'images').mkdir()
    for name in '123':
        cv2.imwrite(str(tmp_path / 'images' / f'{name}.png'), np.zeros((8, 8), np.uint8))
    return tmp_path


def test_chestxray14(nih):
    expected = [('M', 58, 'PA'), ('F', 414, 'AP'), ('', None, '')]
    assert about(ChestXray14(str(nih), split='test')) == expected


def test_a_table_without_the_columns(nih):
    write_table(nih / LABEL_TABLE, ['Image Index,Finding Labels,x,Patient ID'] + [
        f'{k}.png,Mass,0,{k}' for k in '123'
    ])  # fmt: skip
    assert 'sex' not in ChestXray14(str(nih), split='test').get_data_info(0)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('058Y,M,PA', '58 years,M,PA', "line 2: 1.png has the age '58 years'"),
        ('058Y,M,PA', '58,man,PA', "line 2: 1.png has the sex 'man', which is none of F, M, O"),
        ('058Y,M,PA', '58,M,LL', "line 2: 1.png has the view 'LL', which is none of PA, AP"),
        ('058Y,M,PA', '58', 'line 2: 5 fields .* at least 7 are needed'),
    ],
)
def test_faults_of_chestxray14(nih, old, new, message):
    path = nih / LABEL_TABLE
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        ChestXray14(str(nih), split='test')


def test_chexpert(tmp_path):
    path = 'valid/patient{}/study1/view1_{}.jpg'
    rows = [
        f'{path.format("00001", "frontal")},Female,68,Frontal,AP' + 14 * ',0.0',
        f'{path.format("00002", "lateral")},Unknown,0,Lateral,' + 14 * ',0.0',
    ]
    header = ','.join(['Path', 'Sex', 'Age', 'Frontal/Lateral', 'AP/PA', *FINDINGS])
    write_table(tmp_path / 'valid.csv', [header, *rows])
    for row in rows:
        write_image(tmp_path / row.split(',')[0], 0)
    data = CheXpert(str(tmp_path), split='valid', classes='all')
    assert about(data) == [('F', 68, 'Frontal'), ('', 0, 'Lateral')]
    frontal = CheXpert(str(tmp_path), split='valid', views='frontal')
    assert about(frontal) == [('F', 68, 'Frontal')]


def test_padchest(tmp_path):
    header = 'ImageID,ImageDir,StudyDate_DICOM,PatientID,PatientBirth,PatientSex_DICOM,Projection'
    rows = [
        "s1_a.png,0,20140915,p1,1930.0,F,PA,Physician,['pneumonia']",
        "s2_a.png,0,20140915,p2,,nan,L,Physician,['exclude']",  # left out
        "s3_a.png,0,20100101,p3,nan,O,L,Physician,['pneumonia']",
    ]
    write_table(tmp_path / TABLE, [f'{header},MethodLabel,Labels', *rows])
    for k in '123':
        write_image(tmp_path / '0' / f's{k}_a.png', 0, bits=16)
    assert about(PadChest(str(tmp_path))) == [('F', 84, 'Frontal'), ('O', None, 'Lateral')]
    with pytest.raises(ValueError, match="StudyDate_DICOM '2014', which is a date like 20140915"):
        read_person('F', '1930.0', '2014')


@pytest.mark.parametrize('entry', ['', 'NaN', ' Unknown', 'None'])
def test_what_is_not_known(entry):
    assert sex(entry) == '' and years(entry) is None


@needs_tables
def test_the_real_tables():
    """Counts by awk over the published tables."""
    people = read_labels(SHARED / 'ChestX-ray14' / f'{LABEL_TABLE}.gz').people
    assert len(people) == 112_120
    assert sum(person.sex == 'F' for person in people.values()) == 48_780
    assert sum(person.view == 'PA' for person in people.values()) == 67_310
    assert max(person.age for person in people.values()) == 95
    xrays = read_chexpert(SHARED / 'CheXpert' / 'train.csv.gz')
    assert (xrays.sexes.count('F'), xrays.sexes.count('')) == (90_777, 1)
    assert (min(xrays.ages), max(xrays.ages)) == (0, 90)


@needs_tables
def test_the_radiologists_table(tmp_path):
    folder = tmp_path / 'nih'
    (folder / 'images').mkdir(parents=True)
    name = 'google2019_nih-chest-xray-labels.csv.gz'
    (folder / name).symlink_to(SHARED / 'ChestX-ray14' / name)

    with gzip.open(folder / name, 'rt') as file:
        rows = [row for row in csv.DictReader(file) if row['Set Id'] == 'test']
    for row in rows:
        (folder / 'images' / row['Image Index']).touch()
    expected = [
        (row['Patient Gender'], float(row['Patient Age']), row['View Position']) for row in rows
    ]
    assert about(NIHRadiologists(str(folder), split='test')) == expected


@pytest.mark.parametrize(
    'config', ['mlrfnet_xray14', 'mlrfnet_chexpert', 'mlrfnet_phantom', 'zoo/chexnet', 'zoo/pcam']
)
def test_the_configs_hand_it_on(config):
    cfg = read_config(ROOT / f'configs/{config}.py')
    for part in ('val', 'test'):
        keys = cfg[f'{part}_dataloader'].dataset.pipeline[-1].meta_keys
        assert {'sex', 'age', 'view', 'patient_id'} <= set(keys)
