"""The node with Debian's Orthanc and dcmtk's storescu, on the loopback."""

import json
import os
import shutil
import socket
import subprocess
import threading

import pytest
from node_parts import Model, expected_results, make_xray, no_picture, until

from mlrfnet_mm.node import predictor as predictor_module
from mlrfnet_mm.node.journal import Journal
from mlrfnet_mm.node.listen import Address, Inbox, Sender, listening, work_off
from mlrfnet_mm.node.orthanc import Orthanc, run_orthanc
from mlrfnet_mm.node.predictor import Predictor
from mlrfnet_mm.node.worker import Unavailable, Worker

pytestmark = pytest.mark.slow
requests = pytest.importorskip('requests')
for package in ('pydicom', 'highdicom', 'pynetdicom'):
    pytest.importorskip(package)
PATH = f'{os.environ.get("PATH", "")}:/usr/sbin'  # where Debian has it
USER = ('node', 'secret')


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as found:
        return found.getsockname()[1]


@pytest.fixture(scope='module')
def orthanc(tmp_path_factory):
    """URL and DICOM port of an Orthanc that starts empty."""
    program = shutil.which('Orthanc', path=PATH)
    if program is None:
        pytest.skip('Orthanc is not installed (Debian: orthanc)')
    folder, http, dicom = tmp_path_factory.mktemp('orthanc'), free_port(), free_port()
    settings = dict(
        StorageDirectory=str(folder / 'db'), IndexDirectory=str(folder / 'db'), Plugins=[],
        HttpPort=http, DicomPort=dicom, DicomAet='ARCHIVE', DicomCheckCalledAet=True,
        AuthenticationEnabled=True, RegisteredUsers={USER[0]: USER[1]}, DicomAlwaysAllowStore=True,
    )  # fmt: skip
    (folder / 'orthanc.json').write_text(json.dumps(settings))
    log = (folder / 'log').open('w')
    process = subprocess.Popen([program, folder / 'orthanc.json'], stdout=log, stderr=log)
    url = f'http://127.0.0.1:{http}'
    try:
        until(lambda: answers(url), 60)
        yield url, dicom
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def answers(url):
    try:
        return Orthanc(url, USER).last() >= 0
    except Unavailable:
        return False


def results(url):
    """SOP Instance UIDs of SR and SC, by series of one instance each."""
    found = []
    for series in requests.get(f'{url}/series?expand', auth=USER).json():
        if series['MainDicomTags'].get('Manufacturer') == 'mlrfnet-mm':
            (item,) = series['Instances']
            tags = requests.get(f'{url}/instances/{item}', auth=USER).json()['MainDicomTags']
            found.append(tags['SOPInstanceUID'])
    return sorted(found)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(predictor_module, 'picture', no_picture)


def test_polling(orthanc, tmp_path):
    url, _ = orthanc
    for number in (1, 2):
        data = make_xray(tmp_path / 'x.dcm', number)
        assert requests.post(f'{url}/instances', data=data, auth=USER).status_code == 200
    archive, journal, said = Orthanc(url, USER), Journal(tmp_path / 'state'), []
    worker = Worker(Predictor(Model(), top=1), journal, archive, said.append)
    run_orthanc(archive, worker, True, threading.Event())
    assert results(url) == sorted(expected_results([1, 2]))
    studies = requests.get(f'{url}/studies?expand', auth=USER).json()
    assert sorted(len(study['Series']) for study in studies) == [3, 3]
    run_orthanc(archive, worker, True, threading.Event())  # its own results are new instances
    assert (
        results(url) == sorted(expected_results([1, 2])) and worker.predictor.inferencer.calls == 2
    )
    journal.close()
    journal = Journal(tmp_path / 'other')  # a node that has lost its state sends the same again
    worker = Worker(Predictor(Model(), top=1), journal, archive, said.append)
    run_orthanc(archive, worker, True, threading.Event())
    assert (
        results(url) == sorted(expected_results([1, 2])) and worker.predictor.inferencer.calls == 2
    )
    journal.close()


def test_a_wrong_password(orthanc):
    with pytest.raises(Unavailable, match='answers 401'):
        Orthanc(orthanc[0], ('node', 'wrong')).last()


def test_by_c_store(orthanc, tmp_path, quick):
    """The modality is storescu, the archive is Orthanc, the node is in between."""
    url, dicom = orthanc
    storescu = shutil.which('storescu', path=PATH)
    if storescu is None:
        pytest.skip('storescu is not installed (Debian: dcmtk)')
    (tmp_path / 'sent.dcm').write_bytes(make_xray(tmp_path / 'x.dcm', 7))
    sender, journal = (
        Sender(Address('ARCHIVE', '127.0.0.1', dicom), 'NODE'),
        Journal(tmp_path / 's'),
    )
    worker = Worker(Predictor(Model(), top=1), journal, sender, [].append)
    inbox = Inbox(tmp_path / 'waiting', 10)
    with listening(Address('NODE', '127.0.0.1', 0), inbox, worker) as server:
        port = str(server.server_address[1])
        words = [storescu, '-aec', 'NODE', '127.0.0.1', port, tmp_path / 'sent.dcm']
        subprocess.run(words, check=True, timeout=60)
        words[2] = 'WRONG'
        assert subprocess.run(words, capture_output=True, timeout=60).returncode
        work_off(inbox, worker, True, threading.Event())
    assert set(expected_results([7])) <= set(results(url))
    assert journal.outcomes() == {'done': 1} and not len(inbox)
    journal.close()


def test_an_orthanc_that_starts_after_the_node(orthanc, tmp_path, quick):
    url, _ = orthanc
    archive, journal, said = Orthanc('http://127.0.0.1:9'), Journal(tmp_path / 'state'), []
    stop = threading.Event()
    worker = Worker(Predictor(Model(), top=1), journal, archive, said.append)
    thread = threading.Thread(target=run_orthanc, args=(archive, worker, False, stop, 0.05))
    thread.start()
    until(lambda: said)
    archive.url, archive._session.auth = url, USER
    requests.post(f'{url}/instances', data=make_xray(tmp_path / 'x.dcm', 9), auth=USER)
    try:
        until(lambda: set(expected_results([9])) <= set(results(url)))
    finally:
        stop.set()
        thread.join()
        journal.close()
    assert 'going on' in said
