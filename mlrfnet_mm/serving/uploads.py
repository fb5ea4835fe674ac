"""Files as they are sent: in memory alone, and within limits.

What a refused sender still sends is read and forgotten by uvicorn, so that it hears why.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

from starlette.formparsers import MultiPartParser
from starlette.requests import ClientDisconnect, Request

from mlrfnet_mm.xrays.files import FileBytes

MEGABYTE = 1_000_000
GRACE = 5.0  # seconds after which a sender is held to RATE
RATE = 50_000  # bytes per second: a file of 10 MB takes 200 s
LONGEST_NAME = 100  # characters of a file's name that come back


@dataclass(frozen=True)
class Limits:
    """What one request may send.

    Attributes:
        megabytes: of all its files.
        files: how many.
        seconds: to send them in.
    """

    megabytes: int = 64
    files: int = 8
    seconds: float = 60.0


class Refused(Exception):
    """A request that is not answered as it asks.

    Args:
        status: of HTTP.
        detail: what is wrong and the way out, nothing of the server.
        headers: of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


class InMemory(MultiPartParser):
    """Starlette's parser without its temporary files: what comes was counted before."""

    spool_max_size = 1 << 62


async def read_files(request: Request, limits: Limits) -> list[FileBytes]:
    """The files of a form.

    Raises:
        Refused: too many bytes, files or seconds, no form, or no file in it.
    """
    kind = request.headers.get('content-type', '')
    if not kind.lower().startswith('multipart/form-data'):
        raise Refused(415, 'send a form, multipart/form-data, with the X-rays as files')
    stream = body(request, limits)
    parser = InMemory(request.headers, stream, max_files=limits.files, max_fields=0)
    try:
        form = await parser.parse()
    except Refused:
        raise
    except ClientDisconnect:
        raise Refused(400, 'the sender hung up') from None
    except Exception as error:  # of any kind: a form with a fault on purpose
        many = str(error).startswith('Too many files')
        what = 'not a form of files as multipart/form-data is to be'
        if many:
            what = f'more than {limits.files} files; send them in several requests'
        raise Refused(413 if many else 400, what) from error
    files = [
        FileBytes(short_name(value.filename), await value.read())
        for _, value in form.multi_items()
        if not isinstance(value, str)
    ]
    await form.close()
    if not files:
        raise Refused(400, 'no file in the form; send the X-rays as files')
    return files


async def body(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The parts of a request's body, as they come.

    Raises:
        Refused: more bytes than the limit, said or sent (413); slower than ``RATE`` after
            ``GRACE``, or than the limit of seconds (408).
    """
    most = limits.megabytes * MEGABYTE
    large = Refused(
        413, f'more than {limits.megabytes} MB; send fewer files at a time', {'Connection': 'close'}
    )
    said = request.headers.get('content-length', '0')
    if not said.isdecimal() or int(said) > most:
        raise large
    start, got = time.monotonic(), 0
    stream = request.stream()
    while True:
        allowed = min(limits.seconds, GRACE + got / RATE)
        left = start + allowed - time.monotonic()
        try:
            part = await asyncio.wait_for(anext(stream), max(left, 0))
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise Refused(
                408,
                f'{got:,} bytes came in {allowed:.0f} s; a request has {limits.seconds:g} s, and '
                f'at least {RATE // 1000} kB/s after {GRACE:g} s: send smaller files',
                {'Connection': 'close'},
            ) from None
        got += len(part)
        if got > most:
            raise large
        yield part


def short_name(name: str | None) -> str:
    r"""What a file is called in answers: no folders, no control characters, not endless.

    >>> short_name('C:\\Users\\doe\\x-ray.png'), short_name('a/b\n.dcm'), short_name(None)
    ('x-ray.png', 'b .dcm', 'file')
    """
    last = re.split(r'[/\\]', name or '')[-1]
    shown = ''.join(c if c.isprintable() else ' ' for c in last).strip()
    if len(shown) > LONGEST_NAME:  # with the suffix, by which old DICOM files are known
        shown = f'{shown[: LONGEST_NAME - 11]}…{shown[-10:]}'
    return shown or 'file'
