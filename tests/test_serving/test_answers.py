"""What the server answers is what the inferencer finds in the same file on the disk."""

import base64
import io
import json

import cv2
import numpy as np
import pytest
from builders import small_checkpoint
from dicom_files import STUDY, write_dicom

pytest.importorskip('fastapi')
pytest.importorskip('pydicom')
from starlette.testclient import TestClient

import mlrfnet_mm
from mlrfnet_mm.datasets.phantom import render
from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
from mlrfnet_mm.serving import schema
from mlrfnet_mm.serving.app import Settings, make_app
from mlrfnet_mm.xrays.files import read_xray


@pytest.fixture(scope='module')
def inferencer(bundle):
    return BundleInferencer(bundle)


@pytest.fixture(scope='module')
def client(inferencer):
    with TestClient(make_app(inferencer, Settings()), base_url='http://localhost') as client:
        yield client


def xray(size=96):
    return render(0, 1, 0, size).image


def write(path, pixels):
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Kind → file."""
    folder = tmp_path_factory.mktemp('files')
    deep = xray().astype(np.uint16) * 16
    bare = write_dicom(folder / 'whole.dcm', deep, WindowCenter=2048, WindowWidth=4096)
    found = dict(
        png=write(folder / 'x.png', xray()),
        wide=write(folder / 'wide.png', xray(130)[:90]),
        deep=write(folder / 'deep.png', deep),
        jpeg=write(folder / 'x.jpg', xray()),
        tiff=write(folder / 'x.tif', deep),
        dicom=write_dicom(folder / 'no_suffix', deep, PixelSpacing=[0.4, 0.3]),
    )
    found['no_preamble'] = folder / 'old.dcm'
    found['no_preamble'].write_bytes(bare.read_bytes()[132:])
    return found


def post(client, *paths, route='/predict', **options):
    sent = [('files', (path.name, path.read_bytes())) for path in paths]
    return client.post(route, files=sent, **options)


def gray(text):
    data = np.frombuffer(base64.b64decode(text), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


KINDS = ['png', 'wide', 'deep', 'jpeg', 'tiff', 'dicom', 'no_preamble']


@pytest.mark.parametrize('kind', KINDS)
def test_the_same_as_from_the_disk(client, inferencer, files, kind):
    path = files[kind]
    answer = post(client, path)
    assert answer.status_code == 200
    schema.Answer.model_validate(answer.json())
    expected = inferencer(path, heatmap=True, top=14)
    record = expected['predictions'][0] | dict(file=path.name)
    assert answer.json()['predictions'] == [record]
    assert answer.json()['stamp'] == inferencer.stamp
    assert answer.json()['notice'] == mlrfnet_mm.NOTICE
    (picture,) = answer.json()['pictures']
    np.testing.assert_array_equal(gray(picture['image']), read_xray(path).pixels)
    for name, heat in expected['visualization'][0].items():
        shown = gray(picture['heats'][name]).astype(float)
        if max(heat.shape) > 128:
            assert max(shown.shape) == 128
            continue
        assert ((shown == 0) == np.isnan(heat)).all()
        low, high = np.nanmin(heat), np.nanmax(heat)
        known = ~np.isnan(heat)
        np.testing.assert_allclose((shown[known] - 1) / 254 * (high - low) + low, heat[known],
                                   atol=0.51 / 254 * (high - low) + 1e-6)  # fmt: skip


def test_each_file_for_itself_and_a_bad_one_costs_one_record(client, files, tmp_path):
    bad = tmp_path / 'bad.png'
    bad.write_bytes(files['png'].read_bytes()[:300])
    answer = post(client, files['png'], bad, files['dicom']).json()
    schema.Answer.model_validate(answer)
    first, second, third = answer['predictions']
    assert second == dict(
        file='bad.png', error='the PNG is truncated: no end marker in its 300 bytes; get it again'
    )
    assert [picture is None for picture in answer['pictures']] == [False, True, False]
    assert first == post(client, files['png']).json()['predictions'][0]
    assert third['spacing_mm'] == [0.4, 0.3]


def test_without_pictures(client, files):
    whole = post(client, files['png']).json()
    assert whole.pop('pictures')
    assert post(client, files['png'], params=dict(pictures=False)).json() == whole
    refused = post(client, files['png'], params=dict(pictures='<script>'))
    assert refused.status_code == 422 and '<' not in refused.text


def test_a_large_image_is_shown_smaller_and_predicted_whole(client, inferencer, tmp_path):
    large = cv2.resize(xray(128), (3000, 2400))
    path = write(tmp_path / 'large.png', large)
    answer = post(client, path).json()
    assert answer['predictions'][0]['size'] == [3000, 2400]
    picture = answer['pictures'][0]
    assert (picture['width'], picture['height']) == (2048, 1638)
    small = cv2.resize(large, (2048, 1638), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(gray(picture['image']), small)


def test_patients_and_names_stay(client, tmp_path, caplog, capfd):
    patient = dict(PatientName='Quetzalcoatl^Xochitl', PatientID='MRN-0815-4711')
    deep = xray().astype(np.uint16) * 16
    path = write_dicom(tmp_path / 'Quetzalcoatl.dcm', deep, **patient)
    answer = post(client, path)
    record = answer.json()['predictions'][0]
    assert record.pop('file') == path.name  # which the sender gave
    report = post(client, path, route='/report')
    assert report.status_code == 200 and record['findings']
    said = ''.join([json.dumps(record), report.text, caplog.text, *capfd.readouterr()])
    for private in ('Quetzalcoatl', 'Xochitl', 'MRN-0815-4711', STUDY):
        assert private not in said


def test_the_report_is_that_of_predict(client, inferencer, files):
    answer = post(client, files['png'], route='/report')
    assert answer.headers['content-disposition'] == 'attachment; filename="report.html"'
    assert answer.headers['content-type'].startswith('text/html')
    page = answer.text
    assert page.count('data:image/png;base64,') == 3 and mlrfnet_mm.NOTICE in page
    assert inferencer.stamp['sha256'] in page and 'http' not in page.replace('http-equiv', '')
    record = inferencer(files['png'])['predictions'][0]
    for name, row in record['findings'].items():
        assert name.replace('_', ' ') in page and f'{row["probability"]:.3f}' in page
    assert post(client, files['png'], files['png'], route='/report').status_code == 413
    files = dict(files=('x.png', b'no image'))
    refused = client.post('/report', files=files)
    assert refused.status_code == 422
    assert refused.json()['detail'].startswith('not an image of a kind that is read')


def test_a_bundle_without_maps(bundle, files, tmp_path):
    folder = tmp_path / 'bundle'
    folder.mkdir()
    for path in bundle.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / 'bundle.json').read_text())
    (folder / 'bundle.json').write_text(json.dumps(content | dict(shifts=[])))
    app = make_app(BundleInferencer(folder), Settings())
    with TestClient(app, base_url='http://localhost') as client:
        assert post(client, files['png']).json()['pictures'][0]['heats'] == {}
        assert 'has no heat maps' in client.get('/model').json()['heatmaps']
        assert post(client, files['png'], route='/report').status_code == 200


def test_a_checkpoint_instead_of_a_bundle(phantom, files, tmp_path):
    inferencer = mlrfnet_mm.CXRInferencer(weights=small_checkpoint(tmp_path, phantom), device='cpu')
    with TestClient(make_app(inferencer, Settings()), base_url='http://localhost') as client:
        answer = post(client, files['png']).json()
    expected = inferencer(files['png'])['predictions'][0]['findings']
    found = answer['predictions'][0]['findings']
    assert found == expected and found['Mass']['probability'] is None
    assert len(answer['pictures'][0]['heats']) == 14
    assert schema.Answer.model_validate(answer)


@pytest.mark.parametrize(('name', 'index', 'findings'), [
    ('prior', 1, ()), ('current', 2, ('Cardiomegaly', 'Nodule')),
])  # fmt: skip
def test_the_example_is_a_phantom(client, name, index, findings):
    made = render(1, 44, index, 256)
    shipped = client.get(f'/example/{name}.png')
    assert shipped.headers['content-type'] == 'image/png'
    data = np.frombuffer(io.BytesIO(shipped.content).getvalue(), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), made.image)
    assert made.findings == findings
