"""ChestX-Det on a made folder with the published names, and on the real files."""

from collections import Counter

import cv2
import numpy as np
import pytest
from public_sets import needs, real, stems, write_image, write_table

from mlrfnet_mm.datasets import ChestXDet
from mlrfnet_mm.datasets.published.chestx_det.tables import FILES, FINDINGS, read_file
from mlrfnet_mm.datasets.tables import hash_split
from mlrfnet_mm.xrays.regions import Box, around_points, region_mask

TRIANGLE = [[10, 10], [10, 30], [30, 30]]


def record(name, **findings):
    """An image with a box and a triangle of each finding."""
    names = [finding.replace('_', ' ') for finding in findings]
    boxes = list(findings.values())
    return dict(file_name=f'{name}.png', syms=names, boxes=boxes, polygons=[TRIANGLE] * len(boxes))


TRAIN = [record('1'), record('2', Mass=[10, 10, 30, 30], Pleural_Thickening=[0, 0, 1023, 9])]
TRAIN += [record(str(i)) for i in range(3, 20)]
TEST = [record('90', Effusion=[1, 2, 3, 4])]


def write(root, train=TRAIN, test=TEST, folders=('train_data/train', 'test_data')):
    for part, records, folder in zip(FILES, (train, test), folders, strict=True):
        write_table(root / FILES[part], records)
        for one in records:
            write_image(root / folder / one['file_name'])
    return str(root)


@pytest.mark.parametrize('folders', [('train_data/train', 'test_data/test'), ('train', 'test')])
def test_items(tmp_path, folders):
    dataset = ChestXDet(write(tmp_path, folders=folders))
    assert len(dataset) == len(TRAIN) + 1 and dataset.metainfo['classes'] == FINDINGS
    found = [FINDINGS[k] for k in np.flatnonzero(dataset.get_data_info(1)['gt_score'])]
    assert found == ['Mass', 'Pleural Thickening']
    assert dataset.get_data_info(0)['gt_score'].tolist() == [0] * 13
    assert f'{len(TRAIN) + 1} images' in dataset._summary and 'Effusion 1' in dataset._summary
    boxes = dataset.read_boxes()
    assert [(b.image, b.finding, b.x, b.y, b.width, b.height) for b in boxes] == [
        ('2', 'Mass', 10, 10, 21, 21),
        ('2', 'Pleural Thickening', 0, 0, 1024, 10),
        ('90', 'Effusion', 1, 2, 3, 3),
    ]
    assert boxes[0].polygon == ((10, 10), (10, 30), (30, 30))


def test_splits(tmp_path):
    root = write(tmp_path)
    names = [one['file_name'][:-4] for one in TRAIN]
    val = [name for name in names if hash_split('ChestX-Det', name) == 'val']
    assert stems(ChestXDet(root, split='val')) == val != []
    assert stems(ChestXDet(root, split='train')) == [n for n in names if n not in val]
    assert stems(ChestXDet(root, split='test')) == ['90']


def changed(**values):
    return [TRAIN[0], {**TRAIN[1], **values}]


@pytest.mark.parametrize(
    ('train', 'message'),
    [
        (changed(syms=['Mass', 'Edema']), r"train.json, image 2: 2.png has 'Edema', which is none"),
        (changed(syms=['Mass']), '2.png has 1 syms, 2 boxes and 2 polygons'),
        (changed(boxes=[[10, 10, 10, 30], [0, 0, 5, 5]]), '2.png has the box .* without area'),
        (changed(boxes=[[10, 10, 1024, 30], [0, 0, 5, 5]]), 'beyond 1024 pixels'),
        (changed(boxes=[[10, 10, 20], [0, 0, 5, 5]]), '2.png has the box'),
        (changed(polygons=[TRIANGLE[:2], TRIANGLE]), '2.png has a polygon of Mass'),
        (changed(polygons=[[*TRIANGLE, [5, 1024]], TRIANGLE]), 'a polygon of Mass that leaves'),
        (changed(file_name='1.png'), 'image 2: 1 is there already, as image 1'),
        (changed(file_name='90.png'), '90 is in .*train.json'),
        ([dict(file_name='1.png')], 'image 1: an image has file_name, syms, boxes, polygons'),
        (dict(a=1), 'a list of images is needed, got dict'),
    ],
)
def test_faults(tmp_path, train, message):
    root = write(tmp_path)
    write_table(tmp_path / FILES['train'], train)
    with pytest.raises(ValueError, match=message):
        ChestXDet(root)


def test_what_is_missing_and_what_is_cut(tmp_path):
    root = write(tmp_path)
    (tmp_path / 'test_data/90.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'image 1 of ChestX_Det_test.json: no image 90 in'):
        ChestXDet(root)
    assert len(ChestXDet(root, split='train'))
    text = (tmp_path / FILES['train']).read_text()
    (tmp_path / FILES['train']).write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match=r'train.json: .*; get the file again'):
        ChestXDet(root)


@needs('ChestX-Det')
def test_the_real_files():
    found = {part: read_file(real('ChestX-Det', name)) for part, name in FILES.items()}
    assert [len(found[part].labels) for part in FILES] == [3025, 553]
    boxes = [box for part in found.values() for box in part.boxes]
    labels = {name: code for part in found.values() for name, code in part.labels.items()}
    assert len(boxes) == 9_639 and len(labels) == 3_578
    assert sum(code == bytes(13) for code in labels.values()) == 611
    counts = Counter(box.finding for box in boxes)
    golden = dict(Consolidation=2563, Effusion=2112, Nodule=986, Mass=167)
    assert {name: counts[name] for name in golden} == golden and set(counts) == set(FINDINGS)
    wider = 0
    for box in boxes:
        x, y, w, h = around_points(box.polygon)
        ends = (x - box.x, y - box.y, box.x + box.width - x - w, box.y + box.height - y - h)
        wider += any(ends)
        assert min(ends) >= 0 and max(ends) <= 9
    assert wider == 202


def test_a_polygon_is_drawn_with_its_edge():
    corners = ((10, 10), (10, 30), (30, 30))
    box = Box('a', 'Mass', 10, 10, 21, 21, 1, polygon=corners)
    mask = region_mask(box, (1024, 1024))
    expected = np.zeros((1024, 1024), bool)
    for y in range(10, 31):
        expected[y, 10 : y + 1] = True
    np.testing.assert_array_equal(mask, expected)
    half = region_mask(box, (512, 512))
    area = cv2.resize(expected.astype(np.float32), (512, 512), interpolation=cv2.INTER_AREA)
    assert (half[area == 1]).all() and not half[area == 0].any()
