"""Many models in little memory: who is let go, who is opened, and what clients see of it."""

from __future__ import annotations

import json
import random
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nenrin.core.calendar import SimulatedCalendar
from nenrin.core.errors import NoRoomError, UnavailableError
from nenrin.core.timer import SystemTimer
from nenrin.serving.plane import table as plane_table
from nenrin.serving.plane.memory import Grown, Room, Sizes, growth
from nenrin.serving.plane.table import LET_GO, RouteTable
from nenrin.serving.router import Variant
from nenrin.testing.waiting import wait_until
from tests.serving.fakes import EXAMPLE, Constant, FakeLoader, ListedRoutes, deployment
from tests.serving.server_here import Server

MIB = 2**20
OF_ITS_OWN = 48 * MIB  # above 32 MiB malloc always takes fresh pages (M_MMAP_THRESHOLD_MAX)


class Heavy(Constant):
    """A model of two megabytes."""

    def __init__(self, value: float) -> None:
        super().__init__(value)
        self.weights = b"x" * 2 * MIB


class HeavyLoader(FakeLoader):
    """Remembers how many of its models were in memory at most."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: weakref.WeakSet[Heavy] = weakref.WeakSet()
        self.most = 0

    def open(self, variant: Variant) -> Constant:
        self.opened.append(variant.version)
        model = Heavy(float(variant.version.removeprefix("v")))
        self.alive.add(model)
        self.most = max(self.most, len(self.alive))
        return model

    def size(self, variant: Variant) -> int:
        return 2 * MIB


def many(count: int) -> ListedRoutes:
    return ListedRoutes(*(deployment(f"v0.{n:02}", name=f"m{n}") for n in range(count)))


class Setting:
    """A table that has room for so many deployments."""

    def __init__(self, routes: ListedRoutes, places: float) -> None:
        self.routes = routes
        self.loader = HeavyLoader()
        self.room = Room(int(places * 2 * MIB))
        self.table = RouteTable(
            routes,
            self.loader,
            SimulatedCalendar(1_380_000_000_000_000),
            SystemTimer(),
            room=self.room,
        )
        self.table.refresh()

    def ask(self, name: str) -> None:
        for runtime in self.table.get(name).runtimes:
            runtime.spent.success.add(0.1)


def test_growth_is_what_the_block_took() -> None:
    def measured() -> bool:
        with growth() as grown:
            kept = b"y" * OF_ITS_OWN
        assert len(kept) == OF_ITS_OWN
        return 0.9 * OF_ITS_OWN < grown.bytes < 2 * OF_ITS_OWN

    wait_until(measured)  # a thread that another test left may import something, or let memory go


def test_those_that_were_asked_longest_ago_are_let_go_first() -> None:
    room = Room(100)
    for name in "abc":
        room.take(name, 30)
    room.look({"a": 0, "b": 0, "c": 0})
    room.look({"a": 1, "b": 0, "c": 0})
    assert room.make(30, "d") == ["b"]
    assert room.make(60, "d") == ["b", "c"]
    room.look({"a": 1, "b": 2, "c": 0})
    assert room.make(70, "d") == ["c", "a"]
    assert room.make(40, "c") == []  # in place of what it takes now
    assert Room().make(10**12, "d") == []


def test_what_is_pinned_stays() -> None:
    room = Room(100)
    room.take("a", 60)
    room.take("b", 30)
    room.pinned |= {"a"}
    assert room.make(40, "c") == ["b"]
    with pytest.raises(UnavailableError, match=r"NENRIN_MODELS_MEMORY .* beside what is pinned"):
        room.make(50, "c")


def test_deployments_rest_until_they_are_asked() -> None:
    setting = Setting(many(4), 2.6)
    assert sorted(setting.table.served) == ["m0", "m1"]
    assert sorted(setting.table.resting) == ["m2", "m3"]
    assert setting.table.ready
    with pytest.raises(UnavailableError, match=LET_GO):
        setting.table.get("m3")
    setting.ask("m0")
    assert setting.table.open("m3").runtimes[0].version == "v0.03"
    assert sorted(setting.table.served) == ["m0", "m3"]
    assert len(setting.loader.alive) == 2
    setting.table.refresh()
    assert sorted(setting.table.served) == ["m0", "m3"]
    assert (setting.room.opened, setting.room.let_go) == (3, 1)


def test_a_route_that_changes_while_it_rests_is_opened_as_it_is_then() -> None:
    setting = Setting(many(3), 2.6)
    setting.routes.listed[2] = deployment("v0.77", name="m2")
    setting.table.refresh()
    assert "v0.77" not in setting.loader.opened
    assert setting.table.open("m2").runtimes[0].version == "v0.77"


def test_a_change_of_routes_does_not_forget_who_was_asked() -> None:
    setting = Setting(many(4), 3.6)
    for name in ("m2", "m0", "m1"):
        setting.ask(name)
        setting.table.refresh()
    setting.routes.listed[0] = deployment("v0.77", name="m0")
    setting.table.refresh()
    setting.table.open("m3")
    assert sorted(setting.table.served) == ["m0", "m1", "m3"]


def test_one_that_grows_lets_another_go_for_good() -> None:
    setting = Setting(many(3), 3.6)
    for name in ("m0", "m2"):
        setting.ask(name)
    setting.routes.listed[0] = deployment("v0.60", "v0.70", weights=[90, 10], name="m0")
    setting.table.refresh()
    assert sorted(setting.table.served) == ["m0", "m2"]
    assert list(setting.table.resting) == ["m1"]
    assert setting.room.taken <= setting.room.limit


def test_variants_of_a_deployment_are_let_go_together() -> None:
    canary = deployment("v0.10", "v0.20", weights=[80, 20], name="c")
    setting = Setting(ListedRoutes(canary, deployment("v0.30", name="d")), 2.6)
    assert list(setting.table.served) == ["c"]
    setting.table.open("d")
    assert list(setting.table.served) == ["d"]
    assert len(setting.loader.alive) == 1


def test_a_deployment_that_is_gone_leaves_its_room() -> None:
    setting = Setting(many(2), 2.6)
    del setting.routes.listed[0]
    setting.routes.listed.append(deployment("v0.50", name="new"))
    setting.table.refresh()
    assert sorted(setting.table.served) == ["m1", "new"]


def test_what_is_larger_than_the_limit_is_refused_by_the_settings_name() -> None:
    large = deployment("v0.10", "v0.20", "v0.30", weights=[50, 25, 25], name="large")
    setting = Setting(ListedRoutes(large, deployment("v0.40", name="small")), 2.6)
    assert list(setting.table.served) == ["small"]
    assert setting.loader.opened == ["v0.40"]
    with pytest.raises(UnavailableError, match=r"6\.0 MiB, and NENRIN_MODELS_MEMORY allows 5\.2"):
        setting.table.open("large")


def test_what_turned_out_too_large_twice_is_not_opened_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    routes = ListedRoutes(deployment("v0.10", name="small"))
    setting = Setting(routes, 2.6)
    monkeypatch.setattr(HeavyLoader, "size", lambda *_: 10)
    monkeypatch.setattr(Heavy, "__init__", grow)
    routes.listed.append(deployment("v0.20", name="large"))
    look(setting)
    assert setting.loader.opened == ["v0.10", "v0.20"]
    assert (list(setting.table.served), list(setting.table.resting)) == (["small"], ["large"])
    with pytest.raises(NoRoomError, match=r"'large' is not ready: .* NENRIN_MODELS_MEMORY"):
        setting.table.open("large")
    monkeypatch.setattr(Heavy, "__init__", light)
    assert setting.table.open("small").runtimes[0].version == "v0.10"
    look(setting)
    with pytest.raises(NoRoomError, match="'large' is not ready"):
        setting.table.open("large")
    assert setting.loader.opened == ["v0.10", "v0.20", "v0.20", "v0.10"]
    assert list(setting.table.served) == ["small"]
    assert setting.table.ready
    assert setting.table.observer.observed().problems.keys() == {"large"}
    said = [text for text in caplog.messages if "large does not answer: its models take" in text]
    assert len(said) == 1
    routes.listed[1] = deployment("v0.30", name="large")
    look(setting)
    assert (setting.table.unfit, setting.table.problems) == ({}, {})


def look(setting: Setting) -> None:
    for _ in range(3):
        setting.table._retry_at = 0.0
        setting.table.refresh()


def light(model: Heavy, value: float) -> None:
    Constant.__init__(model, value)


def grow(model: Heavy, value: float) -> None:
    Constant.__init__(model, value)
    model.weights = b"x" * OF_ITS_OWN


def measuring(monkeypatch: pytest.MonkeyPatch, *megabytes: int) -> None:
    """Have the next openings measured so, and all after them as nothing."""
    left = list(megabytes)

    @contextmanager
    def scripted() -> Iterator[Grown]:
        yield Grown(left.pop(0) * MIB if left else 0)

    monkeypatch.setattr(plane_table, "growth", scripted)


def test_one_measurement_that_is_far_too_large_refuses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What other requests took meanwhile is measured, too."""
    measuring(monkeypatch, 2, 40)
    setting = Setting(many(2), 2.6)
    assert (list(setting.table.served), list(setting.table.resting)) == (["m0"], ["m1"])
    assert (setting.table.ready, setting.table.problems) == (True, {})
    assert setting.table.open("m1").bytes == 2 * MIB
    assert setting.table.open("m0").bytes == 2 * MIB
    assert sorted(setting.table.served) == ["m0", "m1"]


