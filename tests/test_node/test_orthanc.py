"""A node next to an Orthanc that is a dict: each fault, and in the end each study exactly once."""

import base64
import os
import random
import shutil
import ssl
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT
from node_parts import (
    CERTIFICATES,
    FakeOrthanc,
    Model,
    expected_results,
    make_xray,
    no_picture,
    until,
)

from mlrfnet_mm.node import orthanc as orthanc_module
from mlrfnet_mm.node import predictor as predictor_module
from mlrfnet_mm.node import worker as worker_module
from mlrfnet_mm.node.journal import Journal
from mlrfnet_mm.node.orthanc import Orthanc, run_orthanc
from mlrfnet_mm.node.predictor import Predictor
from mlrfnet_mm.node.worker import Worker

for package in ('pydicom', 'highdicom', 'requests'):
    pytest.importorskip(package)

# What mlrfnet node does after its options are read, with a model that needs no training.
NODE = """
import sys, threading
import highdicom.sc, highdicom.sr, pydicom.pixels  # before the first request: no kill meets them
sys.path.insert(0, sys.argv[1])
from node_parts import Model, no_picture
from mlrfnet_mm.node import predictor
from mlrfnet_mm.node.journal import Journal
from mlrfnet_mm.node.orthanc import Orthanc, run_orthanc
from mlrfnet_mm.node.predictor import Predictor
from mlrfnet_mm.node.worker import Worker
predictor.picture = no_picture  # drawing takes longest
archive = Orthanc(sys.argv[2])
worker = Worker(Predictor(Model(), top=1), Journal(sys.argv[3]), archive)
run_orthanc(archive, worker, len(sys.argv) > 4, threading.Event(), 0.01)
"""


@pytest.fixture
def fake():
    with FakeOrthanc() as fake:
        yield fake


@pytest.fixture
def node(tmp_path, fake, monkeypatch):
    """A worker, its archive and what it said."""
    monkeypatch.setattr(worker_module, 'LONGEST_WAIT', 0.05)
    monkeypatch.setattr(predictor_module, 'picture', no_picture)
    said, model = [], Model()
    archive, journal = Orthanc(fake.url), Journal(tmp_path / 'state')
    worker = Worker(Predictor(model, top=1), journal, archive, said.append)

    class Node:
        def once(self):
            run_orthanc(archive, worker, True, threading.Event())

        def start(self):
            self.stop = threading.Event()
            args = (archive, worker, False, self.stop, 0.01)
            self.thread = threading.Thread(target=run_orthanc, args=args)
            self.thread.start()

        def end(self):
            self.stop.set()
            self.thread.join()

    node = Node()
    node.said, node.journal, node.model, node.archive = said, journal, model, archive
    yield node
    journal.close()


def test_new_images_get_results_once(node, fake, tmp_path):
    for number in range(2):
        fake.add(make_xray(tmp_path / 'x.dcm', number))
    node.once()
    assert sorted(fake.results()) == sorted(expected_results(range(2)))
    node.once()  # sees its own results as new instances, and leaves them
    assert len(fake.posts) == 4 and node.model.calls == 2
    assert node.journal.outcomes() == {'done': 2} and not node.journal.waiting(fake.url)


def test_others_are_noted_and_left(node, fake, tmp_path):
    fake.add(make_xray(tmp_path / 'x.dcm', 1, ViewPosition='LL'))
    fake.add(make_xray(tmp_path / 'x.dcm', 2, Modality='CT'))
    fake.add(make_xray(tmp_path / 'x.dcm', 3, PixelData=b'\0\0'))
    fake.add(make_xray(tmp_path / 'x.dcm', 4, Modality='SR'))  # of another maker
    node.once()
    assert node.journal.outcomes() == {
        'left: view is not frontal': 1,
        'left: modality is not CR or DX': 2,
        'left: image is not read (ValueError)': 1,
    }
    assert not fake.posts


def test_a_study_that_comes_in_two_halves(node, fake, tmp_path):
    study = dict(StudyInstanceUID='1.2.3')
    fake.add(make_xray(tmp_path / 'x.dcm', 1, **study))
    node.once()
    assert set(fake.results()) == expected_results([1])
    fake.add(make_xray(tmp_path / 'x.dcm', 2, **study))
    node.once()
    assert sorted(fake.posts) == sorted(expected_results([1, 2]))


