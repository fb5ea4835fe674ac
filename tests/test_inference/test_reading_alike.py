"""Training, prediction and the prepared store read a file alike, whatever its kind."""

import cv2
import numpy as np
import pytest
from conftest import ROOT
from dicom_files import write_dicom
from mmpretrain.registry import TRANSFORMS
from PIL import Image

pytest.importorskip('pydicom')
from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.datasets.store.store import PreparedStore
from mlrfnet_mm.datasets.transforms import LoadXray
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.inference.pipeline import compose, placing_pipeline
from mlrfnet_mm.xrays import gray
from mlrfnet_mm.xrays.files import read_xray
from mlrfnet_mm.xrays.geometry import fit
from mlrfnet_mm.xrays.gray import read_gray

RNG = np.random.default_rng(0)
TWELVE = cv2.resize(RNG.integers(0, 4096, (9, 8)).astype(np.uint16), (80, 96))
EIGHT = (TWELVE >> 4).astype(np.uint8)
WINDOW = dict(WindowCenter=2048, WindowWidth=1500)


def dicom(name='x.dcm', pixels=TWELVE, **tags):
    return lambda folder: write_dicom(folder / name, pixels, **tags)


def picture(name, array, **options):
    def write(folder):
        Image.fromarray(array).save(folder / name, **options)
        return folder / name

    return write


FILES = {
    'window': dicom(**WINDOW),
    'MONOCHROME1': dicom(photometric='MONOCHROME1', **WINDOW),
    'no window': dicom(),
    'no window, MONOCHROME1': dicom(photometric='MONOCHROME1'),
    'negative slope': dicom(RescaleSlope=-1, RescaleIntercept=4095, **WINDOW),
    'padding': dicom(PixelPaddingValue=int(TWELVE[0, 0]), photometric='MONOCHROME1', **WINDOW),
    'RLE': dicom(compress='RLELossless', **WINDOW),
    'JPEG 2000': dicom(compress='JPEG2000Lossless', **WINDOW),
    'no suffix': dicom('Doe_Jane', **WINDOW),
    'wrong suffix': dicom('x.png', **WINDOW),
    'PNG': picture('x.png', EIGHT),
    'PNG, 16 bits': picture('x.png', TWELVE),
    'PNG, color': picture('x.png', np.stack([EIGHT, EIGHT[::-1], EIGHT], -1)),
    'JPEG': picture('x.jpg', EIGHT),
    'TIFF, 16 bits, 0 is white': picture('x.tiff', TWELVE, tiffinfo={262: 0}),
}


@pytest.fixture(params=FILES.values(), ids=FILES)
def path(request, tmp_path):
    return request.param(tmp_path)


def test_the_pixels(path, tmp_path):
    expected = read_xray(path).pixels
    assert len(np.unique(expected)) > 100  # no flat image, which would equal any other
    loaded = LoadXray().transform(dict(img_path=str(path)))
    np.testing.assert_array_equal(loaded['img'], expected)
    assert loaded['ori_shape'] == loaded['img_shape'] == expected.shape
    np.testing.assert_array_equal(read_gray(path.read_bytes(), str(path)), expected)
    assert not prepare_store(tmp_path, [path.name], tmp_path / 'store', 40, 1).failed
    np.testing.assert_array_equal(PreparedStore(tmp_path / 'store').image(0), fit(expected, 40))


def test_what_the_network_sees(path):
    """The evaluation pipeline of a training, and prediction as the inferencer runs it."""
    cfg = read_config(ROOT / 'configs/mlrfnet_phantom.py')
    item = dict(img_path=str(path), patient_id='p', sample_idx=0)
    training = [TRANSFORMS.build(step) for step in cfg.val_dataloader.dataset.pipeline]
    seen = item
    for step in training:
        seen = step(seen)
    predicted = compose(placing_pipeline(cfg))({**item, 'img': read_xray(path).pixels})
    np.testing.assert_array_equal(seen['inputs'].numpy(), predicted['inputs'].numpy())


@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
def test_training_sees_the_window(tmp_path, photometric):
    """The formula of PS3.3 C.11.2.1.2.1; a workstation shows MONOCHROME1 turned over."""
    path = write_dicom(tmp_path / 'x.dcm', TWELVE, photometric=photometric, **WINDOW)
    shown = 255 * np.clip((TWELVE - 2047.5) / 1499 + 0.5, 0, 1)
    expected = 255 - shown if photometric == 'MONOCHROME1' else shown
    found = LoadXray().transform(dict(img_path=str(path)))['img']
    np.testing.assert_allclose(found, expected, atol=0.51)


def test_each_note_is_said_once(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(gray, '_said', set())
    monkeypatch.setattr(
        'mmengine.logging.print_log', lambda line, logger, level: lines.append(line)
    )
    for name in ('a.dcm', 'b.dcm'):
        read_gray(write_dicom(tmp_path / name, TWELVE))
    assert len(lines) == 1
    assert str(tmp_path / 'a.dcm') in lines[0] and 'no window in the file' in lines[0]


def test_a_dicom_name_without_dicom_is_refused_alike(tmp_path):
    path = tmp_path / 'x.dcm'
    Image.fromarray(EIGHT).save(path, 'PNG')
    for read in (read_xray, read_gray):
        with pytest.raises(ValueError, match='not a DICOM file, whatever its name says'):
            read(path)