def test_what_was_measured_too_large_alone_is_opened_once_more_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measuring(monkeypatch, 40, 3)
    setting = Setting(many(1), 2.6)
    assert (list(setting.table.resting), setting.table.problems) == (["m0"], {})
    assert setting.table.open("m0").bytes == 3 * MIB
    setting.table.rest("m0")
    measuring(monkeypatch, 40)
    assert setting.table.open("m0").bytes == 3 * MIB


def test_a_version_that_seems_too_large_for_its_deployment_leaves_the_one_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measuring(monkeypatch, 2, 40, 40, 40, 2)
    setting = Setting(many(1), 2.6)
    for version in ("v0.60", "v0.70"):
        setting.routes.listed = [deployment(version, name="m0")]
        setting.table.refresh()
        assert setting.table.problems.keys() == {"m0"}
        assert setting.table.ready
        look(setting)
        assert setting.table.get("m0").runtimes[0].version == {"v0.60": "v0.00"}.get(
            version, version
        )
    assert setting.table.problems == {}
    assert setting.loader.opened == ["v0.00", "v0.60", "v0.60", "v0.70", "v0.70"]


class Files(FakeLoader):
    """All are of a hundred bytes."""

    def size(self, variant: Variant) -> int:
        return 100


def test_sizes_are_the_least_that_was_measured_and_no_less_than_the_files() -> None:
    sizes, variant = Sizes(Files()), Variant(version="v1", weight=100)
    assert (sizes.of([variant]), sizes.surely([variant])) == (100, 100)
    assert [sizes.note(variant, grown, alone=False) for grown in (900, 400, 700, 50)] == [
        900,
        400,
        400,
        100,
    ]
    assert sizes.surely([variant]) == 100
    sizes.keep([])
    assert sizes.note(variant, 500, alone=True) == 500
    assert sizes.surely([variant]) == 100  # once is not enough
    assert sizes.note(variant, 600, alone=True) == 500
    assert sizes.surely([variant]) == 600


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Server, HeavyLoader]]:
    loader = HeavyLoader()
    server = Server(tmp_path, many(50), loader=loader, room=Room(int(10.5 * 2 * MIB)))
    yield server, loader
    server.stop()