def test_an_image_that_is_sent_again(node, fake, tmp_path):
    data = make_xray(tmp_path / 'x.dcm', 1)
    fake.add(data)
    node.once()
    item = fake.uids['1.2.826.0.1.9.1']
    fake.changes.append(dict(ChangeType='NewInstance', ID=item, Seq=len(fake.changes) + 1))
    node.once()
    assert node.model.calls == 1, 'its results are there'
    for uid in expected_results([1]):  # the study was deleted, and comes back
        del fake.files[fake.uids.pop(uid)]
    fake.changes.append(dict(ChangeType='NewInstance', ID=item, Seq=len(fake.changes) + 1))
    node.once()
    assert node.model.calls == 2 and set(fake.results()) == expected_results([1])


def test_an_image_that_is_deleted_before_it_is_read(node, fake, tmp_path):
    fake.add(make_xray(tmp_path / 'x.dcm', 1))
    fake.files.clear()
    node.once()
    assert node.journal.outcomes() == {'left: deleted before it was read': 1}


def test_a_full_disk_is_waited_for_and_said_once(node, fake, tmp_path):
    full = 5
    tried = []

    def fault(method, path):
        if method == 'POST' and path == '/instances':
            tried.append(path)
            return 507 if len(tried) <= full else None

    fake.fault = fault
    for number in range(3):
        fake.add(make_xray(tmp_path / 'x.dcm', number))
    node.start()
    try:
        until(lambda: set(fake.results()) == expected_results(range(3)))
    finally:
        node.end()
    assert len(fake.posts) == 6, 'nothing twice'
    waiting = [line for line in node.said if line.startswith('WAITING')]
    assert len(waiting) == 1 and '507 to POST, as when its disk is full' in waiting[0]
    assert 'going on' in node.said


def test_one_file_that_fails_holds_up_no_other(node, fake, tmp_path):
    for number in range(3):
        fake.add(make_xray(tmp_path / 'x.dcm', number))
    bad = fake.uids['1.2.826.0.1.9.0']
    fake.fault = lambda method, path: 500 if path == f'/instances/{bad}/file' else None
    node.start()
    try:
        until(lambda: set(fake.results()) == expected_results([1, 2]))
        until(lambda: node.journal.waiting(fake.url) == 1)
        fake.fault = lambda method, path: None
        until(lambda: set(fake.results()) == expected_results(range(3)))
    finally:
        node.end()


def test_an_archive_that_is_down_for_a_while(node, tmp_path):
    with FakeOrthanc() as gone:
        node.archive.url = gone.url
    node.start()
    try:
        until(lambda: any('does not answer' in line for line in node.said))
        time.sleep(0.2)  # several tries
        assert sum(line.startswith('WAITING') for line in node.said) == 1
        with FakeOrthanc(gone.port) as back:
            back.add(make_xray(tmp_path / 'x.dcm', 1))
            until(lambda: set(back.results()) == expected_results([1]))
            until(lambda: 'going on' in node.said)
    finally:
        node.end()


def test_once_says_what_is_wrong_and_keeps_what_waits(node, fake, tmp_path):
    fake.add(make_xray(tmp_path / 'x.dcm', 1))
    fake.fault = lambda method, path: 503 if method == 'POST' else None
    with pytest.raises(ConnectionError, match='503 to POST.*; 1 instances wait for the next run'):
        node.once()
    fake.fault = lambda method, path: None
    node.once()
    assert sorted(fake.posts) == sorted(expected_results([1]))


def test_a_result_that_is_refused_is_not_sent_for_ever(node, fake, tmp_path):
    fake.add(make_xray(tmp_path / 'x.dcm', 1))
    fake.fault = lambda method, path: 400 if path == '/instances' else None
    node.once()
    assert node.journal.outcomes() == {'results refused: Orthanc answers 400': 1}


