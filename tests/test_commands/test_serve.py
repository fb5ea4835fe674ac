"""mlrfnet serve as a user starts it, with torch and scikit-learn out of reach."""

import os
import signal
import socket
import subprocess
import sys

import httpx2
import numpy as np
import pytest
from conftest import ROOT
from dicom_files import write_dicom
from test_export import WITHOUT_TORCH

from mlrfnet_mm.commands import call

pytestmark = pytest.mark.slow
for package in ('fastapi', 'pydicom'):
    pytest.importorskip(package)


def started(*words, **variables):
    """A server, and the address that it prints."""
    server = subprocess.Popen(
        [sys.executable, '-c', WITHOUT_TORCH, 'serve', *map(str, words), '--port', '0'],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = server.stdout.readline()
    assert line.startswith('page        http://'), server.communicate(timeout=10)
    assert server.stdout.readline() == 'Research use, not for diagnosis.\n'
    return server, line.split()[1]


def test_without_torch_and_nothing_in_the_log(bundle, tmp_path):
    server, page = started('--model', bundle)
    try:
        deep = np.arange(4096, dtype=np.uint16).reshape(64, 64)
        patient = dict(PatientName='Quetzalcoatl^Xochitl', PatientID='Quetzalcoatl' * 9)
        path = write_dicom(tmp_path / 'Quetzalcoatl.dcm', deep, **patient)
        for content in (path.read_bytes(), path.read_bytes()[:-900], b'Quetzalcoatl'):
            sent = dict(files=(path.name, content))
            answer = httpx2.post(f'{page}predict', files=sent, timeout=20)
            assert answer.status_code == 200
        record = httpx2.post(f'{page}predict', files=dict(files=('x', path.read_bytes()))).json()
        assert 'Effusion' in record['predictions'][0]['findings']
        assert 'Quetzalcoatl' not in str(record)
        assert 'Chest X-ray' in httpx2.get(page).text
    finally:
        server.send_signal(signal.SIGINT)
        said = server.communicate(timeout=20)
    assert server.returncode == 0
    assert said == ('stopped\n', '')


def test_the_token_of_the_environment(bundle):
    token = 'a token of many characters'
    server, page = started('--model', bundle, MLRFNET_TOKEN=token)
    try:
        assert httpx2.get(f'{page}model').status_code == 401
        headers = dict(authorization=f'Bearer {token}')
        assert httpx2.get(f'{page}model', headers=headers).status_code == 200
    finally:
        server.send_signal(signal.SIGTERM)
        assert token not in ''.join(server.communicate(timeout=20))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--device', 'cpu'], '--device: of a checkpoint'),
        (['--port', '99999'], 'a port is 65535 at most'),
        (['--host', '192.0.2.1', '--token', 'x' * 20], 'cannot listen on 192.0.2.1 port 8000'),
    ],
)
def test_a_mistake_is_one_line(bundle, capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        call('serve', ['--model', str(bundle), *words])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_port_in_use(bundle, capsys):
    with socket.create_server(('127.0.0.1', 0)) as taken, pytest.raises(SystemExit):
        call('serve', ['--model', str(bundle), '--port', str(taken.getsockname()[1])])
    assert 'Address already in use' in capsys.readouterr().err


def test_what_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr('mlrfnet_mm.commands.serve.find_spec', lambda name: None)
    with pytest.raises(SystemExit):
        call('serve', ['--model', 'x'])
    wanted = "python_multipart, prometheus_client: pip install 'mlrfnet-mm[serve]'"
    assert wanted in (capsys.readouterr().err)
