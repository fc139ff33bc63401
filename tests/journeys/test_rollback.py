"""Back to what served before, in a live plane under load: by hand, and by itself where it is not safe."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from nenrin.api.planes import plain
from nenrin.core.calendar import SystemCalendar
from nenrin.core.settings import Settings
from nenrin.core.timer import SystemTimer
from nenrin.plane import plane_parts
from nenrin.platform import Platform
from nenrin.registry.kinds import Answerer, OpenContext
from nenrin.serving.plane.listening import listen
from nenrin.serving.plane.process import PlaneParts, PlaneSettings, run_plane
from nenrin.serving.router import Variant
from nenrin.testing.waiting import wait_until
from tests.serving.fakes import EXAMPLE, SIGNATURE, Echo

_TIMER = SystemTimer()


class Plain:
    """Any bytes."""

    name = "plain"

    def describe(self, content: bytes) -> dict[str, Any]:
        return {}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        raise AssertionError(content)


class Flaky:
    """Answers .5; once it is warm, the failing one fails at every fifth call."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.asked = fails, 0

    def answer_rows(self, rows: Sequence[dict[str, Any]]) -> np.ndarray:
        self.asked += 1
        if self.fails and self.asked > 20 and self.asked % 5 == 0:
            raise ValueError("it broke")
        return np.full(len(rows), 0.5)


class _Loader:
    def __init__(self, failing: str) -> None:
        self.failing = failing

    def open(self, variant: Variant) -> Flaky:
        return Flaky(variant.version == self.failing)

    def features(self, digest: str) -> Echo:
        return Echo()


def parts_of(settings: PlaneSettings) -> PlaneParts:
    """The folder's own routes, over models that are made up."""
    failing = (settings.folder / "failing").read_text()
    routes = plane_parts(settings).routes
    return PlaneParts(
        routes=routes, loader=_Loader(failing), calendar=SystemCalendar(), timer=_TIMER
    )


class Live:
    """A plane of a folder under load, and the platform beside it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.old, self.new = (_register(platform, each) for each in (b"old", b"new"))
        with platform.units.write("dev", platform.calendar.now()) as unit:
            platform.serving.deploy(
                unit, "delay", model="delay", version=self.old, revision="r", request=SIGNATURE,
                example=EXAMPLE,
            )  # fmt: skip
        (platform.settings.folder / "failing").write_text(self.new)
        self.seen: dict[str, float] = {}
        self.failures: list[str] = []

    def send(self, url: str, worker: int, stop: threading.Event) -> None:
        with httpx2.Client(base_url=url, timeout=120) as client:
            number = 0
            while not stop.is_set():
                number += 1
                row = {**EXAMPLE, "flight_id": f"{worker}-{number}"}
                asked = _TIMER.wall()
                answer = client.post("/invocations", json=[row])
                if answer.status_code != 200:
                    self.failures.append(answer.text)
                    continue
                self.seen[answer.json()["versions"][0]] = asked


def _register(platform: Platform, content: bytes) -> str:
    digest = platform.store.put(content)
    with platform.units.write("dev", platform.calendar.now()) as unit:
        return platform.registry.register(
            unit, name="delay", kind="plain", content=digest, revision="r"
        ).id


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with Platform(Settings.read(folder=tmp_path, workers=0), kinds=[Plain()]) as platform:
        yield Live(platform)


@contextmanager
def _loaded(live: Live) -> Iterator[None]:
    """The plane, and four clients that never rest."""
    settings = plain(live.platform.settings)
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    process = get_context("spawn").Process(target=run_plane, args=(settings, parts_of, [listener]))
    process.start()
    stop = threading.Event()
    clients = [threading.Thread(target=live.send, args=(url, n, stop)) for n in range(4)]
    try:
        wait_until(lambda: httpx2.get(f"{url}/v2/health/ready", timeout=120).is_success)
        for client in clients:
            client.start()
        yield
    finally:
        stop.set()
        for client in clients:
            if client.ident is not None:
                client.join()
        process.kill()
        process.join()
        listener.close()


def test_a_roll_back_by_hand_takes_effect_at_once(live: Live) -> None:
    with live.platform.units.write("dev", live.platform.calendar.now()) as unit:
        live.platform.serving.canary(unit, "delay", live.new, 50, reason="it goes out")
    with _loaded(live):
        wait_until(lambda: {live.old, live.new} <= live.seen.keys())
        live.platform.loop.rollback("dev", "delay")
        back = _TIMER.wall()
        wait_until(lambda: _TIMER.wall() - back > 2.0 and live.seen[live.old] > back + 1.5)
    assert live.seen[live.new] - back < 1.0
    assert live.failures == []


def test_a_version_that_fails_is_taken_back_by_itself(live: Live) -> None:
    with live.platform.units.write("dev", live.platform.calendar.now()) as unit:
        live.platform.serving.canary(unit, "delay", live.new, 20, reason="it goes out")
    with _loaded(live):
        wait_until(lambda: bool(live.platform.loop.guarding.guard("dev")))
        back = _TIMER.wall()
        wait_until(lambda: live.seen[live.old] > back + 1.5)
    assert live.seen[live.new] - back < 1.0
    assert live.failures == []  # the champion answered in its place
    assert live.platform.registry.get("dev", live.new).status == "bad"
    told = live.platform.units.find("dev", kind="rollout.rolled_back")[0].body
    assert told["safety"]["metrics"][0]["breach"]
    assert told["safety"]["metrics"][0]["theirs"] == 0.0
