"""Around all routes: who may ask, and what browsers are told."""

import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlrfnet_mm.serving.metrics import Metrics

LOOPBACK = ('localhost', '127.0.0.1', '::1')
OPEN = (
    '/',
    '/page.css',
    '/page.js',
    '/view.js',
    '/favicon.ico',
    '/health',
    '/ready',
    '/openapi.json',
)
SECURITY = {
    'Content-Security-Policy': "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    'Cache-Control': 'no-store',
}


class Guard:
    """ASGI middleware.

    Without a token only this machine is answered, by its own names, so that no other site's name
    can be made to lead here (DNS rebinding). With one, whoever knows it.

    Args:
        app: what is behind.
        token: asked for as ``Authorization: Bearer``, but for ``OPEN``; ``''``: none.
        metrics: count every request.
        routes: paths that are counted by name.
    """

    def __init__(self, app: ASGIApp, token: str, metrics: Metrics, routes: frozenset[str]) -> None:
        self.app, self.token, self.metrics, self.routes = app, token, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        start, path = time.perf_counter(), scope['path']
        route = path if path in self.routes else 'other'

        async def answer(message: Message) -> None:
            if message['type'] == 'http.response.start':
                MutableHeaders(scope=message).update(SECURITY)
                self.metrics.requests.labels(route, message['status']).inc()
                self.metrics.seconds.labels(route).observe(time.perf_counter() - start)
            await send(message)

        refused = self.refusal(Headers(scope=scope), path)
        if refused is not None:
            await refused(scope, receive, answer)
            return
        await self.app(scope, receive, answer)

    def refusal(self, headers: Headers, path: str) -> JSONResponse | None:
        """Why a request is not passed on; None if it is."""
        host = headers.get('host', '')
        if not self.token and name_of(host) not in LOOPBACK:
            return refuse(400, 'this server answers to localhost and 127.0.0.1 only')
        origin = headers.get('origin')
        if origin is not None and urlsplit(origin).netloc != host:
            return refuse(403, 'asked by a page of another site')
        if self.token and path not in OPEN:
            given = headers.get('authorization', '').encode('latin-1')
            if not hmac.compare_digest(given, f'Bearer {self.token}'.encode()):
                return refuse(401, 'give the token: Authorization: Bearer …', 'Bearer')
        return None


def name_of(host: str) -> str:
    """The name in a Host header, without its port.

    >>> name_of('localhost:8000'), name_of('[::1]:8000'), name_of('a:b:c')
    ('localhost', '::1', '')
    """
    try:
        return urlsplit(f'//{host}').hostname or '' if host.count(':') < 2 or '[' in host else ''
    except ValueError:
        return ''


def refuse(status: int, detail: str, challenge: str = '') -> JSONResponse:
    """An error as all routes give it."""
    headers = {'WWW-Authenticate': challenge} if challenge else None
    return JSONResponse(dict(detail=detail), status, headers)
