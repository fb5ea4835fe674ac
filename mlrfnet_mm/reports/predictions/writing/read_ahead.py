"""Files are read by threads while the network works on those before them."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar('S')
T = TypeVar('T')


def read_ahead(
    read: Callable[[S], T], sources: Iterable[S], ahead: int, threads: int = 1
) -> Generator[T, None, None]:
    """Yield ``read(source)`` of all sources, in order.

    At most ``ahead`` results wait or are being read: whoever takes them slowly slows the reading.

    >>> list(read_ahead(len, ['a', '', 'abc'], 2))
    [1, 0, 3]

    Args:
        read: is called from the threads; what it raises is raised here, in its turn.
        sources: what is to be read; taken no sooner than a thread may have it.
        ahead: see there.
        threads: that read.
    """
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, 'read') as pool:
        try:
            for source in sources:
                pending.append(pool.submit(read, source))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # stopped half-way: what is not begun is not read any more
            for future in pending:
                future.cancel()
