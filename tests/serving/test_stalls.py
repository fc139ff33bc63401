"""Two versions of one plane, asked by many at once: a stall is no slowness, and slowness is found."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from nenrin.core.calendar import SystemCalendar
from nenrin.core.timer import SystemTimer
from nenrin.loop.safety import NEEDS, Metric, judge
from nenrin.serving.livelog import LiveLog
from nenrin.serving.observed import Split
from nenrin.serving.plane import observed
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.observed import Observer
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.router import Variant
from nenrin.stats.latency import EDGES
from tests.serving.fakes import EXAMPLE, Constant, FakeLoader, ListedRoutes, deployment

STALL = 0.5
WORKERS = 20


class Stalling(Constant):
    """Thinks for a while; the next batch may be told to stall."""

    stall = 0.0

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        held, self.stall = self.stall, 0.0
        time.sleep(held)
        return super().answer_rows(rows)


class Loader(FakeLoader):
    def __init__(self) -> None:
        super().__init__()
        self.answerers: dict[str, Stalling] = {}

    def open(self, variant: Variant) -> Stalling:
        seconds = 0.03 if variant.version == "slow" else 0.002  # in its thread
        self.answerers[variant.version] = Stalling(0.5, seconds)
        return self.answerers[variant.version]


class Here:
    def __init__(self, folder: Path, challenger: str) -> None:
        self.loader = Loader()
        self.keys = map(str, itertools.count())
        self.observer = Observer(None, SystemTimer())
        routes = ListedRoutes(deployment("old", challenger, weights=[50, 50]))
        table = RouteTable(routes, self.loader, SystemCalendar(), SystemTimer(), self.observer)
        table.refresh()
        self.log = LiveLog(folder)
        plane = Plane(table, self.log, ControlProxy(folder / "control.sock"), SystemTimer())
        plane._loaded.set()  # no lifespan runs here
        self.app = plane.app()

    @property
    def split(self) -> Split:
        [split] = self.observer.observed().splits
        return split

    @property
    def latency(self) -> Metric:
        return judge(self.split.subject, "old", [self.split]).metrics[1]

    def ask_until(self, enough: Callable[[], bool]) -> None:
        asyncio.run(self._ask_until(enough))

    async def _ask_until(self, enough: Callable[[], bool]) -> None:
        transport = httpx2.ASGITransport(self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

            async def work() -> None:
                while not enough():
                    row = {**EXAMPLE, "flight_id": next(self.keys)}
                    answer = await client.post("/invocations", json=[row])
                    assert answer.status_code == 200, answer.text

            await asyncio.gather(*(work() for _ in range(WORKERS)))


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Here]]:
    """Spells of a tenth of a second."""
    monkeypatch.setattr(observed, "SPELL", 0.1)
    opened: list[Here] = []

    def begin(challenger: str) -> Here:
        opened.append(Here(tmp_path, challenger))
        return opened[-1]

    yield begin
    for here in opened:
        here.log.close()
        here.observer.close()


def test_a_stall_takes_no_healthy_version_back(begun: Callable[[str], Here]) -> None:
    here = begun("new")
    here.ask_until(lambda: here.split.spells >= 2)
    here.loader.answerers["new"].stall = STALL
    here.ask_until(lambda: here.split.spells >= 5)
    waited = sum(
        count
        for edge, count in zip(EDGES, here.split.mine.seconds[1:], strict=True)
        if edge >= STALL / 4
    )
    assert waited >= 8  # that many, which the other side has none of, were evidence one by one
    assert here.latency.evidence < NEEDS


def test_a_version_that_is_slow_is_found(begun: Callable[[str], Here]) -> None:
    here = begun("slow")
    here.ask_until(lambda: here.latency.breach or here.split.spells >= 100)
    assert here.latency.breach
