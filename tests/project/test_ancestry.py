"""Where versions came from, and that an adopted one is told with what the backtest decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from nenrin.core.errors import NotFoundError
from nenrin.core.ledger import Event
from nenrin.project.ancestry import Ancestry
from nenrin.registry.version import Version

RING = Event(
    environment="backtest/1",
    sequence=1,
    at=0,
    kind="look.taken",
    subject="delay",
    body={"ring": 14, "ships": "version-a", "trigger": "schedule"},
    hash="",
)
A = Version(id="version-a", name="delay", kind="model", environment="dev", content="c", at=0)


class Rooms:
    """One version in dev and in the backtest that it was adopted from; only the latter has a ring."""

    def list(self, environment: str) -> list[Version]:
        return [A]

    def verdicts(self, environment: str) -> list[Any]:
        return []

    def events(self, environment: str) -> list[Event]:
        return [RING] if environment == "backtest/1" else []

    def environments(self) -> list[str]:
        return ["backtest/1", "dev"]

    def versions(self, environment: str) -> list[Any]:
        return []

    @contextmanager
    def read(self, environment: str) -> Iterator[Any]:
        yield None

    def get(self, unit: Any, revision: str) -> Any:
        raise NotFoundError("none", hint="")


def ancestry(environment: str) -> Ancestry:
    rooms = cast(Any, Rooms())
    return Ancestry(environment, rooms, registry=rooms, gates=rooms, data=rooms, units=rooms)


def test_an_adopted_version_was_let_out_in_its_backtest() -> None:
    told = ancestry("dev").of("version-a")
    assert told["admitted by"]["environment"] == "backtest/1"
    assert told["admitted by"]["ring"]["ring"] == 14
    assert (told["code"], told["data"], told["members"]) == (None, [], [])


def test_a_version_that_is_not_here() -> None:
    assert ancestry("dev").of("version-z") == {
        "version": "version-z",
        "status": "not registered here",
    }
