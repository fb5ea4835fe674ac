"""Real sockets: full queues, slow senders, and no file on the disk."""

import json
import os
import socket
import sys
import tempfile
import threading
import time

import cv2
import pytest

pytest.importorskip('fastapi')
import httpx2
from servers import form, head_of, running

from mlrfnet_mm.datasets.phantom import render
from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
from mlrfnet_mm.serving import uploads
from mlrfnet_mm.serving.app import Settings, make_app
from mlrfnet_mm.serving.uploads import Limits


@pytest.fixture
def inferencer(bundle):
    return BundleInferencer(bundle)


@pytest.fixture
def png():
    return cv2.imencode('.png', render(0, 1, 0, 64).image)[1].tobytes()


def post(port, png):
    sent = dict(files=('x.png', png))
    return httpx2.post(f'http://127.0.0.1:{port}/predict', files=sent, timeout=20)


def test_a_full_queue_says_when_to_come_back_and_loses_nothing(inferencer, png, monkeypatch):
    app, held = make_app(inferencer, Settings(places=3)), threading.Event()
    network = inferencer._run
    with running(app) as port:

        def waiting(gray):
            assert held.wait(20)
            return network(gray)

        monkeypatch.setattr(inferencer, '_run', waiting)
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(post(port, png))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 10
        while app.state.worker.taken < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        refused = post(port, png)
        assert refused.status_code == 429 and int(refused.headers['retry-after']) >= 1
        assert refused.json()['detail'].startswith('3 requests are waiting')
        body = form(('x.png', bytes(3_000_000)))
        with socket.create_connection(('127.0.0.1', port), 10) as sender:
            sender.sendall(head_of(len(body)))
            for at in range(0, len(body), 100_000):  # hears the answer though it is still sending
                sender.sendall(body[at : at + 100_000])
                time.sleep(0.005)
            assert sender.recv(65536).startswith(b'HTTP/1.1 429')
        start = time.monotonic()  # the network waits, the event loop does not
        assert httpx2.get(f'http://127.0.0.1:{port}/health').status_code == 200
        assert time.monotonic() - start < 2
        held.set()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3
        assert len({json.dumps(answer.json()) for answer in answers}) == 1
        assert app.state.worker.taken == 0 and post(port, png).status_code == 200


def ask_slowly(port, body, step, pause):
    """Send a form in small parts; return what came back, and when."""
    start = time.monotonic()
    with socket.create_connection(('127.0.0.1', port), timeout=10) as sender:
        sender.sendall(head_of(len(body)))
        sender.settimeout(pause)
        for at in range(0, len(body), step):
            try:
                sender.sendall(body[at : at + step])
                answer = sender.recv(1)
                break
            except TimeoutError:  # no answer yet
                answer = b''
        sender.settimeout(10)
        while b'}' not in answer:
            answer += sender.recv(65536)
        return answer, time.monotonic() - start


def test_slow_senders_are_cut_off_and_others_are_answered(inferencer, png, monkeypatch):
    """10 kB/s, as real ones are; a second of grace."""
    monkeypatch.setattr(uploads, 'GRACE', 1.0)
    app = make_app(inferencer, Settings(places=4))
    results = []

    def slow():
        results.append(ask_slowly(port, form(('x.png', bytes(100_000))), 500, 0.05))

    with running(app) as port:
        threads = [threading.Thread(target=slow) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert app.state.worker.taken == 3
        assert post(port, png).status_code == 200
        for thread in threads:
            thread.join()
        assert app.state.worker.taken == 0
        steady, _ = ask_slowly(port, form(('x.png', png)), 2000, 0.01)
    for answer, seconds in results:
        assert answer.startswith(b'HTTP/1.1 408') and b'at least 50 kB/s' in answer
        assert 1 <= seconds < 4
    assert steady.startswith(b'HTTP/1.1 200')


def test_the_limit_of_seconds(inferencer):
    app = make_app(inferencer, Settings(limits=Limits(seconds=0.5)))
    with running(app) as port, socket.create_connection(('127.0.0.1', port), 10) as sender:
        sender.sendall(head_of(1000))  # and nothing more
        assert sender.recv(65536).startswith(b'HTTP/1.1 408')


@pytest.mark.parametrize('sent', [0, 1, 5000])
def test_a_sender_that_hangs_up_leaves_its_place(inferencer, png, sent, caplog, capfd):
    app = make_app(inferencer, Settings(places=1))
    with running(app) as port:
        body = form(('x.png', bytes(10_000)))
        with socket.create_connection(('127.0.0.1', port), 10) as sender:
            sender.sendall(head_of(len(body)) + body[:sent])
            time.sleep(0.1)
        deadline = time.monotonic() + 10
        while app.state.worker.taken:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert post(port, png).status_code == 200
    assert 'Traceback' not in caplog.text + ''.join(capfd.readouterr())


WRITTEN, WATCHING = [], threading.Event()


def watch(event, args):
    """Note what any thread opens for writing."""
    if WATCHING.is_set() and event == 'open':
        path, mode, flags = args
        if (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or set(mode or '') & set('wax+'):
            WRITTEN.append(path)


def test_an_upload_touches_no_disk(inferencer, png, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    sys.addaudithook(watch)
    with running(make_app(inferencer, Settings())) as port:
        post(port, png)  # what is loaded once is loaded now
        httpx2.post(f'http://127.0.0.1:{port}/report', files=dict(files=('x.png', png)), timeout=20)
        WATCHING.set()
        try:
            large = png + bytes(5_000_000)  # Starlette spools files beyond 1 MB
            assert post(port, large).status_code == 200
            files = dict(files=('x.png', large))
            answer = httpx2.post(f'http://127.0.0.1:{port}/report', files=files, timeout=20)
            assert answer.status_code == 200
        finally:
            WATCHING.clear()
        assert WRITTEN == [] and list(tmp_path.iterdir()) == []
        WATCHING.set()  # the watch does see
        with tempfile.TemporaryFile():
            WATCHING.clear()
        assert WRITTEN
