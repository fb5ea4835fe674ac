"""A node that takes C-STORE and sends its results by C-STORE, with a peer on the loopback."""

import shutil
import socketserver
import ssl
import subprocess
import threading
from io import BytesIO

import pytest
from node_parts import (
    CERTIFICATES,
    CR,
    SC,
    SR,
    Model,
    expected_results,
    make_xray,
    no_picture,
    until,
)

from mlrfnet_mm.node import predictor as predictor_module
from mlrfnet_mm.node import worker as worker_module
from mlrfnet_mm.node.journal import Journal
from mlrfnet_mm.node.listen import Address, Certificates, Inbox, Sender, listening, work_off
from mlrfnet_mm.node.predictor import Predictor
from mlrfnet_mm.node.results import derived_uid
from mlrfnet_mm.node.worker import Worker

pydicom = pytest.importorskip('pydicom')
pytest.importorskip('highdicom')
pytest.importorskip('pynetdicom')
from pynetdicom import AE, AllStoragePresentationContexts, evt  # noqa: E402

HOST = '127.0.0.1'


class Peer:
    """An archive that takes results; ``status`` is what it answers."""

    def __init__(self, title='ARCHIVE', tls=None, contexts=AllStoragePresentationContexts):
        self.got, self.status = [], lambda uid: 0x0000
        ae = AE(title)
        ae.require_called_aet = True
        ae.supported_contexts = contexts

        def store(event):
            uid = str(event.request.AffectedSOPInstanceUID)
            status = self.status(uid)
            if not status:
                self.got.append(uid)
            return status

        handlers = [(evt.EVT_C_STORE, store)]
        self.server = ae.start_server(
            (HOST, 0), block=False, evt_handlers=handlers, ssl_context=tls
        )
        self.port = self.server.server_address[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


class Node:
    """A node that listens and works, with a peer of its own."""

    def __init__(self, folder, peer, certificates=None, most=100, title='ARCHIVE'):
        certificates = certificates or Certificates()
        self.said, self.model, self.journal = [], Model(), Journal(folder / 'state')
        host = 'localhost' if certificates.ca else HOST
        sender = Sender(Address(title, host, peer.port), 'NODE', certificates.sending())
        worker = Worker(Predictor(self.model, top=1), self.journal, sender, self.said.append)
        self.inbox, self.stop = Inbox(folder / 'waiting', most), threading.Event()
        self.worker, self.tls = worker, certificates.listening()

    def __enter__(self):
        self.context = listening(Address('NODE', HOST, 0), self.inbox, self.worker, self.tls)
        self.port = self.context.__enter__().server_address[1]
        return self

    def work(self):
        args = (self.inbox, self.worker, False, self.stop, 0.01)
        self.thread = threading.Thread(target=work_off, args=args)
        self.thread.start()

    def once(self):
        work_off(self.inbox, self.worker, True, threading.Event())

    def __exit__(self, *_):
        self.stop.set()
        if hasattr(self, 'thread'):
            self.thread.join()
        self.context.__exit__(None, None, None)
        self.journal.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(predictor_module, 'picture', no_picture)
    monkeypatch.setattr(worker_module, 'LONGEST_WAIT', 0.05)
    # how often a server asks whether it is to end, in seconds
    monkeypatch.setattr(socketserver.BaseServer.serve_forever, '__defaults__', (0.02,))


def call(port, title='NODE', tls=None):
    ae = AE('MODALITY')
    ae.requested_contexts = [
        c for c in AllStoragePresentationContexts if 'X-Ray' in str(c) or 'CT Image' in str(c)
        or 'Computed Radiography' in str(c) or 'Secondary' in str(c)
    ]  # fmt: skip
    return ae.associate(HOST, port, ae_title=title, tls_args=tls and (tls, 'localhost'))


def send(port, *files, tls=None):
    """C-STORE of files; the statuses."""
    link = call(port, tls=tls)
    assert link.is_established
    found = [link.send_c_store(pydicom.dcmread(BytesIO(data))).Status for data in files]
    link.release()
    return found


def test_images_come_and_results_go_once(tmp_path):
    files = [make_xray(tmp_path / 'x.dcm', number) for number in range(2)]
    with Peer() as peer, Node(tmp_path, peer) as node:
        node.work()
        assert send(node.port, *files, files[0]) == [0, 0, 0]
        until(lambda: sorted(peer.got) == sorted(expected_results(range(2))))
        until(lambda: not len(node.inbox))
        assert send(node.port, files[1]) == [0]  # once more, later
        until(lambda: not len(node.inbox))
        assert len(peer.got) == 4 and node.journal.outcomes() == {'done': 2}


def test_others_are_noted_and_own_results_left(tmp_path):
    own, _ = Predictor(Model())(predictor_module.read_instance(make_xray(tmp_path / 'x.dcm')))
    other = dict(SOPClassUID='1.2.840.10008.5.1.4.1.1.2', Modality='CT')
    files = [make_xray(tmp_path / 'x.dcm', 1, **other), own[1]]
    files.append(make_xray(tmp_path / 'x.dcm', 2, ViewPosition='LL'))
    with Peer() as peer, Node(tmp_path, peer) as node:
        assert send(node.port, *files) == [0, 0, 0]
        assert len(node.inbox) == 1
        node.once()
        assert not peer.got and node.journal.outcomes() == {
            'left: not a CR image, nor a DX image for presentation': 1,
            'left: view is not frontal': 1,
        }


def test_a_wrong_title_is_rejected(tmp_path):
    with Peer() as peer, Node(tmp_path, peer) as node:
        link = call(node.port, 'NOBODY')
        assert link.is_rejected and not link.is_established
        assert call(node.port, 'NODE').is_established


def test_a_peer_with_another_title_is_waited_for(tmp_path):
    with Peer() as peer, Node(tmp_path, peer, title='WRONG') as node:
        assert send(node.port, make_xray(tmp_path / 'x.dcm', 1)) == [0]
        with pytest.raises(ConnectionError, match='rejects the association: see the titles; 1 ins'):
            node.once()
        assert len(node.inbox) == 1 and not node.journal.outcomes()


def test_a_queue_that_is_full(tmp_path):
    files = [make_xray(tmp_path / 'x.dcm', number) for number in range(3)]
    with Peer() as peer, Node(tmp_path, peer, most=2) as node:
        assert send(node.port, *files, files[0]) == [0, 0, 0xA700, 0]
        assert node.said == ['NOT TAKEN   2 files wait already']
        node.once()
        assert send(node.port, files[2]) == [0]
        node.once()
        assert sorted(peer.got) == sorted(expected_results(range(3)))


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device')

    with Peer() as peer, Node(tmp_path, peer) as node:
        with monkeypatch.context() as patch:
            patch.setattr('mlrfnet_mm.node.listen.os.fsync', full)
            assert send(node.port, make_xray(tmp_path / 'x.dcm', 1)) == [0xA700]
        assert not list(node.inbox.folder.iterdir())
        assert node.said == ['NOT TAKEN   the queue cannot be written (No space left on device)']


def test_a_peer_that_is_full_is_waited_for_and_said_once(tmp_path):
    tried = []

    def status(uid):
        tried.append(uid)
        return 0xA700 if len(tried) < 5 else 0

    with Peer() as peer, Node(tmp_path, peer) as node:
        peer.status = status
        node.work()
        send(node.port, make_xray(tmp_path / 'x.dcm', 1))
        until(lambda: sorted(peer.got) == sorted(expected_results([1])))
        assert sum('A700, as when its disk is full' in line for line in node.said) == 1


def test_a_peer_that_is_down(tmp_path):
    with Peer() as peer:
        pass
    with Node(tmp_path, peer) as node:
        send(node.port, make_xray(tmp_path / 'x.dcm', 1))
        with pytest.raises(ConnectionError, match='is not reached; 1 instances wait'):
            node.once()


@pytest.mark.parametrize(('taken', 'kind'), [(SC, 'picture'), (SR, 'report')])
def test_a_peer_that_takes_one_kind_of_result(tmp_path, taken, kind):
    contexts = [c for c in AllStoragePresentationContexts if c.abstract_syntax == taken]
    with Peer(contexts=contexts) as peer, Node(tmp_path, peer) as node:
        send(node.port, make_xray(tmp_path / 'x.dcm', 1))
        node.once()
        digest = Predictor(Model()).digest
        assert peer.got == [derived_uid('1.2.826.0.1.9.1', digest, kind)]
        (outcome,) = node.journal.outcomes()
        assert 'takes no such object' in outcome and not len(node.inbox)


def test_a_peer_that_takes_neither(tmp_path):
    contexts = [c for c in AllStoragePresentationContexts if c.abstract_syntax == CR]
    with Peer(contexts=contexts) as peer, Node(tmp_path, peer) as node:
        send(node.port, make_xray(tmp_path / 'x.dcm', 1))
        with pytest.raises(ConnectionError, match='takes neither reports nor pictures'):
            node.once()


def test_half_an_image_is_none(tmp_path):
    """The sender breaks off after half of the data set; a kill leaves half a file."""
    from pynetdicom.dimse_messages import C_STORE_RQ
    from pynetdicom.dimse_primitives import C_STORE

    data = make_xray(tmp_path / 'x.dcm', 1)
    with Peer() as peer, Node(tmp_path, peer) as node:
        link = call(node.port)
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CR, '1.2.826.0.1.9.1'
        request.DataSet = BytesIO(data[400:])
        (context,) = [c for c in link.accepted_contexts if c.abstract_syntax == CR]
        message = C_STORE_RQ()
        message.primitive_to_message(request)
        parts = list(message.encode_msg(context.context_id, 1000))
        for part in parts[: len(parts) // 2]:
            link.dul.send_pdu(part)
        link.abort()
        half = node.inbox.folder / '.x.part.dcm'
        half.write_bytes(data[:300])
        assert Inbox(node.inbox.folder, 10).next() is None and not half.exists()
        assert send(node.port, data) == [0]
        node.once()
        assert sorted(peer.got) == sorted(expected_results([1]))


@pytest.fixture(scope='module')
def certificates(tmp_path_factory):
    if shutil.which('openssl') is None:
        pytest.skip('openssl is not installed')
    folder = tmp_path_factory.mktemp('tls')
    found = []
    for name in ('one', 'two'):
        cert, key = folder / f'{name}.pem', folder / f'{name}.key'
        command = [*CERTIFICATES, '-keyout', str(key), '-out', str(cert)]
        subprocess.run(command, check=True, capture_output=True)
        found.append((str(cert), str(key)))
    return found


def test_tls_both_ways(tmp_path, certificates):
    own, other = certificates
    both = Certificates(own, own[0])
    with Peer(tls=both.listening()) as peer, Node(tmp_path, peer, both) as node:
        node.work()
        data = make_xray(tmp_path / 'x.dcm', 1)
        assert send(node.port, data, tls=both.sending()) == [0]
        until(lambda: sorted(peer.got) == sorted(expected_results([1])))
        plain = call(node.port)
        assert not plain.is_established, 'without TLS'
        stranger = Certificates(other, own[0]).sending()
        try:
            link = call(node.port, tls=stranger)
            assert not link.is_established or not link.send_c_store(
                pydicom.dcmread(BytesIO(data))
            ), 'with a certificate of no one'
        except (ssl.SSLError, OSError, RuntimeError):
            pass


def test_a_peer_with_a_certificate_of_no_one(tmp_path, certificates):
    own, other = certificates
    tls = Certificates(other).listening()
    with Peer(tls=tls) as peer, Node(tmp_path, peer, Certificates(own, own[0])) as node:
        node.inbox.put('x', make_xray(tmp_path / 'x.dcm', 1))
        with pytest.raises(ConnectionError, match='is not reached'):
            node.once()
        assert not peer.got


def test_wrong_certificate_files(tmp_path):
    (tmp_path / 'x.pem').write_text('no certificate')
    with pytest.raises(ValueError, match='TLS by .*x.pem'):
        Certificates(ca=str(tmp_path / 'x.pem')).sending()


@pytest.mark.parametrize(
    ('text', 'found'),
    [
        ('NODE:11112', Address('NODE', HOST, 11112)),
        ('MY NODE@0.0.0.0:104', Address('MY NODE', '0.0.0.0', 104)),
        ('A@[::1]:104', Address('A', '::1', 104)),
    ],
)
def test_addresses(text, found):
    assert Address.parse(text, HOST) == found


@pytest.mark.parametrize('text', ['NODE', ':104', 'SEVENTEENLETTERSX:1', 'A:99999', 'A@b:x', ' :1'])
def test_wrong_addresses(text):
    with pytest.raises(ValueError, match='must be AET:PORT or AET@HOST:PORT'):
        Address.parse(text, HOST)


def test_a_peer_needs_a_host():
    with pytest.raises(ValueError, match='must be AET@HOST:PORT'):
        Address.parse('PEER:104')
