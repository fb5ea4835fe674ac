"""Who may ask, within which limits, and what browsers are told."""

import json

import cv2
import pytest

pytest.importorskip('fastapi')
from servers import FORM, form
from starlette.testclient import TestClient

from mlrfnet_mm.datasets.phantom import render
from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
from mlrfnet_mm.serving import uploads
from mlrfnet_mm.serving.app import Settings, make_app
from mlrfnet_mm.serving.guard import OPEN
from mlrfnet_mm.serving.uploads import Limits

TOKEN = 'a token of many characters'


@pytest.fixture(scope='module')
def inferencer(bundle):
    return BundleInferencer(bundle)


@pytest.fixture(scope='module')
def client(inferencer):
    settings = Settings(limits=Limits(megabytes=1, files=2))
    with TestClient(make_app(inferencer, settings), base_url='http://localhost') as client:
        yield client


@pytest.fixture(scope='module')
def locked(inferencer):
    app = make_app(inferencer, Settings(token=TOKEN))
    with TestClient(app, base_url='http://xrays.example') as client:
        yield client


@pytest.fixture
def png():
    return cv2.imencode('.png', render(0, 1, 0, 64).image)[1].tobytes()


@pytest.mark.parametrize('path', [*OPEN, '/model', '/metrics', '/nowhere', '/predict'])
def test_every_answer_has_the_headers_of_a_page_alone(client, path):
    headers = client.get(path).headers
    policy = headers['content-security-policy']
    assert policy.startswith("default-src 'self'") and 'unsafe' not in policy
    assert "frame-ancestors 'none'" in policy and "object-src 'none'" in policy
    assert headers['x-content-type-options'] == 'nosniff'
    assert headers['cache-control'] == 'no-store'
    assert 'access-control-allow-origin' not in headers


@pytest.mark.parametrize('path', ['/docs', '/redoc', '/example/../../setup.py', '/page/index.html'])
def test_there_is_no_more(client, path):
    assert client.get(path).status_code == 404


def test_the_interface_is_described(client):
    content = client.get('/openapi.json').json()
    assert set(content['paths']) == {
        '/predict', '/report', '/model', '/health', '/ready', '/metrics',
    }  # fmt: skip
    predict = content['paths']['/predict']['post']
    files = predict['requestBody']['content']['multipart/form-data']['schema']['properties']
    assert files['files']['items']['format'] == 'binary'
    assert {'200', '400', '413', '429'} <= set(predict['responses'])


def test_alive_and_ready(inferencer):
    app = make_app(inferencer, Settings())
    client = TestClient(app, base_url='http://localhost')
    assert client.get('/health').json() == dict(status='alive')
    assert client.get('/ready').status_code == 503  # nothing was started
    with client:
        assert client.get('/ready').json() == dict(status='ready')
    assert client.get('/ready').status_code == 503


@pytest.mark.parametrize('host', ['localhost', 'localhost:80', '127.0.0.1:8000', '[::1]:8000'])
def test_this_machine_is_answered(client, host):
    assert client.get('/health', headers=dict(host=host)).status_code == 200


@pytest.mark.parametrize(
    'host',
    ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '', '[::1', 'a:b:c'],
)
def test_another_name_for_this_machine_is_refused(client, host):
    """DNS rebinding: a page of evil.example, whose name has come to lead here."""
    answer = client.get('/model', headers=dict(host=host))
    assert answer.status_code == 400 and 'localhost' in answer.json()['detail']


@pytest.mark.parametrize(
    ('origin', 'status'),
    [('http://localhost', 200), ('http://evil.example', 403), ('null', 403),
     ('http://localhost:81', 403)],
)  # fmt: skip
def test_pages_of_other_sites_are_refused(client, png, origin, status):
    sent = dict(files=('x.png', png))
    answer = client.post('/predict', files=sent, headers=dict(origin=origin))
    assert answer.status_code == status


