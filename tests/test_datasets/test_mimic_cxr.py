"""MIMIC-CXR-JPG on a made folder with the published file names and columns."""

import csv
import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest

from mlrfnet_mm.datasets import MIMICCXR
from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS, SCORED
from mlrfnet_mm.datasets.published.mimic_cxr.tables import read_split
from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.datasets.store.sources import SOURCES

# Columns as published: the labels in alphabetical order, not CheXpert's.
LABEL_COLUMNS = ['subject_id', 'study_id', *sorted(FINDINGS)]
SPLIT_COLUMNS = ['dicom_id', 'study_id', 'subject_id', 'split']
METADATA_COLUMNS = [
    'dicom_id', 'subject_id', 'study_id', 'PerformedProcedureStepDescription', 'ViewPosition',
    'Rows', 'Columns', 'StudyDate', 'StudyTime',
]  # fmt: skip
# dicom_id, study, patient, split, ViewPosition, labels of the study
IMAGES = [
    ('a-1', 50000001, 10000032, 'train', 'PA', {'Edema': '1.0', 'Pneumonia': '-1.0'}),
    ('a-2', 50000001, 10000032, 'train', 'LATERAL', None),
    ('b-1', 50000002, 10000032, 'train', 'AP', {'Edema': '-1.0', 'Atelectasis': '0.0'}),
    ('b-2', 50000002, 10000032, 'train', 'LL', None),
    ('b-3', 50000002, 10000032, 'train', '', None),
    ('c-1', 50000003, 19999999, 'validate', 'PA', {'No Finding': '1.0'}),
    ('d-1', 50000004, 15000000, 'test', 'AP', {'Fracture': '1.0'}),
]
PIPELINE = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=40, crop_size=32),
]


def table(root, name, columns, rows, compress):
    path = root / f'mimic-cxr-2.0.0-{name}.csv'
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, columns, restval='')
        writer.writeheader()
        writer.writerows(rows)
    if compress:
        Path(f'{path}.gz').write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def write(root, images=IMAGES, compress=False, without=()):
    """The three tables and the image files."""
    root.mkdir(parents=True, exist_ok=True)
    ids = [
        dict(dicom_id=name, study_id=study, subject_id=patient, split=split, ViewPosition=view)
        for name, study, patient, split, view, _ in images
    ]
    labels = [
        dict(subject_id=patient, study_id=study, **values)
        for _, study, patient, _, _, values in images
        if values is not None and study not in without
    ]

    def pick(columns):
        return [{k: v for k, v in row.items() if k in columns} for row in ids]

    table(root, 'chexpert', LABEL_COLUMNS, labels, compress)
    table(root, 'split', SPLIT_COLUMNS, pick(SPLIT_COLUMNS), compress)
    table(root, 'metadata', METADATA_COLUMNS, pick(METADATA_COLUMNS), compress)
    rng = np.random.default_rng(0)
    for name, study, patient, *_ in images:
        folder = root / 'files' / f'p{str(patient)[:2]}' / f'p{patient}' / f's{study}'
        folder.mkdir(parents=True, exist_ok=True)
        size = rng.integers(50, 70, 2)
        cv2.imwrite(str(folder / f'{name}.jpg'), rng.integers(0, 256, size, np.uint8))
    return root


@pytest.mark.parametrize('compress', [False, True], ids=['csv', 'csv.gz'])
def test_items(tmp_path, compress):
    dataset = MIMICCXR(str(write(tmp_path / 'x', compress=compress)), policy='U-Ignore')
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [item['view'] for item in items] == [
        'Frontal', 'Lateral', 'Frontal', 'Lateral', 'Other',
    ]  # fmt: skip
    item = items[2]
    assert item['img_path'] == f'{tmp_path}/x/files/p10/p10000032/s50000002/b-1.jpg'
    assert item['image_id'] == 'p10000032/s50000002/b-1.jpg'
    assert (item['study_id'], item['patient_id']) == ('p10000032/s50000002', 'p10000032')
    expected = np.zeros(14)
    expected[FINDINGS.index('Edema')] = np.nan  # CheXpert's order, not the file's
    np.testing.assert_array_equal(item['gt_score'], expected)
    first = dict(zip(FINDINGS, items[0]['gt_score'], strict=True))
    assert first['Edema'] == 1 and np.isnan(first['Pneumonia'])
    np.testing.assert_array_equal(items[0]['gt_score'], items[1]['gt_score'])
    assert dataset.metainfo['classes'] == FINDINGS and dataset.metainfo['scored'] == SCORED
    assert dataset.metainfo['dataset'] == 'MIMIC-CXR-JPG'


@pytest.mark.parametrize(('split', 'images'), [('train', 5), ('validate', 1), ('test', 1)])
def test_official_splits(tmp_path, split, images):
    dataset = MIMICCXR(str(write(tmp_path / 'x')), split=split)
    assert len(dataset) == images
    assert (dataset.metainfo['protocol'], dataset.metainfo['split']) == ('official', split)


def test_views_classes_and_policy_are_those_of_chexpert(tmp_path):
    root = str(write(tmp_path / 'x'))
    dataset = MIMICCXR(root, views='frontal', classes='scored', policy='U-O&U-Z')
    assert len(dataset) == 2
    assert dataset.get_data_info(1)['gt_score'].tolist() == [0, 0, 0, 1, 0]  # Edema: U-Ones
    soft = MIMICCXR(root, policy='LSR-Zeros')
    soft.set_draws(0, 0)
    value = soft.get_data_info(2)['gt_score'][FINDINGS.index('Edema')]
    assert 0 < value < 0.3
    soft.set_draws(0, 1)
    assert soft.get_data_info(2)['gt_score'][FINDINGS.index('Edema')] != value


