"""RSNA's and SIIM's challenges on made folders with the published names, and on the real tables."""

import csv
import gzip
from collections import Counter

import numpy as np
import pytest
from public_sets import edit, needs, real, stems, write_image, write_table

from mlrfnet_mm.datasets import RSNAPneumonia, SIIMPneumothorax
from mlrfnet_mm.datasets.published.rsna import tables as rsna
from mlrfnet_mm.datasets.published.siim import tables as siim
from mlrfnet_mm.datasets.tables import hash_split
from mlrfnet_mm.xrays.regions import region_mask, runs_of

BOXES = [
    'patientId,x,y,width,height,Target',
    'aa,,,,,0',
    'bb,10.0,20.0,30.0,40.0,1',
    'bb,500,600,424,424,1',
    'cc,,,,,0',
]
MASKS = ['ImageId, EncodedPixels', '1.2.3,-1', '1.2.4,1024 2 1022 3', '1.2.4, 0 1 1048574 1 ']


@pytest.fixture
def rsna_root(tmp_path):
    write_table(tmp_path / 'stage_2_train_labels.csv', BOXES)
    for i, name in enumerate(('aa', 'bb', 'cc')):
        write_image(tmp_path / 'stage_2_train_images' / f'{name}.dcm', i)
    return tmp_path


@pytest.fixture(params=[True, False], ids=['deep', 'flat'])
def siim_root(request, tmp_path):
    write_table(tmp_path / 'train-rle.csv', MASKS)
    for i, name in enumerate(('1.2.3', '1.2.4', '1.2.5')):  # the last has no row
        folder = f'{name}.1/{name}.2' if request.param else ''
        write_image(tmp_path / 'dicom-images-train' / folder / f'{name}.dcm', i)
    return tmp_path


def labels(dataset):
    return [dataset.get_data_info(i)['gt_score'].tolist() for i in range(len(dataset))]


def test_rsna(rsna_root):
    dataset = RSNAPneumonia(str(rsna_root))
    assert stems(dataset) == ['aa', 'bb', 'cc'] and labels(dataset) == [[0], [1], [0]]
    assert dataset.get_data_info(1)['patient_id'] == 'bb'
    assert dataset.metainfo['classes'] == ('Pneumonia',)
    assert (dataset.metainfo['protocol'], dataset.metainfo['split']) == ('image-hash', 'all')
    boxes = [box[:7] for box in dataset.read_boxes()]
    assert boxes == [
        ('bb', 'Pneumonia', 10, 20, 30, 40, 3),
        ('bb', 'Pneumonia', 500, 600, 424, 424, 4),
    ]


def test_siim(siim_root):
    dataset = SIIMPneumothorax(str(siim_root))
    assert stems(dataset) == ['1.2.3', '1.2.4'] and labels(dataset) == [[0], [1]]
    first, second = dataset.read_boxes()
    mask = region_mask(first, (1024, 1024))
    assert list(zip(*np.nonzero(mask), strict=True)) == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    assert first[2:6] == (1, 0, 2, 3)
    mask = region_mask(second, (1024, 1024))
    assert list(zip(*np.nonzero(mask), strict=True)) == [(0, 0), (1023, 1023)]


def test_a_header_without_the_blank_is_read(siim_root):
    edit(siim_root / 'train-rle.csv', 'ImageId, Enc', 'ImageId,Enc')
    assert len(SIIMPneumothorax(str(siim_root))) == 2


def test_the_pixels_are_those_of_the_dicom(rsna_root, siim_root):
    pytest.importorskip('pydicom')
    for kind in (RSNAPneumonia, SIIMPneumothorax):  # both fixtures share the folder
        item = kind(str(siim_root), pipeline=[dict(type='mlrfnet_mm.LoadXray')])[1]
        assert item['img'].shape == (48, 40) and item['img'].std() > 50


