"""Threads that only record events: how they come together, and what becomes of all when one fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from nenrin.backends.sql import queueing
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.sealing import SealBehind
from nenrin.core.errors import NenrinError, UnavailableError
from nenrin.testing.postgres import PostgresServer
from nenrin.testing.waiting import wait_until

THREADS = 9


class Writers:
    """Threads, each of which records one event; the first is on its way before the others come."""

    def __init__(self, units: Database) -> None:
        self.errors: dict[int, BaseException] = {}
        self._units = units
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(THREADS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def _write(self, number: int) -> None:
        try:
            with self._units.write("dev", number) as unit:
                unit.record("day.closed", f"writer {number}", {})
        except (NenrinError, KeyboardInterrupt) as error:
            self.errors[number] = error


@contextmanager
def _held_up(server: PostgresServer, url: str, writers: Writers) -> Iterator[str]:
    """Nobody adds to the queue within the block, at whose beginning all threads wait for that."""
    schema = url.rpartition("%3D")[2]
    with Database(url, durable=False) as other, other.write("dev", 0) as unit:
        unit.connection.exec_driver_sql("LOCK TABLE unsealed IN EXCLUSIVE MODE")
        writers.start()
        wait_until(lambda: _at_work(server, schema) > 0)
        yield schema


def _at_work(server: PostgresServer, schema: str) -> int:
    """Sessions that wait for the lock."""
    table = f"'{schema}.unsealed'::regclass"
    waits = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = {table}"
    (row,) = server.execute(waits)
    return int(row[0])


@pytest.fixture
def unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves the queue."""
    monkeypatch.setattr(SealBehind, "committed", lambda self: None)
    monkeypatch.setattr(SealBehind, "_work", lambda self: None)


@pytest.mark.usefixtures("unsealed")
def test_threads_that_are_ready_together_share_a_commit(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Database(url) as units:
        writers = Writers(units)
        with _held_up(postgres, url, writers) as schema:
            wait_until(
                lambda: _at_work(postgres, schema) > 1
            )  # enough for a statement beside the first
        writers.join()
        rows = postgres.execute(f"SELECT xmin, events FROM {schema}.unsealed")
        assert len(rows) == THREADS
        assert len({transaction for transaction, _ in rows}) < THREADS
        assert units.head("dev")[0] == THREADS
    assert writers.errors == {}


@pytest.mark.usefixtures("unsealed")
def test_a_lost_connection_is_told_to_all_whose_events_it_had(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Database(url) as units:
        writers = Writers(units)
        with _held_up(postgres, url, writers):
            waiting = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"
            assert postgres.execute(waiting)
        writers.join()
        assert 0 < len(writers.errors) <= THREADS
        assert {type(error) for error in writers.errors.values()} == {UnavailableError}
        written = {event.subject for event in units.events("dev")}
        assert written == {f"writer {n}" for n in range(THREADS) if n not in writers.errors}
        again = Writers(units)
        again.start()
        again.join()
        assert again.errors == {}


@pytest.mark.usefixtures("unsealed")
def test_an_interrupted_thread_holds_up_nobody(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.fresh()
    with Database(url) as units:
        connected = queueing._Shared._connected
        gathered = threading.Event()
        calls = []

        def interrupted(shared: queueing._Shared) -> Connection:
            calls.append(1)
            if len(calls) == 1:
                assert gathered.wait(120)
                raise KeyboardInterrupt
            return connected(shared)

        monkeypatch.setattr(queueing._Shared, "_connected", interrupted)
        writers = Writers(units)
        writers.start()
        wait_until(lambda: len(calls) > 1)  # beside the one that is to be interrupted
        gathered.set()
        writers.join()
        assert [type(error) for error in writers.errors.values()] == [KeyboardInterrupt]
        assert units.head("dev")[0] == THREADS - 1


class _Interrupted:
    """A lock whose waiter hears Ctrl-C."""

    def acquire(self) -> None:
        raise KeyboardInterrupt

    def release(self) -> None:
        raise AssertionError("nobody waits here any more")


def test_a_waiting_thread_that_is_interrupted_is_passed_over(postgres: PostgresServer) -> None:
    with Database(postgres.fresh()) as units:
        shared = queueing._Shared(units._engines.durable)
        shared._under_way = 1  # by another thread
        mine = queueing._Events("dev", "[]")
        mine.told = _Interrupted()  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            shared.add(mine)
        first = queueing._Events("dev", "[]")
        first.together = [first]
        shared._leave(first, None)
        assert shared._under_way == 0
        assert mine.together == []
        shared.add(queueing._Events("dev", '[[1,"day.closed","delay",{}]]'))
        assert units.head("dev")[0] == 1
