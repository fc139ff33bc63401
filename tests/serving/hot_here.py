"""Hot requests of a plane, asked without sockets: in one turn of the loop, or one after the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nenrin.core.calendar import SimulatedCalendar
from nenrin.core.errors import UnavailableError
from nenrin.core.timer import SystemTimer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.front import Exchange
from nenrin.serving.plane.hot import HotRequests
from nenrin.serving.plane.observed import Observer
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.prediction import Prediction
from nenrin.serving.router import Variant
from nenrin.serving.segments import read_predictions
from tests.serving.fakes import EXAMPLE, FakeLoader, ListedRoutes, deployment

INVOCATIONS = b"/invocations"


class PanicError(BaseException):
    """What compiled code of others raises."""


class Doubling:
    """Says a row's distance times the number of its version n; "broken" raises, and "broken-n"."""

    def __init__(self, times: float) -> None:
        self.times = times
        self.batches: list[int] = []

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        self.batches.append(len(rows))
        if any(row["origin"] == f"away-{self.times:g}" for row in rows):
            raise UnavailableError("it is away", hint="wait")
        if any(row["origin"] == "panic" for row in rows):
            raise PanicError
        broken = {"broken", f"broken-{self.times:g}"}
        if any(row["origin"] in broken for row in rows):
            raise ValueError("no such origin")
        return np.array([self.times * row["distance"] for row in rows])


class Loader(FakeLoader):
    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, Doubling] = {}

    def open(self, variant: Variant) -> Any:
        model = Doubling(float(variant.version.removeprefix("v")))
        return self.models.setdefault(variant.version, model)


class Answered:
    """Stands in for a connection: keeps what is written."""

    def __init__(self) -> None:
        self.status = 0
        self.body: Any = None

    def finish(self, _exchange: Exchange, status: int, _head: bytes, body: bytes) -> None:
        self.status, self.body = status, json.loads(body)


class Here:
    """The hot requests of a plane, asked without sockets."""

    def __init__(self, folder: Path, loader: Loader | None = None) -> None:
        self.folder = folder
        self.loader, self.routes = loader or Loader(), ListedRoutes(deployment("v1"))
        calendar = SimulatedCalendar(1_380_000_000_000_000)
        self.observer = Observer(None, SystemTimer())
        self.table = RouteTable(self.routes, self.loader, calendar, SystemTimer(), self.observer)
        self.table.refresh()
        self.log = LiveLog(folder / "predictions")
        control = ControlProxy(folder / "control.sock")
        self.plane = Plane(self.table, self.log, control, SystemTimer())
        self.hot: HotRequests = self.plane.hot()

    def serve(self, *versions: str, weights: Sequence[int] = (), **other: Any) -> None:
        self.routes.listed = [deployment(*versions, weights=weights, **other)]
        self.table.refresh()
        assert self.table.problems == {}
        for model in self.loader.models.values():
            model.batches.clear()

    def ask(
        self,
        *bodies: Any,
        together: bool = True,
        headers: Sequence[dict[bytes, bytes]] = (),
        path: bytes = INVOCATIONS,
    ) -> list[Answered]:
        """The answers to these bodies, which come in one turn of the loop, or one after the other."""

        async def asked() -> list[Answered]:
            answers = [Answered() for _ in bodies]
            for place, (body, answer) in enumerate(zip(bodies, answers, strict=True)):
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                head = {b"host": b"localhost", b"content-length": b"%d" % len(content)}
                head |= headers[place] if headers else {}
                target = self.hot.takes(path, head)
                exchange = Exchange(answer, target, head, True, [content])  # type: ignore[arg-type]
                self.hot.answer(exchange)
                while not together and not answer.status:
                    await asyncio.sleep(0.001)
            while not all(answer.status for answer in answers):
                await asyncio.sleep(0.001)
            return answers

        return asyncio.run(asked())

    def logged(self) -> list[Prediction]:
        self.log.close()
        return list(read_predictions(self.folder / "predictions"))


def rows(*distances: float, key: str = "a", origin: str = "EWR") -> list[dict[str, Any]]:
    return [
        {**EXAMPLE, "flight_id": f"{key}{distance}", "distance": distance, "origin": origin}
        for distance in distances
    ]


def values(answers: Sequence[Answered]) -> list[Any]:
    return [answer.body["predictions"] for answer in answers]
