"""The loop's state is written by whoever read it last, and by nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.loop import SqlLoopStates
from nenrin.core.errors import ConflictError
from nenrin.core.instants import NEVER
from nenrin.loop.journal import keep, read
from nenrin.loop.state import State


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
