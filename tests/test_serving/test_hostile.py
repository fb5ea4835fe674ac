"""Six hundred uploads that mean harm, drawn by a seed: no 5xx, nothing that runs, no growth."""

import ctypes
import gc
import struct
import sys
import tempfile
import zlib
from functools import cache
from io import BytesIO

import numpy as np
import psutil
import pytest
from conftest import ROOT
from dicom_files import write_dicom

pytest.importorskip('fastapi')
pytest.importorskip('pydicom')
import pydicom
from PIL import Image
from starlette.testclient import TestClient

from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
from mlrfnet_mm.serving.app import Settings, make_app
from mlrfnet_mm.serving.schema import Answer, Error
from mlrfnet_mm.serving.uploads import Limits
from mlrfnet_mm.xrays.files import Limits as ImageLimits

COUNT, WARM = 600, 400  # until then, decoders are loaded and buffers grow to their sizes
GROWTH = 10e6  # bytes, over the last 200
SCRIPTS = ('<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'-alert(1)-'&lt;",
           '</table><svg/onload=alert(1)>', '{{7*7}}<b>')  # fmt: skip
FIELDS = ('PatientName', 'PatientID', 'Modality', 'ViewPosition', 'StudyDescription',
          'StudyInstanceUID', 'PhotometricInterpretation')  # fmt: skip
TYPES = ('image/png', 'application/dicom', 'text/html', 'image/svg+xml', '<b>', '')


def gray(rng, side=96):
    return rng.integers(0, 4096, (side, side), np.uint16)


def file_of(kind, picture):
    out = BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def png_bomb(rng):
    """A few bytes that claim up to 2^31 pixels a side."""
    width, height = (int(rng.integers(20_000, 2**31)) for _ in range(2))
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, int(rng.choice([8, 16])), 0, 0, 0, 0)
    chunks = [header, b'IDAT' + zlib.compress(bytes(100_000)), b'IEND']
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(c) - 4) + c + struct.pack('>I', zlib.crc32(c)) for c in chunks
    )


def dicom(rng, **tags):
    out = BytesIO()
    compress = [None, 'DeflatedExplicit', 'RLELossless'][rng.integers(2 if tags else 3)]
    write_dicom(out, gray(rng), compress=compress, **tags)
    return out.getvalue()


def dicom_bomb(rng):
    """A header that claims more pixels than there are."""
    side = int(rng.integers(11_000, 65_535))
    return dicom(rng, Rows=side, Columns=side)


@cache
def deflated():
    """A file of 300 kB that inflates to 300 MB."""
    syntax = b'1.2.840.10008.1.2.1.99'
    meta = b'\x02\x00\x10\x00UI' + struct.pack('<H', len(syntax)) + syntax
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = b''.join(deflate.compress(bytes(10_000_000)) for _ in range(30)) + deflate.flush()
    return bytes(128) + b'DICM' + meta + body


def deflated_bomb(rng):
    return deflated()


def with_scripts(rng):
    return dicom(rng, **{str(rng.choice(FIELDS)): str(rng.choice(SCRIPTS))})


