"""Prepared stores of the public sets: found, with the same pixels, and in place of the images."""

import shutil

import numpy as np
import pytest
from public_sets import write_image, write_table

from mlrfnet_mm.commands.prepare import DATASETS as NAMES
from mlrfnet_mm.datasets import ChestXDet, PadChest, RSNAPneumonia, SIIMPneumothorax, VinDrCXR
from mlrfnet_mm.datasets.published.padchest.tables import COLUMNS, TABLE
from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.datasets.store.sources import SOURCES

PIPELINE = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=40, crop_size=32),
]
VINDR = ['image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max']
VINDR += [f'{name},No finding,14,R{r},,,,' for name in 'ab' for r in (1, 2, 3)]
PADCHEST = [','.join(COLUMNS), "a.png,0,p,PA,Physician,['normal']"]
PADCHEST += ["b.png,54,q,L,Physician,['normal']"]
RSNA = ['patientId,x,y,width,height,Target', 'a,,,,,0', 'b,,,,,0']
DET = [dict(file_name='a.png', syms=[], boxes=[], polygons=[])]
# name → class, tables, images
FOLDERS = {
    'vindr': (VinDrCXR, {'train.csv': VINDR}, ['train/a.dicom', 'train/b.dicom']),
    'padchest': (PadChest, {TABLE: PADCHEST}, ['0/a.png', '54/b.png']),
    'rsna': (
        RSNAPneumonia,
        {'stage_2_train_labels.csv': RSNA},
        ['stage_2_train_images/a.dcm', 'stage_2_train_images/b.dcm'],
    ),
    'siim': (
        SIIMPneumothorax,
        {'train-rle.csv': ['ImageId, EncodedPixels', 'a,-1', 'b,-1']},
        ['dicom-images-train/1/2/a.dcm', 'dicom-images-train/3/4/b.dcm'],
    ),
    'chestx-det': (
        ChestXDet,
        {'ChestX_Det_train.json': DET, 'ChestX_Det_test.json': [{**DET[0], 'file_name': 'b.png'}]},
        ['train_data/train/a.png', 'test_data/test/b.png'],
    ),
}


@pytest.mark.parametrize('name', FOLDERS)
def test_a_store_is_found_and_stands_for_the_images(name, tmp_path):
    pytest.importorskip('pydicom')
    kind, tables, images = FOLDERS[name]
    for file, rows in tables.items():
        write_table(tmp_path / file, rows)
    for i, image in enumerate(images):
        write_image(tmp_path / image, i)
    names = SOURCES[name].list_images(tmp_path)
    assert sorted(names) == sorted(images)
    assert SOURCES[name].root_variable == kind.root_variable
    plain = kind(str(tmp_path), pipeline=PIPELINE)
    assert plain.store is None
    before = [plain[i]['img'] for i in range(2)]
    assert not prepare_store(tmp_path, names, tmp_path / 'prepared_40', 40, 1).failed
    for image in images:
        (tmp_path / image).unlink()
    stored = kind(str(tmp_path), pipeline=PIPELINE)
    assert stored.store is not None
    np.testing.assert_array_equal(before, [stored[i]['img'] for i in range(2)])
    assert stored.get_data_info(0)['img_path'] == plain.get_data_info(0)['img_path']
    shutil.rmtree(tmp_path / 'prepared_40')
    with pytest.raises(FileNotFoundError, match='no image'):
        SOURCES[name].list_images(tmp_path)


def test_the_command_knows_them_all():
    assert tuple(SOURCES) == NAMES
