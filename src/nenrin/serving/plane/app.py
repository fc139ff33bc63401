"""The plane's ASGI app: what is asked for predictions is answered here, the rest is passed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from importlib.metadata import version as installed
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from nenrin.core.errors import NenrinError, UnavailableError
from nenrin.core.timer import Timer
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane import invocations, openinference
from nenrin.serving.plane.answering import Asked, answer
from nenrin.serving.plane.errors import ErrorsAsJson, Json, body
from nenrin.serving.plane.guard import Guard
from nenrin.serving.plane.metrics import PlaneMetrics
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable, Served

POLL_SECONDS = 0.5
LOADING_SECONDS = 10.0
BODY_BYTES = 64 * 2**20

_logger = logging.getLogger(__name__)


class Plane:
    """The endpoints of one environment.

    Args:
        table: what is served; followed while the app runs.
        log: where predictions are kept; closed with the app.
        control: passes on everything that is not answered here.
        timer: measures latency.
        rescoring: compares compiled models with their originals.
    """

    def __init__(
        self,
        table: RouteTable,
        log: LiveLog,
        control: ControlProxy,
        timer: Timer,
        rescoring: Rescoring | None = None,
    ) -> None:
        self._table = table
        self._log = log
        self._control = control
        self._timer = timer
        self._metrics = PlaneMetrics(table, log, rescoring)
        self._loaded = asyncio.Event()

    def app(self, token: str | None = None) -> ASGIApp:
        """The app. With a ``token``, every request but those for health must carry it."""
        model = "/v2/models/{name}"
        pinned = model + "/versions/{version}"
        routes = [
            Route("/v2/models/{name}/infer", self._infer, methods=["POST"]),
            Route(f"{pinned}/infer", self._infer, methods=["POST"]),
            Route("/invocations", self._invocations, methods=["POST"]),
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._ready),
            Route(f"{model}/ready", self._model_ready),
            Route(f"{pinned}/ready", self._model_ready),
            Route(model, self._model),
            Route(pinned, self._model),
            Route("/v2", self._server),
            Route("/ping", self._ping),
            Route("/version", self._version),
            Route("/metrics", self._metrics_text),
        ]
        router = Router(
            routes, redirect_slashes=False, default=self._elsewhere, lifespan=self._lifespan
        )
        return ErrorsAsJson(Guard(router, token))

    @asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await self._control.close()
            self._log.close()

    async def _follow(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._table.refresh)
            except Exception:
                _logger.exception("the routes cannot be followed")
            self._loaded.set()
            await asyncio.sleep(POLL_SECONDS)

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/v2/"):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await self._control(scope, receive, send)

    async def _infer(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await self._answer(request, "v2", name, openinference.read)

    async def _invocations(self, request: Request) -> Response:
        name = request.query_params.get("deployment")
        return await self._answer(request, "invocations", name, invocations.read)

    async def _answer(
        self,
        request: Request,
        protocol: str,
        name: str | None,
        read: Callable[[bytes, Served], Asked],
    ) -> Response:
        content = await _body(request)
        await self._loading()
        started = self._timer.wall()
        known = ""
        try:
            served = self._table.only(name)
            known = served.deployment.name
            asked = read(content, served)
            version = request.path_params.get("version")
            answers = await answer(served, asked.rows, self._log, version=version)
        except NenrinError as error:
            self._metrics.failed(known, protocol, error.status)
            raise
        self._metrics.answered(known, protocol, self._timer.wall() - started, answers)
        return Json(asked.write(answers))

    async def _loading(self) -> None:
        """Wait while the plane starts: what came while no plane listened is answered, not refused."""
        if not self._loaded.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._loaded.wait(), LOADING_SECONDS)

    async def _live(self, _request: Request) -> Response:
        return Json({"live": True})

    async def _ready(self, _request: Request) -> Response:
        if self._table.ready:
            return Json({"ready": True})
        problems = "; ".join(f"{name} {why}".strip() for name, why in self._table.problems.items())
        error = UnavailableError(problems, hint="`nenrin status` says more; try again in a second")
        return Json(
            {"ready": False, **body(error)}, status_code=error.status, headers={"Retry-After": "1"}
        )

    async def _model_ready(self, request: Request) -> Response:
        served = self._served(request)
        return Json({"name": served.deployment.name, "ready": True})

    async def _model(self, request: Request) -> Response:
        return Json(openinference.model_metadata(self._served(request)))

    def _served(self, request: Request) -> Served:
        served = self._table.get(request.path_params["name"])
        if "version" in request.path_params:
            served.index(request.path_params["version"])
        return served

    async def _server(self, _request: Request) -> Response:
        return Json(openinference.server_metadata())

    async def _ping(self, _request: Request) -> Response:
        status = HTTPStatus.OK if self._table.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return PlainTextResponse("\n", status_code=status)

    async def _version(self, _request: Request) -> Response:
        return PlainTextResponse(installed("nenrin"))

    async def _metrics_text(self, _request: Request) -> Response:
        return Response(self._metrics.text(), media_type=self._metrics.content_type)


async def _body(request: Request) -> bytes:
    """The request's body, up to its limit of size."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {BODY_BYTES} bytes"
            )
        chunks.append(chunk)
    return b"".join(chunks)
