"""State on PostgreSQL: many writers, connections that are lost, servers that crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from nenrin.backends.sql import resting
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.loop import SqlLoopStates
from nenrin.core.errors import (
    ConflictError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
)
from nenrin.core.ledger import verify
from nenrin.testing.postgres import PostgresServer, postgres_server


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    with postgres_server() as own:
        yield own


def in_threads(*work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()


def test_waits_for_the_disk_except_in_backtests(postgres: PostgresServer) -> None:
    with Database(postgres.fresh()) as units:
        for environment, waits in (("dev", "on"), ("backtest/b-1", "off")):
            with units.write(environment, 1) as unit:
                shown = unit.connection.exec_driver_sql("SHOW synchronous_commit").scalar()
                assert shown == waits


def test_readers_cannot_write(on_server: Database) -> None:
    with pytest.raises(UnavailableError, match="read-only"), on_server.read("dev") as unit:
        unit.connection.exec_driver_sql("DELETE FROM events")


def test_a_database_without_state_is_told_of(postgres: PostgresServer) -> None:
    with (
        Database(postgres.fresh(), read_only=True) as units,
        pytest.raises(NotFoundError, match="no state"),
    ):
        units.environments()


def test_two_processes_may_open_a_new_database_at_once(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    in_threads(*[lambda: Database(url).close() for _ in range(4)])
    with Database(url) as units:
        assert units.environments() == []


def test_the_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        Database("postgresql://localhost/nenrin")
    assert caught.value.hint == 'pip install "nenrin[postgres]"'


def test_a_server_that_is_not_there_is_told_of_without_the_password() -> None:
    with pytest.raises(UnavailableError, match="cannot be used") as caught:
        Database("postgresql://me:secret@127.0.0.1:1/nenrin")
    assert "PostgreSQL" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_units_that_read_state_and_write_it_lose_nothing(on_server: Database) -> None:
    states = SqlLoopStates()

    def count() -> None:
        for _ in range(10):
            with on_server.write("dev", 0) as unit:
                found = int(states.get(unit, "service") or 0)
                states.put(unit, "service", str(found + 1).encode())

    in_threads(*[count] * 4)
    with on_server.read("dev") as unit:
        assert states.get(unit, "service") == b"40"


def test_a_change_that_came_first_is_told_of(on_server: Database) -> None:
    twice = "INSERT INTO heads VALUES ('dev', 1, 'h'), ('dev', 2, 'h')"
    with (
        pytest.raises(ConflictError, match="another change came first"),
        on_server.write("dev", 0) as unit,
    ):
        unit.connection.exec_driver_sql(twice)


def test_a_connection_that_is_lost_takes_its_unit_and_nothing_else(
    postgres: PostgresServer, on_server: Database
) -> None:
    def lose() -> None:
        with on_server.write("dev", 2) as unit:
            unit.record("day.closed", "lost", {})
            SqlLoopStates().put(unit, "service", b"lost")
            backend = unit.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            postgres.execute(f"SELECT pg_terminate_backend({backend})")

    with on_server.write("dev", 1) as unit:
        unit.record("day.closed", "before", {})
    with pytest.raises(UnavailableError, match="cannot be used") as caught:
        lose()
    assert "do it again" in caught.value.hint
    with on_server.write("dev", 3) as unit:
        assert SqlLoopStates().get(unit, "service") is None
        unit.record("day.closed", "again", {})
    assert [event.subject for event in on_server.events("dev")] == ["before", "again"]


def test_a_server_that_was_started_again_in_a_quiet_hour_is_not_noticed(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "_RESTED", 0.0)
    with Database(server.fresh()) as units:
        for at in range(3):
            with units.write("dev", at) as unit:
                unit.record("day.closed", "delay", {})
            assert units.head("dev")[0] == at + 1
            server.crash()


def test_nothing_acknowledged_is_lost_when_the_server_crashes(server: PostgresServer) -> None:
    acknowledged: list[str] = []
    failed: list[UnavailableError] = []
    more = threading.Event()

    def write(writer: int) -> None:
        number = 0
        while not more.is_set() or number < 20:
            try:
                with units.write("dev", number) as unit:
                    unit.record("day.closed", f"{writer}-{number}", {})
            except UnavailableError as error:
                failed.append(error)
                more.wait(0.05)
            else:
                acknowledged.append(f"{writer}-{number}")
                number += 1

    def crash() -> None:
        for wanted in (50, 150):
            while len(acknowledged) < wanted:
                more.wait(0.01)
            server.crash()
        more.set()

    with Database(server.fresh()) as units:
        in_threads(crash, *[lambda writer=writer: write(writer) for writer in range(8)])  # type: ignore[misc]
        events = list(units.events("dev"))
    assert failed
    assert all("do it again" in error.hint for error in failed)
    assert verify(events)[1] == []
    assert set(acknowledged) <= {event.subject for event in events}


def test_a_server_that_goes_before_the_only_statement_is_told_of(server: PostgresServer) -> None:
    def lose() -> None:
        with units.write("dev", 1) as unit:
            unit.record("day.closed", "lost", {})
            server.crash()

    with Database(server.fresh()) as units:
        with pytest.raises(UnavailableError, match="cannot be used"):
            lose()
        for at in range(2, 4):
            with units.write("dev", at) as unit:
                unit.record("day.closed", "again", {})
        assert [event.subject for event in units.events("dev")] == ["again", "again"]