@pytest.mark.parametrize('given', [None, '', 'Bearer', f'Bearer {TOKEN}x', TOKEN, 'Bearer é'])
def test_without_the_token(locked, png, given):
    headers = {} if given is None else {'authorization': given.encode('latin-1')}
    for method, path in (('get', '/model'), ('get', '/metrics'), ('get', '/example/prior.png')):
        assert getattr(locked, method)(path, headers=headers).status_code == 401
    answer = locked.post('/predict', files=dict(files=('x.png', png)), headers=headers)
    assert answer.status_code == 401 and answer.headers['www-authenticate'] == 'Bearer'
    assert TOKEN not in answer.text


def test_with_the_token_by_any_name(locked, png):
    headers = dict(authorization=f'Bearer {TOKEN}')
    answer = locked.post('/predict', files=dict(files=('x.png', png)), headers=headers)
    assert answer.status_code == 200
    assert all(locked.get(path).status_code in (200, 204) for path in OPEN)


def test_limits(client, png):
    two = [('files', ('x.png', png))] * 2
    assert client.post('/predict', files=two).status_code == 200
    answer = client.post('/predict', files=[*two, two[0]])
    assert answer.status_code == 413
    assert answer.json()['detail'] == 'more than 2 files; send them in several requests'
    answer = client.post('/predict', files=dict(files=('x.png', png + bytes(1_000_000))))
    assert (answer.status_code, answer.json()['detail']) == (
        413, 'more than 1 MB; send fewer files at a time',
    )  # fmt: skip

    def endless():  # says no length
        for _ in range(30):
            yield bytes(50_000)

    answer = client.post('/predict', content=endless(), headers={'content-type': FORM})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ('kind', 'body', 'status', 'text'),
    [
        ('image/png', b'\x89PNG', 415, 'multipart/form-data'),
        ('', b'', 415, 'multipart/form-data'),
        ('multipart/form-data', b'', 400, 'not a form'),
        (FORM, b'nothing of the kind', 400, 'not a form'),
        (FORM, form(), 400, 'no file in the form'),
        (FORM, form(('x.png', b'')).replace(b'; filename="x.png"', b''), 400, 'not a form'),
    ],
)
def test_what_is_no_form_of_files(client, kind, body, status, text):
    answer = client.post('/predict', content=body, headers={'content-type': kind})
    assert answer.status_code == status and text in answer.json()['detail']


def test_metrics(inferencer, png):
    with TestClient(make_app(inferencer, Settings()), base_url='http://localhost') as client:
        for _ in range(3):
            client.post('/predict', files=[('files', ('x.png', png))] * 2)
        client.post('/predict', files=dict(files=('x.png', png)), headers=dict(host='evil.example'))
        client.get('/<script>')
        lines = client.get('/metrics').text.splitlines()
    for line in (
        'mlrfnet_requests_total{route="/predict",status="200"} 3.0',
        'mlrfnet_requests_total{route="/predict",status="400"} 1.0',
        'mlrfnet_requests_total{route="other",status="404"} 1.0',
        'mlrfnet_files_total 6.0',
        'mlrfnet_request_seconds_count{route="/predict"} 4.0',
        'mlrfnet_places 16.0',
        'mlrfnet_places_taken 0.0',
    ):
        assert line in lines
    assert any(line.startswith('process_resident_memory_bytes ') for line in lines)
    assert not any('<script' in line for line in lines)


def test_a_fault_of_the_server_says_nothing(inferencer, png, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError('Quetzalcoatl in /srv/secret')

    with TestClient(make_app(inferencer, Settings()), base_url='http://localhost') as client:
        with monkeypatch.context() as broken:
            broken.setattr(inferencer, '_run', fail)
            answer = client.post('/predict', files=dict(files=('x.png', png)))
        assert answer.status_code == 500
        assert json.loads(answer.text) == dict(detail='the server failed on this request')
        assert 'RuntimeError in' in caplog.text and 'Quetzalcoatl' not in caplog.text
        assert client.post('/predict', files=dict(files=('x.png', png))).status_code == 200


@pytest.mark.parametrize(
    ('name', 'shown'),
    [
        ('../../etc/passwd', 'passwd'),
        ('a\x00b\u202e.png', 'a b .png'),
        ('x' * 300 + '.dcm', 'x' * 89 + '…' + 'x' * 6 + '.dcm'),
        ('\ud800.png', '.png'),
    ],
)
def test_names_are_short_and_plain(name, shown):
    assert uploads.short_name(name) == shown