def asked(client: httpx2.Client, name: str, **headers: str) -> httpx2.Response:
    body: dict[str, Any] = deployment("v0").request.example(name, EXAMPLE)["body"]
    sent = {"Content-Type": "application/json", **headers}
    return client.post(f"/v2/models/{name}/infer", content=json.dumps(body), headers=sent)


def test_fifty_models_under_load_in_the_room_of_ten(server: tuple[Server, HeavyLoader]) -> None:
    here, loader = server
    url = f"http://127.0.0.1:{here.address[1]}"
    wrong: list[tuple[str, int, str]] = []

    def client(seed: int) -> int:
        draw = random.Random(seed)
        done = 0
        with httpx2.Client(base_url=url, timeout=120) as own:
            for _ in range(40):
                n = min(int(draw.expovariate(0.08)), 49)  # some are asked often, all may be
                answer = asked(own, f"m{n}")
                done += answer.status_code == 200
                if answer.status_code != 200:
                    if answer.status_code != 503 or "retry-after" not in answer.headers:
                        wrong.append((f"m{n}", answer.status_code, answer.text))
                elif answer.json()["outputs"][0]["data"] != [n / 100]:
                    wrong.append((f"m{n}", 200, answer.text))
        return done

    with ThreadPoolExecutor(8) as pool:
        answered = sum(pool.map(client, range(8)))
    assert wrong == []
    assert answered >= 300  # of 320; the others met one on its way out
    assert here.table.room.let_go > 10
    assert here.table.room.taken <= here.table.room.limit
    assert loader.most <= 10 + 8 + 1  # those, one a request under way, and one that is opened
    with httpx2.Client(base_url=url) as own:
        index = own.post("/v2/repository/index").json()
        metrics = own.get("/metrics").text
    states = {each["name"]: (each["state"], each["reason"]) for each in index}
    assert len(states) == 50
    assert set(states.values()) == {("READY", ""), ("UNAVAILABLE", LET_GO)}
    ready = sum(state == "READY" for state, _ in states.values())
    assert f"nenrin_deployments_open {ready}.0" in metrics
    assert f"nenrin_deployments_let_go_total {here.table.room.let_go}.0" in metrics