def valid(rng):
    kind = str(rng.choice(['PNG', 'JPEG', 'TIFF', 'dicom']))
    if kind == 'dicom':
        return dicom(rng)
    return file_of(kind, Image.fromarray((gray(rng) // 16).astype(np.uint8)))


def truncated(rng):
    data = valid(rng)
    return data[: int(rng.integers(1, len(data)))]


def flipped(rng):
    """Bytes changed here and there."""
    data = bytearray(valid(rng))
    for at in rng.integers(0, len(data), int(rng.integers(1, 30))):
        data[at] = int(rng.integers(256))
    return bytes(data)


def another_kind(rng):
    return [
        b'', b'%PDF-1.7\n<script>alert(1)</script>', b'PK\x03\x04' + bytes(500), b'MZ' + bytes(99),
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', bytes(1000),
        b'GIF89a' + bytes(300), rng.bytes(5000), b'\xff\xd8\xff' + bytes(500),
        bytes(128) + b'DICM' + rng.bytes(3000), b'II*\0' + rng.bytes(800), b'BM' + rng.bytes(800),
    ][rng.integers(12)]  # fmt: skip


MAKERS = [
    truncated,
    flipped,
    png_bomb,
    dicom_bomb,
    with_scripts,
    another_kind,
    valid,
    deflated_bomb,
]
SHARES = [0.2, 0.2, 0.1, 0.1, 0.15, 0.14, 0.1, 0.01]  # the last one takes half a second


def upload(rng):
    """Files of a request, and headers: one to a dozen files, more than allowed now and then."""
    count = 12 if rng.random() < 0.05 else int(rng.choice([1, 1, 1, 3]))
    files = []
    for _ in range(count):
        maker = MAKERS[rng.choice(len(MAKERS), p=SHARES)]
        name = str(rng.choice(['x.png', 'x.dcm', '../../x.tif', 'a\x00b', '', 'é' * 400, *SCRIPTS]))
        files.append(('files', (name or 'x', maker(rng), str(rng.choice(TYPES)))))
    return files


def resident():
    """Bytes that are held, without those that malloc keeps for later."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), 'malloc_trim', None):
        trim(0)
    return psutil.Process().memory_info().rss


@pytest.mark.filterwarnings('ignore')  # pydicom's, of what the test itself writes
def test_six_hundred_uploads(bundle):
    rng = np.random.default_rng(20261126)
    app = make_app(BundleInferencer(bundle), Settings(limits=Limits(megabytes=8, files=6)))
    seen, before = dict(predicted=0, errors=0, refused=0), 0
    with TestClient(app, base_url='http://localhost') as client:
        for number in range(COUNT):
            if number == WARM:
                before = resident()
            answer = client.post('/predict', files=upload(rng))
            assert answer.status_code in (200, 400, 413), (number, answer.text[:500])
            assert answer.headers['content-type'] == 'application/json'
            assert answer.headers['x-content-type-options'] == 'nosniff'
            for character in '<>':  # nothing of it is HTML, whatever it is taken for
                assert character not in answer.text, number
            if answer.status_code != 200:
                Error.model_validate(answer.json())
                seen['refused'] += 1
                continue
            for record in Answer.model_validate(answer.json()).predictions:
                seen['errors' if record.error else 'predicted'] += 1
                for private in (
                    str(ROOT),
                    sys.prefix,
                    tempfile.gettempdir(),
                    'site-packages',
                    '.py',
                ):
                    assert private not in (record.error or ''), (number, record.error)
        growth = resident() - before
        good = client.post('/predict', files=[('files', ('x.png', valid(rng)))])
    assert min(seen.values()) >= 5 and sum(seen.values()) > COUNT, seen
    assert growth < GROWTH, f'{growth:,} bytes'
    assert good.status_code == 200


@pytest.mark.parametrize('maker', [png_bomb, dicom_bomb, deflated_bomb])
def test_a_bomb_is_refused_before_it_is_decoded(bundle, maker):
    rng = np.random.default_rng(0)
    data = maker(rng)
    app = make_app(BundleInferencer(bundle), Settings())
    with TestClient(app, base_url='http://localhost') as client:
        answer = client.post('/predict', files=[('files', ('x', data))])
    error = answer.json()['predictions'][0]['error']
    assert ('the file claims' if maker is not deflated_bomb else 'inflates to more than') in error


def compressed(kind):
    """A DICOM file of 300 x 200 pixels whose header claims fewer than its compressed frame."""
    out = BytesIO()
    pixels = np.arange(60_000, dtype=np.uint16).reshape(200, 300) % 4096
    write_dicom(out, pixels, compress=kind)
    ds = pydicom.dcmread(BytesIO(out.getvalue()))
    ds.Rows, ds.Columns = 80, 80
    out = BytesIO()
    ds.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize(
    'kind', ['PNG', 'JPEG', 'TIFF', 'DICOM', 'JPEGLSLossless', 'JPEG2000Lossless']
)
def test_the_limit_of_pixels_is_that_of_the_server(bundle, kind):
    if kind == 'JPEGLSLossless':
        pytest.importorskip('jpeg_ls')
    out = BytesIO()
    if kind == 'DICOM':
        write_dicom(out, np.arange(60_000, dtype=np.uint16).reshape(200, 300) % 4096)
        data = out.getvalue()
    elif kind.startswith('JPEG') and kind != 'JPEG':
        data = compressed(kind)
    else:
        pixels = (np.arange(60_000) % 256).astype(np.uint8).reshape(200, 300)
        data = file_of(kind, Image.fromarray(pixels))
    for megapixels, refused in ((0.05, True), (0.06, False)):
        inferencer = BundleInferencer(bundle, limits=ImageLimits(megapixels=megapixels))
        app = make_app(inferencer, Settings())
        with TestClient(app, base_url='http://localhost') as client:
            answer = client.post('/predict', files=[('files', ('x', data))])
        error = answer.json()['predictions'][0].get('error', '')
        claim = f'the file claims 300 × 200 pixels, more than {megapixels:g} megapixels'
        assert error.startswith(claim) == refused, error
