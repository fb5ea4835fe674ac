"""A node without an Orthanc: X-rays come by C-STORE, results go by C-STORE to a given peer.

What was taken lies in a folder, each file whole or not at all, until its results are sent; a file
that is answered with success is kept through a kill. DICOM PS3.4, B (storage); PS3.15, B (TLS).
"""

import os
import re
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrfnet_mm.evaluation.files.whole_files import replacing
from mlrfnet_mm.node.results import CLASSES
from mlrfnet_mm.node.worker import Patience, Refused, Unavailable, Worker

if TYPE_CHECKING:
    from pynetdicom.events import Event

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
OTHER = 'left: not a CR image, nor a DX image for presentation'
POLL = 0.5  # seconds
SECONDS = dict(acse_timeout=30, dimse_timeout=60, network_timeout=60, connection_timeout=10)
RESULTS = (  # Comprehensive SR, Secondary Capture
    '1.2.840.10008.5.1.4.1.1.88.33',
    '1.2.840.10008.5.1.4.1.1.7',
)


@dataclass(frozen=True)
class Address:
    """Application entity title, host and port."""

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, host: str = '') -> 'Address':
        """Read ``AET@HOST:PORT``.

        >>> Address.parse('NODE:11112', '127.0.0.1')
        Address(title='NODE', host='127.0.0.1', port=11112)

        Args:
            text: as a user gives it.
            host: where the text has none, as ``AET:PORT``; ``''``: it must have one.

        Raises:
            ValueError: another form.
        """
        match = re.fullmatch(r'([^@:\\]{1,16})(?:@([^@]+))?:(\d{1,5})', text)
        if not match or not match[1].strip() or not (match[2] or host) or int(match[3]) > 65535:
            form = 'AET:PORT or AET@HOST:PORT' if host else 'AET@HOST:PORT'
            raise ValueError(f'must be {form}, with a title of 1 to 16 characters, got {text!r}')
        return cls(match[1].strip(), (match[2] or host).strip('[]'), int(match[3]))


