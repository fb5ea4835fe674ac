"""Real X-rays, written as DX in every way that means the same gray levels: one result for all."""

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from node_parts import Model, make_xray, no_picture

from mlrfnet_mm.node import predictor as predictor_module
from mlrfnet_mm.node.predictor import Predictor, read_instance
from mlrfnet_mm.xrays.files import read_xray

pydicom = pytest.importorskip('pydicom')
sr = pytest.importorskip('highdicom.sr')
FOLDER = Path(__file__).resolve().parents[3] / 'shared/data/ChestX-ray14-sample/originals'
FILES = sorted(FOLDER.glob('*.png'))[:3] or [None]
DX = '1.2.840.10008.5.1.4.1.1.1.1'
WINDOW = dict(WindowCenter=2048, WindowWidth=4096)  # all twelve bits


def lut_of(values):
    """A lookup table for twelve bits."""
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [4096, 0, 16], values.astype('<u2').tobytes()
    return pydicom.Sequence([item])


RAMP = np.arange(4096)
VARIANTS = {
    'linear': (1, WINDOW),
    'exact': (1, dict(WINDOW, VOILUTFunction='LINEAR_EXACT')),
    'two windows': (1, dict(WindowCenter=[2048, 900], WindowWidth=[4096, 300])),
    'no window': (1, dict(WindowCenter=None, WindowWidth=None)),
    'MONOCHROME1': (-1, dict(WINDOW, photometric='MONOCHROME1')),
    'negative slope': (-1, dict(WINDOW, RescaleSlope=-1, RescaleIntercept=4095)),
    'slope': (1, dict(WindowCenter=4096, WindowWidth=8192, RescaleSlope=2, RescaleIntercept=0)),
    'lookup': (1, dict(VOILUTSequence=RAMP * 16, WindowCenter=None, WindowWidth=None)),
    'falling lookup': (-1, dict(VOILUTSequence=65520 - RAMP * 16, WindowCenter=None,
                                WindowWidth=None)),
    'JPEG 2000': (1, dict(WINDOW, compress='JPEG2000Lossless')),
}  # fmt: skip


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem if file else 'absent')
def test_a_variant_has_the_scores_of_the_picture(file, variant, tmp_path, monkeypatch):
    if file is None:
        pytest.skip(f'no {FOLDER}')
    monkeypatch.setattr(predictor_module, 'picture', no_picture)
    sign, tags = VARIANTS[variant]
    gray = cv2.resize(read_xray(file).pixels, (256, 256), interpolation=cv2.INTER_AREA)
    stored = gray.astype(np.uint16) * 16 + 8
    tags = dict(tags, SOPClassUID=DX, Modality='DX', SOPInstanceUID='1.2.826.0.1.9.1')
    if 'VOILUTSequence' in tags:
        tags['VOILUTSequence'] = lut_of(tags['VOILUTSequence'])
    data = make_xray(tmp_path / 'x.dcm', 1, stored if sign > 0 else 4095 - stored, **tags)
    seen = read_xray(tmp_path / 'x.dcm').pixels
    if variant == 'no window':  # from the least to the largest value of the file
        gray = np.interp(gray, (gray.min(), gray.max()), (0, 255))
    assert np.abs(seen.astype(float) - gray).max() <= 1.5
    files, why = Predictor(Model())(read_instance(data))
    assert not why and len(files) == 2
    groups = sr.srread(BytesIO(files[0])).content.get_image_measurement_groups()
    scores = [m.value for g in groups for m in g.get_measurements() if m.name.value == 'SCORE']
    expected = np.clip(gray.mean() / 255 + np.array([0.1, 0, -0.1]), 0.01, 0.99)
    assert scores == pytest.approx(expected, abs=0.005)
    if shutil.which('dciodvfy'):
        (tmp_path / 'report.dcm').write_bytes(files[0])
        said = subprocess.run(
            ['dciodvfy', tmp_path / 'report.dcm'], capture_output=True, text=True
        )  # fmt: skip
        assert 'Error' not in said.stderr + said.stdout
