"""Leases: one of several has it, keeps it while it is at work, and loses it when it is silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.leases import SqlLeases
from nenrin.core.leases import Alone
from nenrin.testing.postgres import PostgresServer
from nenrin.testing.waiting import wait_until

SHORT = 0.6


@pytest.fixture
def two(postgres: PostgresServer) -> Iterator[tuple[SqlLeases, SqlLeases]]:
    url = postgres.fresh()
    with Database(url, durable=False) as here, Database(url, durable=False) as there:
        yield SqlLeases(here, "here", SHORT), SqlLeases(there, "there", SHORT)


def has(leases: SqlLeases, name: str = "loop/dev") -> bool:
    with leases.hold(name) as ours:
        return ours()


def test_one_has_it_until_it_is_silent(two: tuple[SqlLeases, SqlLeases]) -> None:
    here, there = two
    assert [has(here), has(there), has(here)] == [True, False, True]
    assert has(there, "loop/prod")  # another name is another lease
    wait_until(lambda: has(there))
    assert not has(here)


def test_it_is_kept_while_its_holder_is_at_work(two: tuple[SqlLeases, SqlLeases]) -> None:
    here, there = two
    with here.hold("loop/dev") as ours:
        assert ours()
        assert not threading.Event().wait(2.5 * SHORT)
        assert not has(there)


def test_who_closes_lets_go(two: tuple[SqlLeases, SqlLeases]) -> None:
    here, there = two
    assert has(here)
    here.close()
    assert has(there)


def test_of_many_at_once_one_gets_it(postgres: PostgresServer) -> None:
    with Database(postgres.fresh(), durable=False) as units:
        found: list[bool] = []
        together = threading.Barrier(8)

        def ask(name: str) -> None:
            together.wait()
            found.append(has(SqlLeases(units, name, 30.0)))

        threads = [threading.Thread(target=ask, args=(f"host-{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [False] * 7 + [True]


def test_where_one_process_writes_all_are_its_own() -> None:
    alone = Alone()
    with alone.hold("loop/dev") as first, alone.hold("loop/dev") as second:
        assert (first(), second()) == (True, True)
    alone.close()
