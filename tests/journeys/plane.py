"""The live plane of a folder, asked in this process: the app that ``nenrin up`` runs, without a socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from nenrin.api.planes import plain
from nenrin.core.settings import Settings
from nenrin.plane import plane_parts
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.prediction import Prediction
from nenrin.serving.segments import read_predictions


class PlaneHere:
    """Follows the routes of an environment and answers requests."""

    def __init__(self, folder: Path, environment: str = "dev") -> None:
        settings = msgspec.structs.replace(
            plain(Settings.read(folder=folder, environment=environment)),
            predictions=folder / "predictions",
            control=folder / "control.sock",
        )
        parts = plane_parts(settings)
        self._settings = settings
        self._parts = parts
        self._table = RouteTable(parts.routes, parts.loader, parts.calendar, parts.timer)

    def get(self, path: str) -> Any:
        """The JSON of an answer that must be 200."""
        return self._asked([("GET", path, None)])[0]

    def post(self, path: str, *bodies: Any) -> list[Any]:
        """The JSON of the answers to some requests, which must be 200; a body of bytes is JSON already."""
        return self._asked([("POST", path, body) for body in bodies])

    def refused(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of the answer to a request that must fail."""
        ((status, found),) = self._told([("POST", path, body)])
        assert status >= 400, found
        return status, found

    def logged(self) -> list[Prediction]:
        """Every prediction so far."""
        return list(read_predictions(self._settings.predictions))

    def _asked(self, requests: list[tuple[str, str, Any]]) -> list[Any]:
        told = self._told(requests)
        assert {status for status, _ in told} <= {200}, told
        return [found for _, found in told]

    def _told(self, requests: list[tuple[str, str, Any]]) -> list[tuple[int, Any]]:
        self._table.refresh()
        assert self._table.problems == {}
        log = LiveLog(self._settings.predictions)
        try:
            return asyncio.run(self._answers(log, requests))
        finally:
            log.close()

    async def _answers(
        self, log: LiveLog, requests: list[tuple[str, str, Any]]
    ) -> list[tuple[int, Any]]:
        proxy = ControlProxy(self._settings.control)
        plane = Plane(self._table, log, proxy, self._parts.timer)
        plane._loaded.set()  # no lifespan runs here
        transport = httpx2.ASGITransport(plane.app())
        found = []
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for method, path, body in requests:
                sent: Any = {"content": body} if isinstance(body, bytes) else {"json": body}
                answer = await client.request(method, path, **sent)
                found.append((answer.status_code, answer.json()))
        await proxy.close()
        return found
