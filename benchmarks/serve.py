"""Load on mlrfnet serve: python benchmarks/serve.py BUNDLE_OR_CHECKPOINT [--seconds 120].

So many clients ask for as long, each with one of eight phantom images at a time, as the page does.
A client that gets 429 waits as it was told and asks again with the same image. Every answer is
compared with the first one for its image, so that nothing is lost or mixed up.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import date
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil

from mlrfnet_mm.datasets.phantom import render

IMAGES = 8
BOUNDARY = 'mlrfnet-benchmark'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('model', help='bundle or checkpoint')
    parser.add_argument('--clients', type=int, default=32)
    parser.add_argument('--seconds', type=float, default=120)
    parser.add_argument('--queue', type=int, default=16, help="the server's places")
    parser.add_argument('--side', type=int, default=512, help='of the images, in pixels')
    parser.add_argument('--without-pictures', action='store_true', help='findings alone')
    return parser.parse_args()


def form(side: int, number: int) -> bytes:
    """A request's body: one PNG."""
    png = cv2.imencode('.png', render(0, 1 + number, 0, side).image)[1].tobytes()
    disposition = f'form-data; name="files"; filename="{number}.png"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n'
    return head.encode() + png + f'\r\n--{BOUNDARY}--\r\n'.encode()


class Clients:
    """What all clients have seen.

    Args:
        address: of the server.
        path: that is asked.
        bodies: of the requests.
    """

    def __init__(self, address: str, path: str, bodies: list[bytes]) -> None:
        self.address, self.path, self.bodies = address, path, bodies
        self.first: dict[int, str] = {}
        self.seconds: list[float] = []
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()

    def ask(self, connection: http.client.HTTPConnection, number: int) -> tuple[int, float, bytes]:
        """One request: status, seconds to wait, answer."""
        kind = {'Content-Type': f'multipart/form-data; boundary={BOUNDARY}'}
        connection.request('POST', self.path, self.bodies[number], kind)
        answer = connection.getresponse()
        return answer.status, float(answer.headers.get('Retry-After', 0)), answer.read()

    def work(self, seed: int, end: float) -> None:
        """Be one client."""
        rng = np.random.default_rng(seed)
        connection = http.client.HTTPConnection(self.address, timeout=60)
        while time.monotonic() < end:
            number = int(rng.integers(IMAGES))
            while True:
                start = time.perf_counter()
                try:
                    status, wait, content = self.ask(connection, number)
                except (OSError, http.client.HTTPException) as error:
                    status, wait, content = 0, 0.1, b''
                    connection.close()
                    with self.lock:
                        self.seen[f'connection {type(error).__name__}'] += 1
                took = time.perf_counter() - start
                with self.lock:
                    self.seen[f'status {status}'] += 1
                if status == 200:
                    self.check(number, content, took)
                if status not in (0, 429):
                    break
                time.sleep(wait * (0.5 + rng.random()))  # not all at the same moment

    def check(self, number: int, content: bytes, took: float) -> None:
        """Note how long an answer took, and whether it is that of its image."""
        found = json.dumps(json.loads(content)['predictions'])
        with self.lock:
            self.seconds.append(took)
            self.seen['answers of another image'] += self.first.setdefault(number, found) != found


def main() -> None:
    """Start a server, ask it, and print a Markdown table."""
    args = parse_args()
    command = [sys.executable, '-m', 'mlrfnet_mm', 'serve', '--model', args.model, '--port', '0']
    server = subprocess.Popen(
        [*command, '--queue', str(args.queue)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        if not line:
            raise SystemExit('the server did not start')
        address = urlsplit(line.split()[1]).netloc
        path = '/predict?pictures=false' if args.without_pictures else '/predict'
        clients = Clients(address, path, [form(args.side, i) for i in range(IMAGES)])
        warm = http.client.HTTPConnection(address, timeout=60)
        for number in range(IMAGES):
            clients.check(number, clients.ask(warm, number)[2], 0.0)
        clients.seconds.clear()
        resident = psutil.Process(server.pid).memory_info
        before, load, start = resident().rss, os.getloadavg()[0], time.monotonic()
        threads = [
            threading.Thread(target=clients.work, args=(i, start + args.seconds))
            for i in range(args.clients)
        ]
        for thread in threads:
            thread.start()
        half = 0
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)
            if not half and time.monotonic() > start + args.seconds / 2:
                half = resident().rss
        whole, after = time.monotonic() - start, resident().rss
    finally:
        server.terminate()
        server.wait(20)
    p50, p99 = np.percentile(clients.seconds, [50, 99])
    print('| clients | answers | per second | p50 / ms | p99 / ms | 429 | others | RSS / MB |')
    print('|---:|---:|---:|---:|---:|---:|---|---|')
    seen = clients.seen
    others = {
        key: count for key, count in seen.items()
        if count and key not in ('status 200', 'status 429')
    }  # fmt: skip
    sizes = ' → '.join(f'{size / 1e6:.0f}' for size in (before, half, after))
    print(
        f'| {args.clients} | {seen["status 200"]:,} | {seen["status 200"] / whole:.1f} '
        f'| {1000 * p50:.0f} | {1000 * p99:.0f} | {seen["status 429"]:,} | {others or "none"} '
        f'| {sizes} |'
    )
    print(
        f'\n{args.model}, {args.side} pixels, queue {args.queue}, {path}, {whole:.0f} s, '
        f'{os.cpu_count()} cores shared by clients and server, load {load:.1f} before, '
        f'{date.today()}'
    )


if __name__ == '__main__':
    main()
