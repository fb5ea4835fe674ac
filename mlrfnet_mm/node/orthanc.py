"""A node next to an Orthanc: new instances by its log of changes, results by REST.

``NewInstance`` and not ``StableStudy``: each image gets results of its own, so that none has to
wait for its study, and Orthanc writes the change together with the instance, while what makes a
study stable is a clock that a restart forgets.

https://orthanc.uclouvain.be/book/users/rest.html#tracking-changes
"""

import threading
from typing import Any
from urllib.parse import urlsplit

from mlrfnet_mm.node.results import MANUFACTURER, MODALITIES
from mlrfnet_mm.node.worker import Patience, Refused, Unavailable, Worker

TIMEOUT = (5, 60)  # seconds to connect, and between two bytes
PAGE = 100  # changes of one answer
POLL = 1.0  # seconds
OTHER = 'left: modality is not CR or DX'
GONE = 'left: deleted before it was read'


class Orthanc:
    """An Orthanc's REST interface, as far as a node needs it.

    Args:
        url: as ``http://127.0.0.1:8042``.
        user: and password of HTTP's basic authentication; None: none is sent.
        ca: file of certificates that the server's is checked with; None: those of the system.
        certificate: files of the client's certificate and key.

    Raises:
        ValueError: not such a URL.
    """

    def __init__(
        self,
        url: str,
        user: tuple[str, str] | None = None,
        ca: str | None = None,
        certificate: tuple[str, str] | None = None,
    ) -> None:
        import requests

        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'--orthanc must be as http://127.0.0.1:8042, got {url!r}')
        if parts.username or parts.password:
            raise ValueError('--orthanc: no user or password in the URL, others see it; set '
                             'ORTHANC_USER and ORTHANC_PASSWORD')  # fmt: skip
        self.url = url.rstrip('/')
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: X-rays go to this host alone
        self._session.auth, self._session.cert = user, certificate
        self._session.verify = ca or True

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        """Response of a request that was understood.

        Raises:
            Unavailable: no answer, or one that may change with time.
        """
        import requests

        try:
            response = self._session.request(
                method, self.url + path, timeout=TIMEOUT, allow_redirects=False, **more
            )
        except requests.exceptions.SSLError as error:
            raise Unavailable(
                f'{self.url}: its certificate is not trusted ({_cause(error)})'
            ) from error
        except (requests.RequestException, OSError) as error:
            raise Unavailable(f'{self.url} does not answer ({type(error).__name__})') from error
        code = response.status_code
        if code in (401, 403):
            raise Unavailable(
                f'{self.url} answers {code}: set ORTHANC_USER and ORTHANC_PASSWORD to a user who '
                'may read and add instances'
            )
        if code >= 500 or code in (408, 429):
            disk = ', as when its disk is full' if method == 'POST' else ''
            raise Unavailable(f'{self.url} answers {code} to {method}{disk}')
        if 300 <= code < 400:
            raise Unavailable(f'{self.url} answers {code}, another address: give that one')
        return response

    def _json(self, path: str) -> Any:
        """What a request returns as JSON; None if there is no such thing."""
        response = self._ask('GET', path)
        if response.status_code == 404:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise Unavailable(f'{self.url}{path} is not JSON: is it an Orthanc?') from error

    def last(self) -> int:
        """Number of its last change."""
        return _number(self, self._json('/changes?last'))

    def changes(self, since: int) -> tuple[list[str], int, bool]:
        """Instances that are new since a change.

        Returns:
            Their identifiers in order, number of the last change seen, whether that was all.
        """
        page = self._json(f'/changes?since={since}&limit={PAGE}')
        last = _number(self, page)
        new = [c['ID'] for c in page.get('Changes', []) if c.get('ChangeType') == 'NewInstance']
        return new, max(last, since), bool(page.get('Done', True))

    def series(self, instance: str) -> dict[str, str] | None:
        """Tags of an instance's series, for which no file is read; None: it is gone."""
        found = self._json(f'/instances/{instance}/series')
        return None if found is None else dict(found.get('MainDicomTags', {}))

    def file(self, instance: str) -> bytes | None:
        """An instance's DICOM file; None: it is gone."""
        response = self._ask('GET', f'/instances/{instance}/file')
        return response.content if response.status_code == 200 else None

    def send(self, file: bytes) -> None:
        """Add an instance; one that is there already is left or replaced, as Orthanc is set."""
        response = self._ask('POST', '/instances', data=file)
        if response.status_code != 200:
            raise Refused(f'Orthanc answers {response.status_code}')

    def holds(self, uid: str) -> bool:
        """Whether it has an instance of this SOP Instance UID."""
        response = self._ask('POST', '/tools/lookup', data=uid)
        return response.status_code == 200 and '"Instance"' in response.text


def _cause(error: BaseException) -> str:
    text = str(error)
    return 'self-signed' if 'self-signed' in text or 'self signed' in text else 'give --tls-ca'


def _number(archive: Orthanc, page: Any) -> int:
    if not isinstance(page, dict) or not isinstance(page.get('Last'), int):
        raise Unavailable(f'{archive.url}/changes has no number: is it an Orthanc?')
    last: int = page['Last']
    return last


def handle(archive: Orthanc, worker: Worker, item: str) -> None:
    """Do all that one new instance needs, and take it off the list."""
    uid, outcome = item, ''
    tags = archive.series(item)
    if tags is None:
        outcome = GONE
    elif tags.get('Modality') in MODALITIES:
        data = archive.file(item)
        uid, outcome = (item, GONE) if data is None else worker.outcome(data)
    elif tags.get('Manufacturer') != MANUFACTURER:  # else it is the node's own
        outcome = OTHER
    with worker.journal.together():
        worker.write(uid, outcome)
        worker.journal.drop(archive.url, item)


def poll(archive: Orthanc, worker: Worker) -> None:
    """Put what is new on the list."""
    journal, done = worker.journal, False
    while not done:
        since = journal.since(archive.url)
        items, last, done = archive.changes(since)
        if last == since:
            return
        journal.take(archive.url, items, last)


def check_place(archive: Orthanc, worker: Worker) -> None:
    """Begin again where the archive did: a new one counts its changes from 1."""
    since, last = worker.journal.since(archive.url), archive.last()
    if last < since:
        worker.say(
            f'its changes end at {last}, before {since}: another archive, read from the start'
        )
        worker.journal.take(archive.url, [], 0)


def run_orthanc(
    archive: Orthanc, worker: Worker, once: bool, stop: threading.Event, seconds: float = POLL
) -> None:
    """Poll until stopped.

    Args:
        archive: where instances come from and results go.
        worker: what is done with them.
        once: end when nothing waits.
        stop: ends it after the instance at hand.
        seconds: between two polls.

    Raises:
        ConnectionError: with ``once``, the archive is not there or does not take a result.
    """
    patience, checked = Patience(worker.say, stop), False
    while not stop.is_set():
        item = None
        try:
            if not checked:
                check_place(archive, worker)
                checked = True
            poll(archive, worker)
            while not stop.is_set() and (item := worker.journal.next(archive.url)):
                handle(archive, worker, item)
                patience.succeeded()
            item = None
        except Unavailable as error:
            if item is not None:
                worker.journal.failed(archive.url, item)
            if once:
                waiting = worker.journal.waiting(archive.url)
                raise ConnectionError(
                    f'{error}; {waiting} instances wait for the next run'
                ) from error
            patience.failed(error)
            checked = False
            continue
        if once:
            return
        patience.succeeded()
        stop.wait(seconds)