def test_splits_are_by_image(tmp_path):
    names = [f'{i}' for i in range(50)]
    write_table(tmp_path / 'stage_2_train_labels.csv', [BOXES[0], *(f'{n},,,,,0' for n in names)])
    (tmp_path / 'stage_2_train_images').mkdir()
    for name in names:
        (tmp_path / 'stage_2_train_images' / f'{name}.dcm').touch()
    for split in ('train', 'val', 'test'):
        expected = [name for name in names if hash_split('RSNA Pneumonia', name) == split]
        assert stems(RSNAPneumonia(str(tmp_path), split=split)) == expected != []


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('aa,,,,,0', 'aa,,,,,2', "line 2: 'aa' has Target '2', which is 0 or 1"),
        ('aa,,,,,0', 'aa,,,,,1', "line 2: 'aa' has the box .* and Target 1"),
        ('aa,,,,,0', 'aa,1,1,1,1,0', "line 2: 'aa' has the box .* and Target 0"),
        ('30.0,40.0', '-3,40.0', "line 3: 'bb' has the box .* without area"),
        ('30.0,40.0', '1015,40.0', "line 3: 'bb' has the box .* beyond the 1024 pixels"),
        ('30.0,40.0', 'nan,40.0', "line 3: 'bb' has the box .* without area"),
        ('cc,,,,,0', 'bb,,,,,0', "line 5: 'bb' has two rows that are not both boxes, .* line 3"),
        ('cc,,,,,0', 'aa,1,1,1,1,1', "line 5: 'aa' has two rows"),
        ('Target', 'target', "needs one column 'Target'"),
    ],
)
def test_faults_of_rsna_s_table(rsna_root, old, new, message):
    edit(rsna_root / 'stage_2_train_labels.csv', old, new)
    with pytest.raises(ValueError, match=message):
        RSNAPneumonia(str(rsna_root))


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('1024 2 1022 3', '1024 2 1022', "line 3: '1.2.4' has a mask .* pairs of whole numbers"),
        ('1024 2 1022 3', '1024 -2', 'pairs of whole numbers'),
        ('1024 2 1022 3', '1024 0', 'a run and the gap after it have a pixel at least'),
        ('1024 2 1022 3', '1048575 2', 'end at pixel 1,048,577, a frame of 1024 x 1024 has'),
        ('1.2.3,-1', '1.2.4,-1', "line 3: '1.2.4' has -1 .no mask. and a mask, .* line 2"),
        ('0 1 1048574 1', '-1', "line 4: '1.2.4' has -1 .no mask. and a mask, .* line 3"),
        (' 0 1 1048574 1 ', '1024 2 1022 3', "line 4: '1.2.4' has the row of line 3 again"),
        ('1.2.3,-1', ',-1', "line 2: '' has no ImageId"),
        (' EncodedPixels', 'Pixels', "needs one column 'EncodedPixels'"),
    ],
)
def test_faults_of_siim_s_table(siim_root, old, new, message):
    edit(siim_root / 'train-rle.csv', old, new)
    with pytest.raises(ValueError, match=message):
        SIIMPneumothorax(str(siim_root))


def test_a_missing_image_and_folder_are_named(rsna_root, monkeypatch):
    (rsna_root / 'stage_2_train_images/cc.dcm').unlink()
    with pytest.raises(FileNotFoundError, match=r'line 5: no image cc in .*stage_2_train_images'):
        RSNAPneumonia(str(rsna_root))
    monkeypatch.setenv('SIIM_PNEUMOTHORAX_ROOT', str(rsna_root))
    with pytest.raises(FileNotFoundError, match=r'(?s)no .*train-rle\.csv.*PNEUMOTHORAX_ROOT'):
        SIIMPneumothorax()


@needs('RSNA')
def test_the_real_table_of_rsna():
    path = real('RSNA', 'stage_2_train_labels.csv')
    table = rsna.read_table(path)
    assert len(table.labels) == 26_684 and len(table.boxes) == 9_555
    assert sum(code == b'\1' for code in table.labels.values()) == 6_012
    assert len(table.boxes) + Counter(table.labels.values())[b'\0'] == 30_227  # rows


@needs('SIIM')
def test_the_real_table_of_siim():
    """Masks lie in one lung or the other, and high: columns first, as the format says."""
    path = real('SIIM', 'train-rle.csv')
    table = siim.read_table(path)
    assert len(table.labels) == 12_047 and len(table.runs) == 3_576
    assert sum(code == b'\1' for code in table.labels.values()) == 2_669
    with gzip.open(path, 'rt', newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['ImageId', ' EncodedPixels'] and len(rows) == 12_955
    boxes = siim.boxes_of(table)
    middles = np.array([(box.x + box.width / 2, box.y + box.height / 2) for box in boxes])
    across, down = (np.histogram(m, np.linspace(0, 1024, 9))[0] for m in middles.T)
    assert min(across[2], across[5]) > 2 * max(across[3:5])  # right and left lung, not between
    assert down[:3].sum() > 2 * down[3:].sum()
    for box, (_, text, _) in list(zip(boxes, table.runs, strict=True))[:50]:
        mask = region_mask(box, (1024, 1024))
        steps = np.array(text.split(), int)
        assert mask.sum() == steps[1::2].sum()
        rows_, columns = np.nonzero(mask)
        assert box[2:4] == (columns.min(), rows_.min())
        assert box[4:6] == (np.ptp(columns) + 1, np.ptp(rows_) + 1)
        flat = mask.T.ravel()
        assert np.flatnonzero(np.diff(flat, prepend=False))[::2].tolist() == list(
            runs_of(text)[:, 0]
        )
