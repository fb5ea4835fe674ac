"""Gray levels of DICOM files against the formulas of PS3.3, written out here."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from dicom_files import STUDY, write_dicom

pytest.importorskip('pydicom')
from mlrfnet_mm.xrays.dicom import read_dicom
from mlrfnet_mm.xrays.files import read_xray

RAMP = np.linspace(0, 4095, 60 * 50).astype(np.uint16).reshape(60, 50)


def linear_window(values, center, width):
    """PS3.3 C.11.2.1.2.1, to 0 … 255."""
    return np.rint(255 * np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1))


@pytest.mark.parametrize(
    'compress', [None, 'RLELossless', 'JPEGLSLossless', 'JPEG2000Lossless', 'DeflatedExplicit']
)
@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
@pytest.mark.parametrize(('center', 'width'), [(2048, 4096), (1000, 500), (100, 3)])
def test_window_and_inversion(tmp_path, compress, photometric, center, width):
    path = write_dicom(
        tmp_path / 'x.dcm', RAMP, photometric=photometric, compress=compress,
        WindowCenter=center, WindowWidth=width,
    )  # fmt: skip
    expected = linear_window(RAMP.astype(float), center, width)
    if photometric == 'MONOCHROME1':
        expected = 255 - expected
    found = read_dicom(path)
    assert found.pixels.dtype == np.uint8
    np.testing.assert_allclose(found.pixels, expected, atol=1)  # rounding of ±0.5 after inversion
    assert found.notes == ()


def test_several_windows_take_the_first(tmp_path):
    path = write_dicom(tmp_path / 'x.dcm', RAMP, WindowCenter=[1000, 2048], WindowWidth=[500, 4096])
    np.testing.assert_array_equal(read_dicom(path).pixels, linear_window(RAMP, 1000, 500))


def test_rescale_comes_before_the_window(tmp_path):
    path = write_dicom(
        tmp_path / 'x.dcm', RAMP, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=2000,
        WindowWidth=1000,
    )  # fmt: skip
    expected = linear_window(2.0 * RAMP - 100, 2000, 1000)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected)


def test_a_slope_may_be_negative(tmp_path):
    """As some detectors write it: 4095 − v."""
    path = write_dicom(
        tmp_path / 'x.dcm', RAMP, RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2048,
        WindowWidth=4096,
    )  # fmt: skip
    expected = linear_window(4095.0 - RAMP, 2048, 4096)
    np.testing.assert_allclose(read_dicom(path).pixels, expected, atol=1)
    path = write_dicom(tmp_path / 'y.dcm', RAMP, RescaleSlope=-1, RescaleIntercept=4095)
    np.testing.assert_allclose(read_dicom(path).pixels, expected, atol=1)


def test_a_window_away_from_the_values_is_noted(tmp_path):
    pixels = np.tile(RAMP, (2, 2))
    path = write_dicom(tmp_path / 'x.dcm', pixels, WindowCenter=-5000, WindowWidth=100)
    assert 'one gray level throughout' in read_xray(path).notes[0]


@pytest.mark.parametrize(('padding', 'limit'), [(0, None), (0, 10), (4095, 4000)])
def test_a_range_of_padding_does_not_stretch(tmp_path, padding, limit):
    tags = dict(PixelPaddingValue=padding)
    tags |= {} if limit is None else dict(PixelPaddingRangeLimit=limit)
    found = read_dicom(write_dicom(tmp_path / 'x.dcm', RAMP, **tags))
    ends = sorted([padding, padding if limit is None else limit])
    values = RAMP.astype(float)
    inside = values[(values < ends[0]) | (values > ends[1])]
    assert 0 < len(inside) < RAMP.size
    expected = np.clip((RAMP - inside.min()) / np.ptp(inside), 0, 1)
    expected[(values >= ends[0]) & (values <= ends[1])] = 0
    np.testing.assert_allclose(found.pixels, 255 * expected, atol=0.5001)


@pytest.mark.filterwarnings('ignore')  # pydicom's own, of every kind
@pytest.mark.parametrize('compress', [None, 'RLELossless'])
def test_damage_of_any_kind_is_a_value_error(tmp_path, compress):
    """Cut at many places, and with bytes changed: an image or one kind of error."""
    path = write_dicom(tmp_path / 'x.dcm', RAMP, compress=compress, WindowCenter=9, WindowWidth=9)
    data, rng, bad = path.read_bytes(), np.random.default_rng(0), tmp_path / 'bad.dcm'
    files = [data[:n] for n in range(133, min(len(data), 1200), 41)]
    for _ in range(60):
        changed = bytearray(data)
        for place in rng.integers(132, min(len(data), 1500), 4):
            changed[place] = rng.integers(256)
        files.append(bytes(changed))
    refused = 0
    for content in files:
        bad.write_bytes(content)
        try:
            assert read_dicom(bad).pixels.ndim == 2
        except (ValueError, ImportError):  # a changed transfer syntax may ask for a decoder
            refused += 1
    assert refused > 20


def test_sigmoid_window(tmp_path):
    path = write_dicom(
        tmp_path / 'x.dcm', RAMP, WindowCenter=2000, WindowWidth=800, VOILUTFunction='SIGMOID'
    )
    expected = 255 / (1 + np.exp(-4 * (RAMP.astype(float) - 2000) / 800))
    np.testing.assert_allclose(read_dicom(path).pixels, expected, atol=0.5001)


def test_voi_lut_is_preferred_to_the_window(tmp_path):
    from pydicom import Dataset

    item = Dataset()
    item.LUTDescriptor = [4096, 0, 12]
    table = (4095 - np.arange(4096)).astype(np.uint16)  # runs backwards: seen if it is used
    item.add_new('LUTData', 'US', table.tolist())
    path = write_dicom(
        tmp_path / 'x.dcm', RAMP, VOILUTSequence=[item], WindowCenter=2048, WindowWidth=4096
    )
    np.testing.assert_array_equal(read_dicom(path).pixels, np.rint(table[RAMP] * (255 / 4095)))


def test_without_a_window_the_range_is_stretched_and_said(tmp_path):
    path = write_dicom(tmp_path / 'x.dcm', RAMP // 4 + 500)
    found = read_dicom(path)
    assert (found.pixels.min(), found.pixels.max()) == (0, 255)
    assert 'no window' in found.notes[0]


def test_padding_does_not_stretch(tmp_path):
    pixels = RAMP // 4 + 500
    pixels[:10] = 0
    path = write_dicom(tmp_path / 'x.dcm', pixels, PixelPaddingValue=0)
    inner = pixels[10:].astype(float)
    expected = np.rint(255 * (inner - inner.min()) / (inner.max() - inner.min()))
    np.testing.assert_array_equal(read_dicom(path).pixels[10:], expected)
    assert not read_dicom(path).pixels[:10].any()


def test_color_capture(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = write_dicom(
        tmp_path / 'x.dcm', RAMP[:20, :30], bits=8, SamplesPerPixel=3, BitsAllocated=8,
        PhotometricInterpretation='RGB', PlanarConfiguration=0, PixelData=rgb.tobytes(),
    )  # fmt: skip
    found = read_dicom(path)
    np.testing.assert_array_equal(found.pixels, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    assert any('color' in note for note in found.notes)


def test_spacing_study_patient_and_notes(tmp_path):
    both = dict(ImagerPixelSpacing=[0.2, 0.25], WindowCenter=1, WindowWidth=9)
    found = read_dicom(write_dicom(tmp_path / 'x.dcm', RAMP, **both))
    assert found.spacing == (0.2, 0.25) and 'detector' in found.notes[0]
    found = read_dicom(write_dicom(tmp_path / 'y.dcm', RAMP, PixelSpacing=[0.1, 0.15], **both))
    assert found.spacing == (0.1, 0.15) and found.notes == ()
    assert found.study == STUDY
    assert found.patient == dict(name='Doe^Jane', id='MRN-4711')
    single = dict(PixelSpacing=0.1, WindowCenter=1, WindowWidth=9)
    assert read_dicom(write_dicom(tmp_path / 's.dcm', RAMP, **single)).spacing is None
    lateral = dict(ViewPosition='LL', Modality='CT', **both)
    notes = read_dicom(write_dicom(tmp_path / 'z.dcm', RAMP, **lateral)).notes
    assert 'CT' in notes[0] and 'LL' in notes[1]


@pytest.mark.parametrize(
    ('pixels', 'tags', 'message'),
    [
        (None, {}, 'Digital X-Ray Image Storage.*no pixel data'),
        (np.stack([RAMP] * 3), dict(NumberOfFrames=3), 'Digital X-Ray.*3 frames'),
        (RAMP, dict(PhotometricInterpretation='PALETTE COLOR'), 'PALETTE COLOR'),
        (RAMP, dict(PixelData=RAMP[:5].tobytes()), 'Explicit VR Little Endian.*do not decode'),
    ],
)
def test_refusals_name_what_it_is(tmp_path, pixels, tags, message):
    path = write_dicom(tmp_path / 'x.dcm', pixels, **tags)
    with pytest.raises(ValueError, match=message):
        read_dicom(path)


def test_another_file_by_that_name(tmp_path):
    (tmp_path / 'x.dcm').write_bytes(b'x' * 300)
    with pytest.raises(ValueError, match='not a DICOM file, whatever its name says'):
        read_dicom(tmp_path / 'x.dcm')


def test_padding_is_a_stored_value_before_any_rescale(tmp_path):
    pixels = RAMP // 4 + 500
    pixels[:10] = 0
    rescale = dict(RescaleSlope=1, RescaleIntercept=-1024)
    path = write_dicom(tmp_path / 'x.dcm', pixels, PixelPaddingValue=0, **rescale)
    inner = pixels[10:].astype(float)
    expected = np.rint(255 * (inner - inner.min()) / np.ptp(inner))
    np.testing.assert_array_equal(read_dicom(path).pixels[10:], expected)


def test_a_spacing_of_zero_is_none(tmp_path):
    tags = dict(PixelSpacing=[0, 0], ImagerPixelSpacing=[0.2, 0.2], WindowCenter=1, WindowWidth=9)
    assert read_dicom(write_dicom(tmp_path / 'x.dcm', RAMP, **tags)).spacing == (0.2, 0.2)


@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
@pytest.mark.parametrize('window', [dict(WindowCenter=300, WindowWidth=400), {}])
def test_padding_is_black_with_and_without_a_window(tmp_path, photometric, window):
    pixels = RAMP // 8 + 50
    plain = read_dicom(write_dicom(tmp_path / 'a.dcm', pixels, photometric=photometric, **window))
    pixels[:10] = 2000
    tags = dict(photometric=photometric, PixelPaddingValue=2000, **window)
    found = read_dicom(write_dicom(tmp_path / 'b.dcm', pixels, **tags)).pixels
    assert (found[:10] == 0).all()
    if window:
        np.testing.assert_array_equal(found[10:], plain.pixels[10:])
    else:
        assert (found[10:].min(), found[10:].max()) == (0, 255)


@pytest.mark.parametrize(
    ('width', 'function'), [(0, 'LINEAR'), (0.5, 'LINEAR'), (-3, 'LINEAR'), (0, 'SIGMOID')]
)
def test_a_window_of_no_width_is_none(tmp_path, width, function):
    window = dict(WindowCenter=0, WindowWidth=width, VOILUTFunction=function)
    found = read_dicom(write_dicom(tmp_path / 'a.dcm', RAMP, **window))
    assert found.notes[0] == f'the window has a width of {width:g} and is ignored'
    assert 'no window' in found.notes[1]
    np.testing.assert_array_equal(
        found.pixels, read_dicom(write_dicom(tmp_path / 'b.dcm', RAMP)).pixels
    )


def test_a_sigmoid_may_be_narrow(tmp_path):
    window = dict(WindowCenter=2000, WindowWidth=0.5, VOILUTFunction='SIGMOID')
    assert not read_dicom(write_dicom(tmp_path / 'a.dcm', RAMP, **window)).notes


@pytest.mark.parametrize('implicit', [True, False])
def test_old_files_without_a_preamble(tmp_path, implicit):
    import pydicom

    path = write_dicom(tmp_path / 'a.dcm', RAMP, WindowCenter=2048, WindowWidth=4096)
    ds = pydicom.dcmread(path)
    expected = read_dicom(path).pixels
    del ds.file_meta
    ds.preamble = None
    old = tmp_path / 'old.dcm'
    ds.save_as(old, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert old.read_bytes()[128:132] != b'DICM'
    np.testing.assert_array_equal(read_dicom(old).pixels, expected)


def test_a_spacing_beyond_belief_is_left_out(tmp_path):
    found = read_dicom(write_dicom(tmp_path / 'x.dcm', RAMP, PixelSpacing=['1e300', '1e300']))
    assert found.spacing is None
    assert 'PixelSpacing of 1e+300 × 1e+300 mm is wrong: left out' in found.notes


@pytest.mark.parametrize('how', ['plain', 'group length too great', 'long group 2'])
def test_a_deflated_file_inflates_to_a_limit(tmp_path, monkeypatch, how):
    import pydicom

    from mlrfnet_mm.xrays import dicom

    path = write_dicom(tmp_path / 'x.dcm', RAMP, compress='DeflatedExplicit')
    data = path.read_bytes()
    (length,) = np.frombuffer(data[140:144], '<u4')
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = b''.join(bomb.compress(bytes(10**7)) for _ in range(30)) + bomb.flush()
    meta = data[144 : 144 + length]
    if how == 'long group 2':  # (0002,0102) PrivateInformation ahead of all that follows in it
        filler = b'\2\0\2\1OB\0\0' + (2000).to_bytes(4, 'little') + bytes(2000)
        meta, length = meta + filler, length + len(filler)
    if how == 'group length too great':
        length = 2**31 - 1
    path.write_bytes(data[:140] + int(length).to_bytes(4, 'little') + meta + zeros)
    assert path.stat().st_size < 10**6
    monkeypatch.setattr(pydicom, 'dcmread', lambda *_, **__: pytest.fail('inflated'))
    with pytest.raises(ValueError, match='inflates to more than 264 MB: not read'):
        dicom.read_dicom(path)


@pytest.mark.parametrize('compress', [None, 'RLELossless'])
def test_a_header_that_claims_too_many_pixels(tmp_path, compress):
    import pydicom

    path = write_dicom(tmp_path / 'x.dcm', RAMP, compress=compress)
    ds = pydicom.dcmread(path)
    ds.Rows = ds.Columns = 30_000
    ds.save_as(path)
    with pytest.raises(ValueError, match='30,000 × 30,000 pixels, more than 100 megapixels'):
        read_dicom(path)


@pytest.mark.parametrize(
    ('compress', 'form'), [('JPEG2000Lossless', '>II'), ('JPEGLSLossless', '>HH')]
)
def test_a_frame_that_claims_too_many_pixels(tmp_path, compress, form):
    import pydicom
    from pydicom.encaps import encapsulate, get_frame

    path = write_dicom(tmp_path / 'x.dcm', RAMP, compress=compress)
    ds = pydicom.dcmread(path)
    frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    size = struct.pack(form, *((50, 60) if form == '>II' else (60, 50)))
    assert frame.count(size) >= 1
    ds.PixelData = encapsulate([frame.replace(size, struct.pack(form, 12_000, 12_000))])
    ds.save_as(path)
    with pytest.raises(ValueError, match='12,000 × 12,000 pixels, more than 100 megapixels'):
        read_dicom(path)


@pytest.mark.parametrize('compress', ['RLELossless', 'JPEG2000Lossless', 'JPEGLSLossless'])
def test_garbage_in_a_frame_is_damage_and_no_missing_decoder(tmp_path, compress):
    import pydicom
    from pydicom.encaps import encapsulate

    path = write_dicom(tmp_path / 'x.dcm', RAMP, compress=compress)
    ds = pydicom.dcmread(path)
    ds.PixelData = encapsulate([np.random.default_rng(0).bytes(500)])
    ds.save_as(path)
    with pytest.raises(ValueError, match='the pixels do not decode') as error:
        read_dicom(path)
    assert 'pip install' not in str(error.value)
