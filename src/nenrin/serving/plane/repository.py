"""The extensions "model repository" and "statistics" of the Open Inference Protocol, over REST.

Which versions are served is decided by the loop and by people, in the ledger. So ``load`` looks at once
for what has been decided, and ``unload`` is refused, unless models may take so much memory and no more:
then a deployment that was loaded so stays until it is unloaded.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nenrin.core.errors import RefusedError, RequestError
from nenrin.serving.plane.batching import WAIT_SECONDS
from nenrin.serving.plane.bodies import BODY_BYTES, body_of
from nenrin.serving.plane.decoding import decoded
from nenrin.serving.plane.errors import Json
from nenrin.serving.plane.opening import Opening
from nenrin.serving.plane.served import Served, index
from nenrin.serving.plane.statistics import statistics
from nenrin.serving.plane.table import LET_GO, RouteTable

T = TypeVar("T")


class IndexRequest(msgspec.Struct):
    """The body of ``POST /v2/repository/index``; it may be left out."""

    ready: bool = False


class LoadRequest(msgspec.Struct):
    """The body of ``POST /v2/repository/models/NAME/load``; it may be left out."""

    parameters: dict[str, Any] = {}


_index = msgspec.json.Decoder(IndexRequest)
_load = msgspec.json.Decoder(LoadRequest)


class ModelRepository:
    """What is served, and what does not load.

    Args:
        table: what is served.
        opening: has it read the routes now, and opens or lets go.
        within: seconds that whoever asks for what was let go waits.
    """

    def __init__(self, table: RouteTable, opening: Opening, within: float = WAIT_SECONDS) -> None:
        self._table = table
        self._opening = opening
        self._within = within

    def index(self, *, ready: bool = False) -> list[dict[str, str]]:
        """Every version of every deployment: name, version, state, and why it is not ready.

        Args:
            ready: only those that answer.
        """
        found = [
            {"name": name, "version": runtime.version, "state": "READY", "reason": ""}
            for name, served in sorted(self._table.served.items())
            for runtime in _once(served)
        ]
        resting = dict.fromkeys(self._table.resting, LET_GO)
        if not ready:
            found += [
                {"name": name, "version": "", "state": "UNAVAILABLE", "reason": why}
                for name, why in sorted({**resting, **self._table.problems}.items())
                if name
            ]
        return found

    def check(self, name: str, version: str = "") -> None:
        """Do nothing where a deployment, or a version of it, answers when it is asked.

        Raises:
            NotFoundError: there is no such deployment or version.
            UnavailableError: it does not answer.
        """
        live = self._table.resting.get(name)
        if live is None or name in self._table.problems:
            versions = [runtime.version for runtime in self._table.get(name).runtimes]
        else:  # it is opened then
            versions = [variant.version for variant in live.deployment.route.variants]
        if version:
            index(version, versions, name)

    async def opened(self, name: str, version: str = "") -> Served:
        """A deployment that serves a version; one that was let go is opened first.

        Raises:
            NotFoundError: there is no such deployment or version.
            UnavailableError: it is not loaded in time, or does not load.
        """
        served = await self._opening.deployment(name, self._within)
        if version:
            served.index(version)
        return served

    async def load(self, name: str, parameters: dict[str, Any]) -> None:
        """Serve what the deployment's route names now, without waiting for the next look; have it stay.

        Raises:
            RequestError: there are parameters.
            NotFoundError: there is no such deployment.
            UnavailableError: it does not load.
        """
        if parameters:
            raise RequestError(
                f"load takes no parameters here, and {sorted(parameters)[0]!r:.40} was sent",
                hint="a deployment is changed by `nenrin run` and `nenrin deployments`",
            )
        await self._opening.look()
        await self._opening.deployment(name)
        if self._table.room.limit:
            self._table.room.pinned |= {name}

    async def unload(self, name: str) -> None:
        """Let the deployment go until it is asked; refused where memory has no limit.

        Raises:
            NotFoundError: there is no such deployment.
            RefusedError: there is, and nothing is let go here.
        """
        if name not in self._table.resting:
            self._table.get(name)
        if self._table.room.limit:
            self._table.room.pinned -= {name}
            await self._opening.rest(name)
            return
        raise RefusedError(
            f"deployment {name!r} is not unloaded by a client",
            hint="`nenrin deployments rollback` leaves a version; what is served is in the ledger",
            where=name,
        )

    def statistics(self, name: str = "", version: str = "") -> list[dict[str, Any]]:
        """Counts and durations of every version, of one deployment's, or of one version.

        What was let go has counted nothing since, and is not among them.

        Raises:
            NotFoundError: there is no such deployment or version.
            UnavailableError: it is not loaded.
        """
        if name:
            self.check(name, version)
        return [
            statistics(each, runtime)
            for each, served in self._table.served.items()
            if name in ("", each)
            for runtime in _once(served)
            if version in ("", runtime.version)
        ]

    def routes(self) -> list[Route]:
        """The paths of both extensions."""
        repository, model = "/v2/repository", "/v2/models/{name}"
        return [
            Route(f"{repository}/index", self._index, methods=["POST"]),
            Route(f"{repository}/models/{{name}}/load", self._loaded, methods=["POST"]),
            Route(f"{repository}/models/{{name}}/unload", self._unloaded, methods=["POST"]),
            Route("/v2/models/stats", self._statistics),
            Route(f"{model}/stats", self._statistics),
            Route(f"{model}/versions/{{version}}/stats", self._statistics),
        ]

    async def _index(self, request: Request) -> Response:
        return Json(self.index(ready=(await _told(request, _index, IndexRequest())).ready))

    async def _loaded(self, request: Request) -> Response:
        told = await _told(request, _load, LoadRequest())
        await self.load(request.path_params["name"], told.parameters)
        return Json({})

    async def _unloaded(self, request: Request) -> Response:
        await self.unload(request.path_params["name"])
        return Json({})

    async def _statistics(self, request: Request) -> Response:
        return Json({"model_stats": self.statistics(**request.path_params)})


def _once(served: Served) -> list[Any]:
    """The runtimes; one stands in two places while another does not load."""
    return list({runtime.version: runtime for runtime in served.runtimes}.values())


async def _told(request: Request, decoder: msgspec.json.Decoder[T], otherwise: T) -> T:
    body = await body_of(request, BODY_BYTES)
    hint = "send {} or nothing"
    return decoded(body, decoder, "the body is not understood", hint) if body else otherwise
