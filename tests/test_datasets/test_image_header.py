"""Files that claim too much, hold several pictures, or lack a part of their data."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mlrfnet_mm.datasets.transforms import LoadXray
from mlrfnet_mm.xrays.gray import read_gray

GRAY = (np.random.default_rng(0).random((8, 6)) * 255).astype(np.uint8)
XRAY = cv2.resize(GRAY, (300, 400), interpolation=cv2.INTER_CUBIC)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def png(width, height):
    """A PNG of a few bytes that claims any size."""

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    parts = chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(b'\0' * 99)), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def resized(data, old, new):
    """The file with another claim in its header."""
    assert data.count(old) >= 1
    return data.replace(old, new, 1)


CLAIMS = {
    'PNG': png(12_000, 12_000),
    'GIF': resized(
        encoded(GRAY, 'GIF'), struct.pack('<HH', 6, 8), struct.pack('<HH', 12000, 12000)
    ),
    'BMP': resized(
        encoded(GRAY, 'BMP'), struct.pack('<ii', 6, 8), struct.pack('<ii', 12000, 12000)
    ),
    'JPEG': resized(
        encoded(GRAY, 'JPEG'), struct.pack('>HH', 8, 6), struct.pack('>HH', 12000, 12000)
    ),
    'PGM': b'P5 12000 12000 255\n' + bytes(100),
}


@pytest.mark.parametrize('kind', CLAIMS)
def test_claimed_pixels_are_counted_before_decoding(kind, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(ValueError, match='12,000 × 12,000 pixels, more than 100 megapixels'):
        read_gray(CLAIMS[kind])


def test_a_claim_beyond_pillow_s_own_limit():
    with pytest.raises(ValueError, match='more than 100 megapixels'):
        read_gray(b'P5 60000 60000 255\n' + bytes(100))


@pytest.mark.parametrize('kind', ['PNG', 'GIF', 'WEBP'])
def test_animations_are_refused(kind):
    other = Image.fromarray(255 - XRAY)
    one = dict(lossless=True) if kind == 'WEBP' else {}
    data = encoded(XRAY, kind, save_all=True, append_images=[other], duration=100, **one)
    with pytest.raises(ValueError, match=f'an animated {kind} holds several pictures'):
        read_gray(data)
    if kind == 'GIF' and int(cv2.__version__.split('.')[0]) < 5:
        return  # OpenCV 4 reads none
    single = read_gray(encoded(XRAY, kind, **one))
    np.testing.assert_allclose(single.astype(int), XRAY, atol=1)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'CMYK'])
def test_a_cut_jpeg_with_an_end_marker_is_refused(mode):
    data = encoded(Image.fromarray(XRAY).convert(mode), 'JPEG', quality=90)
    whole = read_gray(data)
    np.testing.assert_allclose(whole.astype(int), XRAY, atol=12)
    with pytest.raises(ValueError, match=r'the JPEG of .* bytes has damaged data .*premature end'):
        read_gray(data[: len(data) // 2] + b'\xff\xd9')


@pytest.mark.parametrize('mode', ['L', 'RGB'])
@pytest.mark.parametrize('turned', [False, True])
@pytest.mark.parametrize('progressive', [False, True])
def test_jpegs_have_the_pixels_that_opencv_gives(mode, turned, progressive):
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    image = Image.fromarray(XRAY).convert(mode)
    options = dict(exif=exif) if turned else {}
    data = encoded(image, 'JPEG', quality=80, progressive=progressive, **options)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    if mode == 'RGB':
        expected = cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY)
    assert expected.shape == ((300, 400) if turned else (400, 300))
    np.testing.assert_array_equal(read_gray(data), expected)


@pytest.mark.parametrize('secret', [b'root:x:0:0:root', b'password = hunter2' * 30])
def test_no_content_is_quoted(secret, tmp_path):
    (tmp_path / 'a.png').write_bytes(secret)
    with pytest.raises(ValueError, match='not an image') as error:
        read_gray(tmp_path / 'a.png')
    assert 'root' not in str(error.value) and 'hunter' not in str(error.value)


@pytest.mark.parametrize('top', [4095, 4094, 100])
def test_stored_bits_set_the_scale(top, tmp_path):
    image = np.linspace(0, top, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(image).save(tmp_path / 'a.png')
    found = LoadXray(bits=12)(dict(img_path=str(tmp_path / 'a.png')))['img']
    np.testing.assert_allclose(found, image * (255 / 4095), atol=0.51)


def test_values_above_the_stored_bits_are_refused(tmp_path):
    Image.fromarray(np.full((8, 8), 4096, np.uint16)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='greatest value is 4096, above the 4095 of bits=12'):
        read_gray(tmp_path / 'a.png', bits=12)
    with pytest.raises(ValueError, match='bits must be from 8 to 16, or None, got 17'):
        LoadXray(bits=17)


def test_a_tiff_that_only_opencv_knows_is_not_decoded(tmp_path, monkeypatch):
    """Its size cannot be read beforehand: twice 16 bits for each of 12,000 x 12,000 pixels."""
    entries = {256: 12000, 257: 12000, 258: 16, 259: 1, 262: 1, 273: 8, 277: 2, 278: 12000}
    body = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in entries.items())
    data = b'II*\0' + struct.pack('<IH', 8, len(entries)) + body + bytes(4)
    (tmp_path / 'x.tif').write_bytes(data)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(ValueError, match='a TIFF of a kind that Pillow does not know; give a PNG'):
        read_gray(data)