@dataclass(frozen=True)
class Certificates:
    """Files for TLS, all in PEM.

    Attributes:
        own: certificate and its key: the node listens by TLS, and shows it where it sends.
        ca: of others: the node sends by TLS, and who sends to it by TLS must show one, too.
    """

    own: tuple[str, str] | None = None
    ca: str | None = None

    def listening(self) -> ssl.SSLContext | None:
        """For a server; None: without TLS."""
        return self._context(ssl.Purpose.CLIENT_AUTH) if self.own else None

    def sending(self) -> ssl.SSLContext | None:
        """For a client; None: without TLS."""
        return self._context(ssl.Purpose.SERVER_AUTH) if self.ca else None

    def _context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(purpose, cafile=self.ca)
            if self.own:
                context.load_cert_chain(*self.own)
        except (ssl.SSLError, OSError) as error:
            names = ', '.join(filter(None, (*(self.own or ()), self.ca)))
            raise ValueError(f'TLS by {names}: {error}') from error
        if self.ca:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Inbox:
    """A folder of files that wait, with an end to how many.

    Args:
        folder: made if it is not there, for the node's user alone: it holds patients' images.
        most: files.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self._mutex, self._tries = threading.Lock(), Counter[str]()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in folder.glob('.*.part.dcm'):  # half written when a node was killed
            part.unlink()

    def put(self, name: str, data: bytes) -> bool:
        """Keep a file; False if there is no room.

        Raises:
            OSError: it cannot be written.
        """
        path = self.folder / f'{name}.dcm'
        with self._mutex:
            if not path.exists() and len(self) >= self.most:
                return False
            with replacing(path) as part, part.open('wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return True

    def __len__(self) -> int:
        return sum(not path.name.startswith('.') for path in self.folder.glob('*.dcm'))

    def next(self) -> Path | None:
        """What waits: fewest tries first, then the oldest."""
        found = [path for path in self.folder.glob('*.dcm') if not path.name.startswith('.')]
        return min(found, key=lambda p: (self._tries[p.name], p.stat().st_mtime), default=None)

    def failed(self, path: Path) -> None:
        """Put one behind those that were tried less often."""
        self._tries[path.name] += 1

    def drop(self, path: Path) -> None:
        """Remove one."""
        path.unlink()
        self._tries.pop(path.name, None)


class Sender:
    """Sends results to a peer.

    Args:
        address: of the peer.
        title: of the node.
        tls: None: without.
    """

    def __init__(self, address: Address, title: str, tls: ssl.SSLContext | None = None) -> None:
        from pynetdicom import AE

        self.address, self._tls = address, tls
        self._ae = AE(title)
        for key, value in SECONDS.items():
            setattr(self._ae, key, value)
        for uid in RESULTS:
            self._ae.add_requested_context(uid)

    def send(self, file: bytes) -> None:
        """Store one file, see :class:`~mlrfnet_mm.node.worker.Receiver`."""
        import pydicom

        to = self.address
        name = f'{to.title}@{to.host}:{to.port}'
        tls = (self._tls, to.host) if self._tls else None
        link = self._ae.associate(to.host, to.port, ae_title=to.title, tls_args=tls)
        if not link.is_established:
            how = 'is not reached'
            if link.is_rejected:
                how = 'rejects the association: see the titles'
            elif link.rejected_contexts:
                how = 'takes neither reports nor pictures: see what it is set to store'
            raise Unavailable(f'{name} {how}')
        try:
            answer = link.send_c_store(pydicom.dcmread(BytesIO(file)))
        except ValueError as error:  # it did not accept this kind of object
            raise Refused(f'{name} takes no such object') from error
        finally:
            if link.is_established:
                link.release()
        status = answer.get('Status') if 'Status' in answer else None
        if status == SUCCESS or (status is not None and status >> 12 == 0xB):  # warnings: stored
            return
        if status is None or status >> 8 == 0xA7 or status == 0x0110:
            said = 'nothing' if status is None else f'{status:04X}'
            raise Unavailable(f'{name} answers {said}, as when its disk is full')
        raise Refused(f'C-STORE answers {status:04X}')

    def holds(self, uid: str) -> bool:
        """A peer cannot be asked: what was sent counts as there."""
        return True


def on_store(event: 'Event', inbox: Inbox, worker: Worker) -> int:
    """Answer to a C-STORE request; what is not CR or DX is noted and let go."""
    request: Any = event.request
    uid, kind = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
    if kind not in CLASSES:
        if kind not in RESULTS:  # those may be the node's own
            worker.write(uid, OTHER)
        return SUCCESS
    try:
        kept = inbox.put(worker.journal.digest(uid), event.encoded_dataset())
    except OSError as error:
        worker.say(f'NOT TAKEN   the queue cannot be written ({error.strerror})')
        return OUT_OF_RESOURCES
    if not kept:
        worker.say(f'NOT TAKEN   {inbox.most} files wait already')
    return SUCCESS if kept else OUT_OF_RESOURCES


@contextmanager
def listening(
    address: Address, inbox: Inbox, worker: Worker, tls: ssl.SSLContext | None = None
) -> Iterator[Any]:
    """Take associations inside, from who calls the node by its title; yields the server.

    Raises:
        OSError: the port cannot be had.
    """
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

    ae = AE(address.title)
    ae.require_called_aet = True
    for key, value in SECONDS.items():
        setattr(ae, key, value)
    ae.add_supported_context('1.2.840.10008.1.1')  # C-ECHO
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
    handlers: list[Any] = [(evt.EVT_C_STORE, on_store, [inbox, worker])]
    server: Any = ae.start_server(
        (address.host, address.port), block=False, evt_handlers=handlers, ssl_context=tls
    )
    try:
        yield server
    finally:
        server.shutdown()


def work_off(
    inbox: Inbox, worker: Worker, once: bool, stop: threading.Event, seconds: float = POLL
) -> None:
    """Predict what waits in the folder until stopped.

    Args:
        inbox: what waits.
        worker: what is done with it.
        once: end when nothing waits.
        stop: ends it after the file at hand.
        seconds: between two looks into the folder.

    Raises:
        ConnectionError: with ``once``, the peer does not take a result.
    """
    patience = Patience(worker.say, stop)
    while not stop.is_set():
        path = inbox.next()
        if path is None:
            if once:
                return
            stop.wait(seconds)
            continue
        try:
            worker.write(*worker.outcome(path.read_bytes()))
        except Unavailable as error:
            inbox.failed(path)
            if once:
                raise ConnectionError(
                    f'{error}; {len(inbox)} instances wait for the next run'
                ) from error
            patience.failed(error)
            continue
        inbox.drop(path)
        patience.succeeded()
