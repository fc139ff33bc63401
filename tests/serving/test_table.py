from __future__ import annotations

import msgspec
import pytest

from nenrin.core.calendar import SimulatedCalendar, SystemCalendar
from nenrin.core.errors import IntegrityError, NotFoundError, RequestError, UnavailableError
from nenrin.core.instants import HOUR
from nenrin.core.timer import SystemTimer
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.router import Variant
from tests.serving.fakes import EXAMPLE, FakeLoader, ListedRoutes, deployment

DEPARTURE = 1_372_717_800_000_000
"""The departure of the example row."""
NOW = DEPARTURE + HOUR


class Setting:
    def __init__(self, routes: ListedRoutes) -> None:
        self.routes = routes
        self.loader = FakeLoader()
        self.table = RouteTable(routes, self.loader, SimulatedCalendar(NOW), SystemTimer())

    def versions(self, name: str = "delay") -> list[str]:
        self.table.refresh()
        return [runtime.version for runtime in self.table.get(name).runtimes]


def test_not_ready_before_the_first_look() -> None:
    table = Setting(ListedRoutes(deployment("v0.1"))).table
    assert not table.ready
    with pytest.raises(UnavailableError, match="'delay' is not ready"):
        table.get("delay")
    table.refresh()
    assert table.ready


def test_only_what_changed_is_loaded() -> None:
    setting = Setting(ListedRoutes(deployment("v0.1", features="s1")))
    assert setting.versions() == ["v0.1"]
    before = setting.table.get("delay")
    setting.table.refresh()
    assert setting.table.get("delay") is before
    setting.routes.listed = [deployment("v0.1", "v0.2", weights=[80, 20], features="s1")]
    assert setting.versions() == ["v0.1", "v0.2"]
    assert setting.loader.opened == ["v0.1", "v0.2"]
    assert setting.table.get("delay").runtimes[0] is before.runtimes[0]
    setting.routes.listed = [deployment("v0.2", features="s2")]
    assert setting.versions() == ["v0.2"]
    assert setting.loader.opened == ["v0.1", "v0.2", "v0.2"]


def test_a_champion_that_does_not_load_changes_nothing() -> None:
    setting = Setting(ListedRoutes(deployment("v0.1")))
    setting.versions()
    setting.routes.listed = [deployment("gone")]
    assert setting.versions() == ["v0.1"]
    assert setting.table.ready
    assert setting.table.problems == {"delay": "version gone: there is no version 'gone'"}
    setting.routes.listed = [deployment("v0.2")]
    assert setting.versions() == ["v0.2"]
    assert setting.table.problems == {}


@pytest.mark.parametrize(
    ("error", "traceback"),
    [(IntegrityError("it has changed", hint="restore it"), False), (ZeroDivisionError("oh"), True)],
)
def test_what_can_be_explained_needs_no_traceback(
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    traceback: bool,
) -> None:
    def fails(variant: object) -> None:
        raise error

    setting = Setting(ListedRoutes(deployment("v0.1")))
    monkeypatch.setattr(setting.loader, "open", fails)
    setting.table.refresh()
    (record,) = caplog.records
    assert str(error) in record.getMessage() + str(record.exc_info)
    assert bool(record.exc_info) is traceback


def test_a_challenger_that_does_not_load_leaves_its_keys_to_the_champion() -> None:
    setting = Setting(ListedRoutes(deployment("v0.1", "gone", weights=[50, 50])))
    assert setting.versions() == ["v0.1", "v0.1"]
    assert "gone" in setting.table.problems["delay"]
    setting.routes.listed = [deployment("v0.1")]
    assert setting.versions() == ["v0.1"]


def test_what_cannot_answer_its_example_is_not_served() -> None:
    setting = Setting(ListedRoutes(deployment("v0.1", example={**EXAMPLE, "origin": "broken"})))
    setting.table.refresh()
    assert not setting.table.ready
    with pytest.raises(UnavailableError, match="no such origin"):
        setting.table.get("delay")


def test_an_example_of_an_older_signature_is_passed_over() -> None:
    setting = Setting(ListedRoutes(deployment("v0.1", example={"tail": "N1"})))
    assert setting.versions() == ["v0.1"]


def test_an_example_older_than_what_an_online_store_keeps_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RequestError("asked too early")

    monkeypatch.setattr("tests.serving.fakes.Echo.seen", refuse)
    assert Setting(ListedRoutes(deployment("v0.1", features="s1"))).versions() == ["v0.1"]


def test_a_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(ListedRoutes(deployment("gone")))
    setting.table.refresh()
    setting.table.refresh()
    assert setting.loader.opened == ["gone"]
    monkeypatch.setattr("nenrin.serving.plane.table.RETRY_SECONDS", 0.0)
    setting.table._retry_at = 0.0
    setting.table.refresh()
    assert setting.loader.opened == ["gone", "gone"]


