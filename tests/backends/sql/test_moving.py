"""State that moves: all of it or nothing, the same on the other side, and writable there."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from nenrin.backends.sql import moving, schema
from nenrin.backends.sql.copying import SqliteStates
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.backends.sql.loop import SqlBacktests, SqlLoopStates
from nenrin.backends.sql.moving import ServerStates, move, states_of
from nenrin.core.audit import Audit
from nenrin.core.environment import DEFAULT
from nenrin.core.errors import (
    ConflictError,
    DataError,
    IntegrityError,
    NotFoundError,
    RequestError,
)
from nenrin.core.ledger import verify
from nenrin.testing.jobs import job
from nenrin.testing.postgres import PostgresServer

DIGEST = "ab" * 32


def _filled(units: Database) -> None:
    for at in range(30):
        with units.write(("dev", "prod")[at % 2], at) as unit:
            unit.record("day.closed", "delay", {"at": at, "text": "é\n\x00", "big": 2**62})
    with units.write("dev", 40) as unit:
        SqlLoopStates().put(unit, "service", b"\x00\xff" + DIGEST.encode())
        SqlBacktests().add(unit, "bt-1", 40, {"loss": 0.1 + 0.2})
        unit.record("backtest.reported", "bt-1", {})
        SqlJobs().add(unit, [job(1), job(2)])


def _tables(units: Database) -> dict[str, list[tuple[object, ...]]]:
    with units.read(DEFAULT) as unit:
        return {
            table.name: sorted(
                (tuple(row) for row in unit.connection.execute(select(table))), key=str
            )
            for table in schema.metadata.sorted_tables
        }


@pytest.fixture
def source(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    with Database(url, durable=False) as units:
        _filled(units)
    return url


def test_everything_is_there_and_goes_on(source: str, postgres: PostgresServer) -> None:
    target = postgres.fresh()
    moved = move(source, target)
    with Database(source) as old, Database(target) as new:
        assert _tables(new) == _tables(old)
        assert {name: f"{old.head(name)[0]}:{old.head(name)[1]}" for name in ("dev", "prod")} == (
            moved.heads
        )
        assert moved.rows["events"] == 31
        with new.write("dev", 41) as unit:
            SqlBacktests().add(unit, "bt-2", 41, {})
            SqlJobs().add(unit, [job(3)])
            unit.record("backtest.reported", "bt-2", {})
        assert Audit(new).verify().holds
        assert verify(new.events("dev"))[1] == []
        with new.read("dev") as unit:
            assert [each.id for each in SqlJobs().open(unit)] == ["job-1", "job-2", "job-3"]


def test_a_database_with_state_is_refused_and_left_alone(
    source: str, postgres: PostgresServer
) -> None:
    target = postgres.fresh()
    with Database(target) as units:
        with units.write("dev", 1) as unit:
            unit.record("day.closed", "theirs", {})
        with pytest.raises(ConflictError, match="state in the database"):
            move(source, target)
        assert [event.subject for event in units.events("dev")] == ["theirs"]


def test_what_comes_otherwise_is_left_out_again(
    source: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = postgres.fresh()
    counts = moving._counts

    def one_more(connection):  # type: ignore[no-untyped-def]
        found = counts(connection)
        if connection.dialect.name == "postgresql" and found["events"]:
            found["events"] += 1
        return found

    monkeypatch.setattr(moving, "_counts", one_more)
    with pytest.raises(IntegrityError, match="left out again"):
        move(source, target)
    with Database(target) as units:
        assert not any(_tables(units).values())


def test_a_text_that_postgresql_does_not_keep_is_told_of(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    source, target = f"sqlite:///{tmp_path / 'state.db'}", postgres.fresh()
    with Database(source) as units, units.write("dev", 1) as unit:
        row = {"key": "a\x00b", "at": 1, "body": "{}"}
        unit.connection.execute(insert(schema.step_results), row)
    with pytest.raises(DataError, match="does not take"):
        move(source, target)


def test_says_what_cannot_be_moved(tmp_path: Path, source: str) -> None:
    with pytest.raises(NotFoundError, match="no state"):
        move(f"sqlite:///{tmp_path / 'nothing' / 'state.db'}", "postgresql://localhost/nenrin")
    with pytest.raises(RequestError, match="PostgreSQL"):
        move(source, f"sqlite:///{tmp_path / 'other.db'}")


def test_a_copy_of_a_server_is_a_file_that_can_be_brought_back(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url, again, copied = postgres.fresh(), postgres.fresh(), tmp_path / "copied.db"
    states = states_of(url)
    assert isinstance(states, ServerStates)
    with Database(url, durable=False) as units:
        _filled(units)
        heads = {name: "{}:{}".format(*units.head(name)) for name in ("dev", "prod")}
        states.copy(copied)
        assert states.check(copied) == []
        assert DIGEST in states.named(copied)
        assert states.heads(copied) == heads
        with pytest.raises(ConflictError, match="state in the database"), states.incoming():
            pass
        with states_of(again).incoming() as file:
            copied.rename(file)
        with Database(again) as back:
            assert _tables(back) == _tables(units)


def test_events_of_the_queue_are_sealed_in_a_copy(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.fresh()
    with Database(url, durable=False) as units:
        monkeypatch.setattr("nenrin.backends.sql.sealing.SealBehind.committed", lambda self: None)
        with units.write("dev", 1) as unit:
            unit.record("day.closed", "waits", {})
        ServerStates(url).copy(tmp_path / "copied.db")
    with Database(f"sqlite:///{tmp_path / 'copied.db'}") as copied:
        assert [event.subject for event in copied.events("dev")] == ["waits"]
        assert Audit(copied).verify().holds
        with copied.read("dev") as unit:
            assert unit.connection.execute(select(schema.unsealed)).all() == []


def test_a_file_has_states_of_its_own(tmp_path: Path) -> None:
    states = states_of(f"sqlite:///{tmp_path / 'state.db'}")
    assert isinstance(states, SqliteStates)
    with states.incoming() as file:
        assert file == tmp_path / "state.db"