def test_who_cannot_wait_is_told_when_to_come_again(
    server: tuple[Server, HeavyLoader], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, loader = server
    goes_on = threading.Event()
    opened = loader.open

    def slow(variant: Variant) -> Constant:
        goes_on.wait(20)
        return opened(variant)

    monkeypatch.setattr(loader, "open", slow)
    with httpx2.Client(base_url=f"http://127.0.0.1:{here.address[1]}", timeout=120) as client:
        answer = asked(client, "m40", **{"X-Request-Timeout-Ms": "50"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "'m40' is being loaded" in answer.json()["error"]
        goes_on.set()
        assert asked(client, "m40").json()["outputs"][0]["data"] == [0.4]


def test_what_never_fits_is_told_so_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    large = deployment("v0.10", "v0.20", "v0.30", weights=[50, 25, 25], name="large")
    routes = ListedRoutes(large, deployment("v0.40", name="small"))
    server = Server(tmp_path, routes, loader=HeavyLoader(), room=Room(int(2.6 * 2 * MIB)))
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{server.address[1]}") as client:
            assert asked(client, "small").json()["outputs"][0]["data"] == [0.4]
            refused = asked(client, "large")
            ready = client.get("/v2/health/ready")
            routes.listed.pop()
            assert client.post("/v2/repository/models/large/load").status_code == 503
            alone = client.get("/v2/health/ready")
    finally:
        server.stop()
    assert (refused.status_code, refused.json()["code"]) == (503, "no_room")
    assert "retry-after" not in refused.headers
    assert "set NENRIN_MODELS_MEMORY" in refused.json()["hint"]
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert "6.0 MiB" in ready.json()["problems"]["large"]
    assert (alone.status_code, alone.json()["ready"]) == (503, False)
    assert "retry-after" not in alone.headers


def test_load_pins_and_unload_lets_go(server: tuple[Server, HeavyLoader]) -> None:
    here, _ = server
    with httpx2.Client(base_url=f"http://127.0.0.1:{here.address[1]}", timeout=120) as client:
        assert client.post("/v2/repository/models/m30/load").status_code == 200
        for n in range(40, 50):
            assert asked(client, f"m{n}").status_code == 200
        assert "m30" in here.table.served
        assert client.post("/v2/repository/models/m30/unload").status_code == 200
        assert "m30" in here.table.resting
        assert asked(client, "m30").json()["outputs"][0]["data"] == [0.3]
        assert client.post("/v2/repository/models/nothing/unload").status_code == 404
        assert client.get("/v2/models/m31").json()["name"] == "m31"
