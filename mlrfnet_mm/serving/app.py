"""The routes: the page, /predict and /report, and what operators ask."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.resources import files as package_files
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from mlrfnet_mm import NOTICE, __version__
from mlrfnet_mm.serving import schema
from mlrfnet_mm.serving.answers import Answers
from mlrfnet_mm.serving.guard import Guard, refuse
from mlrfnet_mm.serving.metrics import Metrics
from mlrfnet_mm.serving.uploads import Limits, Refused, read_files
from mlrfnet_mm.serving.worker import Worker

if TYPE_CHECKING:
    from mlrfnet_mm.reports.predictions.writing.options import Inferencer

PAGE = {
    '/': ('index.html', 'text/html; charset=utf-8'),
    '/page.css': ('page.css', 'text/css; charset=utf-8'),
    '/page.js': ('page.js', 'text/javascript; charset=utf-8'),
    '/view.js': ('view.js', 'text/javascript; charset=utf-8'),
    '/example/current.png': ('phantom_current.png', 'image/png'),
    '/example/prior.png': ('phantom_prior.png', 'image/png'),
}
JSON = 'application/json'
logger = logging.getLogger('mlrfnet_mm')
ERRORS: dict[int | str, dict[str, Any]] = {
    code: dict(model=schema.Error) for code in (400, 401, 403, 408, 413, 415, 422, 429, 500)
}


@dataclass(frozen=True)
class Settings:
    """How a server is run.

    Attributes:
        token: that requests must have; ``''``: none, and only this machine is answered.
        places: requests at a time; others are told to come back.
        limits: of each.
    """

    token: str = ''
    places: int = 16
    limits: Limits = field(default_factory=Limits)


def make_app(inferencer: Inferencer, settings: Settings) -> FastAPI:
    """The application.

    Args:
        inferencer: is called by one thread alone.
        settings: see there.
    """
    answers, worker = Answers(inferencer), Worker(settings.places)
    metrics = Metrics(worker)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await worker.run(answers.warm_up)
        app.state.ready = True
        yield
        app.state.ready = False
        worker.close()

    app = FastAPI(
        title='mlrfnet-mm',
        version=__version__,
        description=f'Chest X-rays to findings. {NOTICE}',
        docs_url=None,  # both load scripts from another host
        redoc_url=None,
        lifespan=life,
    )
    app.state.ready = False
    app.state.worker = worker
    app.exception_handler(Refused)(_refused)
    app.exception_handler(RequestValidationError)(_wrong_parameter)
    _add_page(app)
    _add_prediction(app, answers, worker, metrics, settings.limits)
    _add_state(app, metrics)
    routes = frozenset(route.path for route in app.routes if hasattr(route, 'path'))
    app.add_middleware(Guard, token=settings.token, metrics=metrics, routes=routes)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(dict(detail=error.detail), error.status, error.headers)


async def _wrong_parameter(request: Request, error: Exception) -> Response:
    return refuse(422, 'a parameter is not as /openapi.json says')


def _add_page(app: FastAPI) -> None:
    folder = package_files('mlrfnet_mm.serving') / 'page'

    def add(path: str, content: bytes, kind: str | None, status: int = 200) -> None:
        async def page(request: Request) -> Response:
            return Response(content, status, media_type=kind)

        app.add_route(path, page)

    for path, (name, kind) in PAGE.items():
        add(path, (folder / name).read_bytes(), kind)
    add('/favicon.ico', b'', None, 204)


def _add_prediction(
    app: FastAPI, answers: Answers, worker: Worker, metrics: Metrics, limits: Limits
) -> None:
    upload: dict[str, Any] = dict(openapi_extra=dict(requestBody=schema.UPLOAD), responses=ERRORS)

    async def received(request: Request, most: int) -> list[Any]:
        found = await read_files(request, Limits(limits.megabytes, most, limits.seconds))
        metrics.files.inc(len(found))
        return found

    async def placed(request: Request, most: int, work: Any) -> Any:
        try:
            with worker.place():
                return await worker.run(partial(work, await received(request, most)))
        except Refused:
            raise
        except Exception as error:  # a fault of the server; what it says may quote the image
            where = extract_tb(error.__traceback__)[-1]
            logger.error('%s in %s:%d', type(error).__name__, where.filename, where.lineno)
            raise Refused(500, 'the server failed on this request') from None

    @app.post('/predict', response_model=schema.Answer, **upload)
    async def predict(request: Request, pictures: bool = True) -> Response:
        """Findings of one or several X-rays; a file that cannot be read has an error instead."""
        work = partial(answers.predict, pictures=pictures)
        return Response(await placed(request, limits.files, work), media_type=JSON)

    @app.post('/report', response_class=Response, **upload)
    async def report(request: Request) -> Response:
        """The report of one X-ray, a page that opens offline."""
        page = await placed(request, 1, lambda files: answers.report(files[0]))
        headers = {'Content-Disposition': 'attachment; filename="report.html"'}
        return Response(page, headers=headers, media_type='text/html')

    @app.get('/model', response_model=schema.Model, responses={401: ERRORS[401]})
    async def model() -> Any:
        """Which model answers, and what a request may hold."""
        every = 'all findings' if answers.top > 3 else f'the {answers.top} most probable findings'
        return dict(
            notice=NOTICE,
            stamp=answers.stamp,
            classes=answers.classes,
            heatmaps=answers.no_maps or f'{answers.method}, of {every}',
            limits=asdict(limits),
        )


def _add_state(app: FastAPI, metrics: Metrics) -> None:
    @app.get('/health', response_model=schema.State)
    async def health() -> Any:
        """The server is alive."""
        return dict(status='alive')

    @app.get('/ready', response_model=schema.State, responses={503: dict(model=schema.State)})
    async def ready() -> Any:
        """The network is loaded and has answered once."""
        good = app.state.ready
        return JSONResponse(dict(status='ready' if good else 'not ready'), 200 if good else 503)

    @app.get('/metrics', response_class=Response)
    async def measured() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type=metrics.content_type)
