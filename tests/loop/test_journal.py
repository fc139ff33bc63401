"""The loop's state is written by whoever read it last, and by nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.loop import SqlLoopStates
from nenrin.core.errors import ConflictError, UnavailableError
from nenrin.core.instants import NEVER
from nenrin.core.settings import Settings
from nenrin.loop.journal import LoopJournal, keep, read
from nenrin.loop.ports import Served, Step
from nenrin.loop.state import Segment, State
from nenrin.platform import Platform
from nenrin.registry.kinds import Answerer, OpenContext
from nenrin.serving.signature import RequestSignature


@pytest.fixture
def units(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False)


def decide(units: Database, states: SqlLoopStates, state: State) -> None:
    with units.write("dev", 3) as unit:
        unit.record("deployment.promoted", "delay", {})
        keep(states, unit, "delay", state)


def test_who_was_overtaken_writes_nothing(units: Database) -> None:
    states = SqlLoopStates()
    with units.write("dev", 1) as unit:
        keep(states, unit, "delay", State(settle=0, next_block=0, next_day=0, next_look=NEVER))
    with units.read("dev") as unit:
        mine, theirs = read(states, unit, "delay"), read(states, unit, "delay")
    assert mine is not None
    assert theirs is not None
    theirs.champion = "theirs"
    with units.write("dev", 2) as unit:
        keep(states, unit, "delay", theirs)
        keep(states, unit, "delay", theirs)  # who wrote last may go on
    mine.champion = "mine"
    with pytest.raises(ConflictError, match="went on meanwhile"):
        decide(units, states, mine)
    with units.read("dev") as unit:
        kept = read(states, unit, "delay")
    assert kept is not None
    assert kept.champion == "theirs"
    assert units.find("dev", kind="deployment.promoted") == []


def test_a_first_state_takes_no_other_ones_place(units: Database) -> None:
    states = SqlLoopStates()
    first, second = (State(settle=0, next_block=0, next_day=0, next_look=NEVER) for _ in range(2))
    decide(units, states, first)
    with pytest.raises(ConflictError):
        decide(units, states, second)


class Plain:
    name = "plain"

    def describe(self, content: bytes) -> dict[str, Any]:
        return {}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        raise AssertionError(content)


def moved(
    platform: Platform,
    unanswered: UnavailableError | None,
    *variants: tuple[str, int],
    bad: bool = False,
    environment: str = "dev",
) -> tuple[str, ...]:
    """The feature states of what answers, after the loop has routed so."""
    served = Served(
        deployment="delay",
        model="delay",
        revision="r",
        request=RequestSignature(fields=()),
        example={},
        features="small" if unanswered is None else "large",
        unanswered=unanswered,
    )
    journal = LoopJournal(
        environment,
        served,
        units=platform.units,
        registry=platform.registry,
        gates=platform.gates,
        serving=platform.serving,
        states=SqlLoopStates(),
        store=platform.store,
    )
    with platform.units.read(environment) as unit:
        known = read(SqlLoopStates(), unit, "delay")
    state = known or State(settle=0, next_block=0, next_day=0, next_look=NEVER)
    versions = dict(variants)
    gone = [name for name in ("two",) if bad and name not in versions]
    with platform.units.write(environment, 1) as unit:
        ids = {
            name: platform.registry.register(
                unit,
                name="delay",
                kind="plain",
                content=platform.store.put(name.encode()),
                revision="r",
            ).id
            for name in [*versions, *gone]
        }
    route = Segment(2, tuple((ids[name], weight) for name, weight in variants))
    journal.commit(Step(at=2, route=route, why="so", bad=[ids[name] for name in gone]), state)
    found = platform.serving.show(environment, "delay").route.variants
    assert tuple((each.version, each.weight) for each in found) == route.variants
    return tuple(each.features for each in found)


def test_what_could_not_answer_gets_no_requests_and_keeps_nothing_from_going_back(
    tmp_path: Path,
) -> None:
    large = UnavailableError("too large", hint="set NENRIN_JOIN_MEMORY")
    with Platform(Settings.read(folder=tmp_path, workers=0), kinds=[Plain()]) as platform:
        assert moved(platform, large, ("one", 100), environment="backtest/b") == ("large",)
        with pytest.raises(UnavailableError):
            moved(platform, large, ("one", 100))
        assert platform.serving.list("dev") == []
        assert moved(platform, None, ("one", 100)) == ("small",)
        for variants in [(("two", 100),), (("one", 80), ("two", 20))]:
            with pytest.raises(UnavailableError):
                moved(platform, large, *variants)
        assert moved(platform, None, ("one", 80), ("two", 20)) == ("small", "small")
        assert moved(platform, large, ("one", 50), ("two", 50)) == ("small", "small")
        assert moved(platform, large, ("two", 100)) == ("small",)
        assert moved(platform, large, ("one", 100), bad=True) == ("small",)


def test_a_canary_that_its_watch_takes_back_is_a_roll_back_like_any_other(tmp_path: Path) -> None:
    with Platform(Settings.read(folder=tmp_path, workers=0), kinds=[Plain()]) as platform:
        for variants in [(("one", 100),), (("one", 80), ("two", 20))]:
            moved(platform, None, *variants)
        one, two = platform.serving.show("dev", "delay").route.variants
        moved(platform, None, ("one", 100), bad=True)
        told = platform.loop.guarding.show("dev", "delay")["rolled_back"]
        assert (told["left"], told["to"], told["by"]) == ([two.version], one.version, None)