def test_images_without_labels_are_left_out_and_counted(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mlrfnet_mm.datasets.published.mimic_cxr.dataset.print_log',
        lambda text, *_, **__: said.append(text),
    )
    dataset = MIMICCXR(str(write(tmp_path / 'x', without=[50000001])))
    assert len(dataset) == 3
    assert said and said[0].startswith('1 studies have no row of labels') and '50000001' in said[0]
    assert 'without 1 studies that have no labels' in dataset._summary


def change(images, at, **values):
    """IMAGES with one row changed."""
    names = ('name', 'study', 'patient', 'split', 'view', 'labels')
    row = dict(zip(names, images[at], strict=True), **values)
    return [*images[:at], tuple(row.values()), *images[at + 1 :]]


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        (
            change(IMAGES, 0, labels={'Edema': '3.0'}),
            r"line 2: study 50000001 has '3.0' in column 'Edema'",
        ),
        (change(IMAGES, 6, patient=10000032), r'patient 10000032 .* is in .*train'),
        (change(IMAGES, 0, split='val'), r"image a-1 has 'val' in column 'split'"),
        (change(IMAGES, 0, patient='p1'), r"image a-1 has subject_id 'p1'"),
        (change(IMAGES, 5, patient=10000032), r'patient 10000032 .* is in .*train'),
        (change(IMAGES, 0, study='x1'), r"image a-1 has subject_id '10000032' and study_id 'x1'"),
        (IMAGES[5:], r'official/train is empty'),
    ],
)
def test_faults(tmp_path, images, message):
    with pytest.raises(ValueError, match=message):
        MIMICCXR(str(write(tmp_path / 'x', images)))


def test_a_cut_table_of_labels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr('mlrfnet_mm.datasets.published.mimic_cxr.tables.MAX_UNLABELLED', 1)
    root = write(tmp_path / 'x', without=[50000001, 50000002])
    with pytest.raises(ValueError, match=r'no labels for 2 studies of train.*may be cut'):
        MIMICCXR(str(root))


def test_an_image_without_metadata_is_refused(tmp_path):
    root = write(tmp_path / 'x')
    path = root / 'mimic-cxr-2.0.0-metadata.csv'
    path.write_text('\n'.join(path.read_text().splitlines()[:-1]) + '\n')
    with pytest.raises(ValueError, match='image d-1 has no row in mimic-cxr-2.0.0-metadata.csv'):
        MIMICCXR(str(root))


def test_no_data_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv('MIMIC_CXR_ROOT', str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        MIMICCXR()
    for part in ('mimic-cxr-2.0.0-split.csv', 'MIMIC_CXR_ROOT', 'physionet.org'):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="one of train, validate, test, got 'val'"):
        MIMICCXR(split='val', lazy_init=True)


def test_a_prepared_folder_is_found(tmp_path):
    root = write(tmp_path / 'x')
    names = SOURCES['mimic-cxr'].list_images(root)
    assert len(names) == len(IMAGES)
    prepare_store(root, names, root / 'prepared_40', size=40, workers=1)
    stored = MIMICCXR(str(root), pipeline=PIPELINE)
    plain = MIMICCXR(str(root), pipeline=PIPELINE, prepared=False)
    assert stored.store is not None
    for i in range(len(plain)):
        np.testing.assert_array_equal(stored[i]['img'], plain[i]['img'])
    with pytest.raises(FileNotFoundError, match='no .*/files'):
        SOURCES['mimic-cxr'].list_images(tmp_path)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('chexpert', 'line 6: study 50000001 is there already'),
        ('split', 'line 9: image a-1 has a row already, at line 2'),
        ('metadata', 'line 9: a second row of a-1'),
    ],
)
def test_a_repeated_row_is_refused_in_each_table(tmp_path, name, message):
    root = write(tmp_path / 'x')
    path = root / f'mimic-cxr-2.0.0-{name}.csv'
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + '\n')
    with pytest.raises(ValueError, match=message):
        MIMICCXR(str(root))


def test_tables_of_two_versions_are_refused(tmp_path):
    root = write(tmp_path / 'x')
    path = root / 'mimic-cxr-2.0.0-chexpert.csv'
    path.write_text(path.read_text().replace('10000032,50000001', '10000033,50000001'))
    with pytest.raises(ValueError, match='study 50000001 is of patient 10000032, in .* 10000033'):
        MIMICCXR(str(root))


def test_as_many_unlabeled_studies_as_published_are_fine(tmp_path, monkeypatch):
    monkeypatch.setattr('mlrfnet_mm.datasets.published.mimic_cxr.tables.MAX_UNLABELLED', 1)
    assert len(MIMICCXR(str(write(tmp_path / 'x', without=[50000001])))) == 3


def test_a_split_without_any_label_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no labels for 1 studies of test'):
        read_split(write(tmp_path / 'x', without=[50000004]), 'test')


def test_no_draws_outside_of_training(tmp_path):
    root = write(tmp_path / 'x', change(IMAGES, 5, labels={'Edema': '-1.0'}))
    dataset = MIMICCXR(str(root), split='validate', policy='LSR-Ones')
    dataset.set_draws(0, 0)
    assert np.isnan(dataset.get_data_info(0)['gt_score'][FINDINGS.index('Edema')])
