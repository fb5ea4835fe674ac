"""One thread has the network; a fixed number of requests may wait for it."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from mlrfnet_mm.serving.uploads import Refused

T = TypeVar('T')
SHARE = 0.2  # of the newest request in the mean of what one takes


class Worker:
    """Runs what it is given, one after the other, off the event loop.

    Args:
        places: requests that are received, wait or are being worked on at the same time.

    Attributes:
        taken: places that are taken.
        seconds: what one request takes, a running mean.
    """

    def __init__(self, places: int) -> None:
        self.places, self.taken, self.seconds = places, 0, 0.0
        self._pool = ThreadPoolExecutor(1, 'network')
        self._lock = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place, from the first byte of a request to its answer.

        Raises:
            Refused: none is free; 429, and when to come back.
        """
        with self._lock:
            if self.taken >= self.places:
                wait = max(1, math.ceil(self.taken * self.seconds))
                raise Refused(
                    429,
                    f'{self.taken} requests are waiting, as many as may; come back in {wait} s',
                    {'Retry-After': str(wait)},
                )
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.taken -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Have something done by the thread; the event loop goes on meanwhile."""
        return await asyncio.wrap_future(self._pool.submit(self._timed, work))

    def _timed(self, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return work()
        finally:
            took = time.perf_counter() - start
            self.seconds += (took - self.seconds) * (SHARE if self.seconds else 1)

    def close(self) -> None:
        """End the thread; what has not begun is not begun any more."""
        self._pool.shutdown(cancel_futures=True)
