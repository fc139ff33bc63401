"""The plane's ASGI app: what is asked for predictions is answered here, the rest is passed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from http import HTTPStatus
from importlib.metadata import version as installed
from types import MappingProxyType
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from nenrin.core.errors import NoRoomError, UnavailableError
from nenrin.core.timer import Timer
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane import invocations, openinference
from nenrin.serving.plane.answering import Asked, answer, sticky_of
from nenrin.serving.plane.batching import WAIT_SECONDS
from nenrin.serving.plane.bodies import BODY_BYTES, body_of
from nenrin.serving.plane.deadlines import TIMEOUT, seconds_of
from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.drain import Drain
from nenrin.serving.plane.errors import ErrorsAsJson, Json, body, status_of
from nenrin.serving.plane.guard import Guard
from nenrin.serving.plane.headers import by_name
from nenrin.serving.plane.hot import HotRequests
from nenrin.serving.plane.memory import MORE
from nenrin.serving.plane.metrics import PlaneMetrics
from nenrin.serving.plane.opening import Opening
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.repository import ModelRepository
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.statistics import count_answered, count_failed
from nenrin.serving.plane.sums import Board
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.plane.targets import INFER, MODEL, PINNED, VERSION

POLL_SECONDS = 0.5
LOADING_SECONDS = 10.0
_LOOK_SECONDS = 0.05
VERSION_HEADER = VERSION.decode()
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
SAGEMAKER_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

_logger = logging.getLogger(__name__)


class Plane:
    """The endpoints of one environment.

    Args:
        table: what is served; followed while the app runs.
        log: where predictions are kept; closed with the app.
        control: passes on everything that is not answered here.
        timer: measures latency.
        board: where the sums of several planes meet; None: there are no others.
        within: seconds that a request may take, unless it says itself.
        relieves: whether others serve until this one has loaded: nobody is let in before.

    Attributes:
        repository: what is served, and counts.
        beside: entered while the app runs: another protocol's server.
        drain: once it has begun, the plane is not ready any more.
        rescoring: compares compiled models with their originals.
    """

    def __init__(
        self,
        table: RouteTable,
        log: LiveLog,
        control: ControlProxy,
        timer: Timer,
        board: Board | None = None,
        within: float = WAIT_SECONDS,
        rescoring: Rescoring | None = None,
        *,
        relieves: bool = False,
    ) -> None:
        self._table = table
        self._log = log
        self._control = control
        self._timer = timer
        self._board = board
        self._metrics = PlaneMetrics(table, log, board, rescoring)
        self._within = within
        self._loaded = asyncio.Event()
        self.drain = Drain()
        self.beside: Callable[[], AbstractAsyncContextManager[Any]] = nullcontext
        self._relieves = relieves
        self._open = Opening(table)
        self.repository = ModelRepository(table, self._open, within)

    def hot(self, token: str | None = None, doors: Doors = DOORS) -> HotRequests:
        """What answers predictions that need no app."""
        return HotRequests(
            self._table,
            self._log,
            self._metrics,
            Guard(token, doors),
            self.drain,
            self._timer,
            self._within,
            doors,
        )

    def app(self, token: str | None = None, doors: Doors = DOORS) -> ASGIApp:
        """The app. With a ``token``, every request but those for health must carry it."""
        model, pinned = MODEL, PINNED
        routes = [
            *self.repository.routes(),
            *(Route(path, self._infer, methods=["POST"]) for path in INFER),
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._ready),
            Route(f"{model}/ready", self._model_ready),
            Route(f"{pinned}/ready", self._model_ready),
            Route(model, self._model),
            Route(pinned, self._model),
            Route("/v2", self._server),
            *(Route(path, self._ping) for path in sorted(doors.health)),
            *(Route(path, self._invocations, methods=["POST"]) for path in sorted(doors.predict)),
            Route("/version", _version),
            Route("/metrics", self._metrics_text),
        ]
        router = Router(
            routes, redirect_slashes=False, default=self._elsewhere, lifespan=self._lifespan
        )
        return ErrorsAsJson(Guard(token, doors).before(router))

    @asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        following = asyncio.create_task(self._follow())
        try:
            while self._relieves and not self._table.looked:
                await asyncio.sleep(_LOOK_SECONDS)
            async with self.beside():
                yield
        finally:
            following.cancel()
            if self._board is not None:
                self._board.tell(self._metrics.ended())
            await self._control.close()
            self._log.close()

    async def _follow(self) -> None:
        while True:
            try:
                await self._open.look()
            except Exception:
                _logger.exception("the routes cannot be followed")
            self._loaded.set()
            if self._board is not None:
                await asyncio.to_thread(self._board.tell, self._metrics.told())
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
        response = await self._answer(request, "invocations", name, invocations.read)
        attributes = request.headers.get(SAGEMAKER_ATTRIBUTES)
        if attributes is not None:
            response.headers[SAGEMAKER_ATTRIBUTES] = attributes
        return response

    async def _answer(
        self,
        request: Request,
        protocol: str,
        name: str | None,
        read: Callable[[bytes, Served, Mapping[str, str]], Asked],
    ) -> Response:
        headers = by_name(request.headers.items(), ", ")
        content = await body_of(request, BODY_BYTES)
        version = request.path_params.get("version") or headers.get(VERSION_HEADER)
        written = await self.ask(
            protocol,
            name,
            version,
            lambda served: read(content, served, headers),
            headers.get(TIMEOUT.decode()),
            headers,
        )
        return written if isinstance(written, Response) else Json(written)

    async def ask(
        self,
        protocol: str,
        name: str | None,
        version: str | None,
        read: Callable[[Served], Asked],
        timeout: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Any:
        """Answer a request of any protocol, log it and count it.

        Args:
            protocol: its name, for the counts.
            name: the deployment; None: the one that there is.
            version: the version that is to answer; None: whom the key is dealt to.
            read: reads the request, for the deployment.
            timeout: what it says of how long it may take.
            headers: by lower-case names: rows may stick by one.

        Raises:
            NenrinError: what is wrong with it.
        """
        await self._loading()
        started = self._timer.wall()
        served = None
        try:
            within = self._within if timeout is None else seconds_of(timeout.encode("latin-1"))
            served = await self._open.deployment(name, within)
            asked = read(served)
            within -= self._timer.wall() - started
            sticky = sticky_of(served, headers)
            answers = await answer(
                served, asked.rows, self._log, version=version, within=within, sticky=sticky
            )
        except Exception as error:
            status = status_of(error)
            self._metrics.failed(served.deployment.name if served else "", protocol, status)
            if served is not None:
                count_failed(served, version, self._timer.wall() - started)
            raise
        seconds = self._timer.wall() - started
        versions = answers.versions
        self._metrics.answered(served.deployment.name, protocol, [seconds], versions)
        count_answered(served, versions, [len(versions)], [seconds])
        return asked.write(answers)

    async def _loading(self) -> None:
        """Wait while the plane starts: what came while no plane listened is answered, not refused."""
        if not self._loaded.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._loaded.wait(), LOADING_SECONDS)

    async def _live(self, _request: Request) -> Response:
        return Json({"live": True})

    @property
    def unready(self) -> UnavailableError | None:
        """Why no more requests should be sent here; None: every deployment answers."""
        if self.drain.begun:
            return UnavailableError("this server is ending", hint="try again in a second")
        if self._table.ready:
            return None
        told = self._table.problems
        problems = "; ".join(f"{name}: {why}" if name else why for name, why in told.items())
        if told and told.keys() <= self._table.unfit.keys():
            return NoRoomError(problems, hint=MORE)
        return UnavailableError(problems, hint="`nenrin status` says more; try again in a second")

    async def _ready(self, _request: Request) -> Response:
        error = self.unready
        if error is not None:
            headers = {} if isinstance(error, NoRoomError) else {"Retry-After": "1"}
            told = {"ready": False, **body(error)}
            return Json(told, status_code=error.status, headers=headers)
        problems = self._table.problems
        unfit = {name: problems[name] for name in self._table.unfit if name in problems}
        return Json({"ready": True, "problems": unfit} if unfit else {"ready": True})

    async def _model_ready(self, request: Request) -> Response:
        self.repository.check(**request.path_params)
        return Json({"name": request.path_params["name"], "ready": True})

    async def _model(self, request: Request) -> Response:
        served = await self.repository.opened(**request.path_params)
        return Json(openinference.model_metadata(served))

    async def _server(self, _request: Request) -> Response:
        return Json(openinference.server_metadata())

    async def _ping(self, _request: Request) -> Response:
        if self.unready is not None:
            raise self.unready
        return PlainTextResponse("\n")

    async def _metrics_text(self, _request: Request) -> Response:
        return Response(self._metrics.text(), media_type=self._metrics.content_type)


async def _version(_request: Request) -> Response:
    return PlainTextResponse(installed("nenrin"))