def test_routes_out_of_reach_leave_the_table_alone(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(ListedRoutes(deployment("v0.1")))
    setting.versions()

    def fails() -> list[object]:
        raise UnavailableError("the state cannot be read")

    setting.routes.routes = fails  # type: ignore[assignment]
    for _ in range(2):
        setting.table.refresh()
    assert setting.table.ready
    assert setting.table.problems == {"": "the state cannot be read"}
    [record] = caplog.records
    assert "the state cannot be read" in record.getMessage()
    told = setting.table.observer.observed().problems
    assert told == {"delay": "its route cannot be read: the state cannot be read"}
    assert setting.versions() == ["v0.1"]


def test_a_route_waits_for_no_others_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(ListedRoutes(deployment("v0.1")))
    setting.versions()
    seen = []

    def fails(variant: Variant) -> None:
        seen.append([each.version for each in setting.table.get("delay").runtimes])
        raise IntegrityError("it has changed", hint="restore it")

    def opens(variant: Variant) -> object:
        return fails(variant) if variant.version == "v0.9" else opened(variant)

    opened = setting.loader.open
    monkeypatch.setattr(setting.loader, "open", opens)
    monkeypatch.setattr("nenrin.serving.plane.table.RETRY_SECONDS", 0.0)
    for version in ("v0.2", "v0.3"):  # the other is new, then one that did not load
        canary = deployment("v0.1", version, weights=[80, 20])
        setting.routes.listed = [deployment("v0.9", name="broken"), canary]
        setting.table.refresh()
    assert seen == [["v0.1", "v0.2"], ["v0.1", "v0.3"]]


def test_names() -> None:
    setting = Setting(ListedRoutes())
    setting.table.refresh()
    with pytest.raises(NotFoundError) as caught:
        setting.table.only()
    assert "nenrin run" in caught.value.hint
    setting.routes.listed = [deployment("v0.1")]
    setting.table.refresh()
    assert setting.table.only().deployment.name == "delay"
    setting.routes.listed.append(deployment("v0.2", name="cancel"))
    setting.table.refresh()
    with pytest.raises(RequestError, match="several deployments"):
        setting.table.only()
    assert setting.table.only("cancel").runtimes[0].version == "v0.2"
    with pytest.raises(NotFoundError) as caught:
        setting.table.get("dealy")
    assert caught.value.hint == "deployments here: cancel, delay"


def test_a_row_is_asked_at_its_time_else_now() -> None:
    setting = Setting(ListedRoutes(deployment("v0.1")))
    setting.versions()
    served = setting.table.get("delay")
    rows = served.reader.records([EXAMPLE, {**EXAMPLE, "sched_dep": None}])
    assert served.questions(rows, served.now).asked == [DEPARTURE, NOW]
    setting.routes.stands_at = DEPARTURE - 5  # the flight lies ahead
    setting.versions()
    served = setting.table.get("delay")
    assert served.questions(rows, served.now).asked == [DEPARTURE - 5, DEPARTURE - 5]


def test_rows_may_be_asked_before_their_time() -> None:
    plain = deployment("v0.1")
    signature = msgspec.structs.replace(plain.request, shift=-2 * HOUR)
    setting = Setting(ListedRoutes(msgspec.structs.replace(plain, request=signature)))
    setting.versions()
    served = setting.table.get("delay")
    assert served.questions(served.reader.records([EXAMPLE]), served.now).asked == [
        DEPARTURE - 2 * HOUR
    ]


def test_without_a_time_column_rows_are_asked_now() -> None:
    plain = deployment("v0.1")
    signature = msgspec.structs.replace(plain.request, time=None)
    setting = Setting(ListedRoutes(msgspec.structs.replace(plain, request=signature)))
    setting.versions()
    served = setting.table.get("delay")
    assert served.questions(served.reader.records([EXAMPLE]), served.now).asked == [NOW]


def test_what_a_promotion_replaced_is_there_still_when_it_is_rolled_back() -> None:
    loader, routes = FakeLoader(), ListedRoutes(deployment("v0.1", features="s1"))
    table = RouteTable(routes, loader, SystemCalendar(), SystemTimer())
    for listed in (
        deployment("v0.1", features="s1"),
        deployment("v0.2", features="s1", previous="v0.1"),
        deployment("v0.1", features="s1"),
        deployment("v0.3", features="s1", previous="v0.1"),
        deployment("v0.4", features="s1", previous="v0.3"),
    ):
        routes.listed = [listed]
        table.refresh()
        former = table.get("delay").asking.former
        assert (former.version if former else None) == listed.previous
    assert loader.opened == ["v0.1", "v0.2", "v0.3", "v0.4"]