def test_an_image_that_breaks_the_model_does_not_end_the_node(node, fake, tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError('with a name in it')

    fake.add(make_xray(tmp_path / 'x.dcm', 1))
    with monkeypatch.context() as patch:
        patch.setattr(predictor_module, 'picture', broken)
        node.once()
    fake.add(make_xray(tmp_path / 'x.dcm', 2))
    node.once()
    assert node.journal.outcomes() == {
        'left: no result could be made (ZeroDivisionError)': 1,
        'done': 1,
    }


def test_another_archive_at_the_same_address_is_read_from_its_start(node, fake, tmp_path):
    for number in range(3):
        fake.add(make_xray(tmp_path / 'x.dcm', number))
    node.once()
    for kept in (fake.files, fake.tags, fake.uids, fake.changes, fake.posts):
        kept.clear()
    fake.add(make_xray(tmp_path / 'x.dcm', 5))
    node.once()
    assert set(fake.results()) == expected_results([5])
    assert any('another archive' in line for line in node.said)


def test_more_changes_than_a_page_has(node, fake, tmp_path, monkeypatch):
    monkeypatch.setattr(orthanc_module, 'PAGE', 3)
    for number in range(10):
        fake.add(make_xray(tmp_path / 'x.dcm', number, Modality='CT'))
    node.once()
    assert node.journal.outcomes() == {'left: modality is not CR or DX': 10}


def test_a_user_and_a_password(fake, tmp_path, node):
    fake.user = 'Basic ' + base64.b64encode(b'node:secret').decode()
    with pytest.raises(ConnectionError, match='answers 401: set ORTHANC_USER'):
        node.once()
    assert Orthanc(fake.url, ('node', 'secret')).last() == 0


@pytest.mark.parametrize(
    ('url', 'message'),
    [
        ('127.0.0.1:8042', 'must be as http://'),
        ('ftp://a', 'must be as http://'),
        ('http://node:secret@a:8042', 'no user or password in the URL'),
    ],
)
def test_a_wrong_url(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        Orthanc(url)
    assert 'secret' not in str(caught.value)


def test_what_is_not_an_orthanc(fake, node):
    fake.found = lambda path, body: (200, b'<html>')
    with pytest.raises(ConnectionError, match='is it an Orthanc'):
        node.once()


def test_tls_is_checked_with_the_given_authority(tmp_path):
    if shutil.which('openssl') is None:
        pytest.skip('openssl is not installed')
    cert, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    command = [*CERTIFICATES, '-keyout', str(key), '-out', str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with FakeOrthanc(context=context) as fake:
        assert Orthanc(fake.url, ca=str(cert)).last() == 0
        with pytest.raises(worker_module.Unavailable, match='certificate is not trusted'):
            Orthanc(fake.url).last()


WITHOUT_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'mmengine', 'mmpretrain', 'mmcv', 'timm', 'sklearn'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Blocked())
"""


def test_no_torch_is_needed(fake, tmp_path, run):
    fake.add(make_xray(tmp_path / 'x.dcm', 1))
    words = [ROOT / 'tests', fake.url, tmp_path / 'state', 'once']
    run(sys.executable, '-c', WITHOUT_TORCH + NODE, *words, env=dict(PYTHONPATH=str(ROOT)))
    assert sorted(fake.results()) == sorted(expected_results([1]))


def kill_and_go_on(fake, folder, kills, seed):
    """Kill a node at random moments, then let it finish."""
    draw = random.Random(seed)
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    words = [sys.executable, '-c', NODE, str(ROOT / 'tests'), fake.url, str(folder)]
    for _ in range(kills):
        fake.asked.clear()
        process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
        try:
            assert fake.asked.wait(60)  # it has started
            time.sleep(draw.uniform(0, 1))
        finally:
            process.kill()
            process.wait()
    subprocess.run([*words, 'once'], env=env, check=True, stdout=subprocess.DEVNULL, timeout=300)


@pytest.mark.slow
def test_killed_between_the_report_and_the_picture(fake, tmp_path):
    posts = []

    def fault(method, path):
        if path == '/instances':
            posts.append(path)
            if len(posts) == 2:
                process.kill()

    fake.fault = fault
    fake.add(make_xray(tmp_path / 'x.dcm', 1))
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    words = [sys.executable, '-c', NODE, str(ROOT / 'tests'), fake.url, str(tmp_path / 'state')]
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
    assert process.wait(60) < 0 and len(posts) == 2
    subprocess.run([*words, 'once'], env=env, check=True, stdout=subprocess.DEVNULL, timeout=300)
    assert len(posts) == 4, 'both are sent again'
    assert sorted(fake.results()) == sorted(expected_results([1]))
    journal = Journal(tmp_path / 'state')
    assert journal.outcomes() == {'done': 1}
    journal.close()


@pytest.mark.slow
def test_killed_at_random_moments_each_study_has_its_results_once(fake, tmp_path):
    count = int(os.environ.get('NODE_STUDIES', '6'))
    for number in range(count):
        fake.add(make_xray(tmp_path / 'x.dcm', number))
    kill_and_go_on(fake, tmp_path / 'state', int(os.environ.get('NODE_KILLS', '3')), 0)
    assert sorted(fake.results()) == sorted(expected_results(range(count)))
    journal = Journal(tmp_path / 'state')
    assert journal.outcomes() == {'done': count} and not journal.waiting(fake.url)
    journal.close()
