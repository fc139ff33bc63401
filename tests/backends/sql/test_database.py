"""Units of work: the contract on both databases; on SQLite durability, the file, and its damage."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from nenrin.backends.sql.database import Database
from nenrin.core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    RequestError,
    UnavailableError,
)
from nenrin.core.ledger import verify
from nenrin.testing.stores import UnitsContract


def at(folder: Path, **options: bool) -> Database:
    return Database(f"sqlite:///{folder / 'state.db'}", **options)


class TestDatabase(UnitsContract):
    """The contract of units of work."""


def test_opens_in_folders_with_odd_names(tmp_path: Path) -> None:
    folder = tmp_path / "a b%41#?é"
    with at(folder) as database, database.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {})
    with at(folder, read_only=True) as database:
        assert database.head("dev")[0] == 1


def test_what_is_committed_is_there_when_opened_again(tmp_path: Path) -> None:
    with at(tmp_path) as database, database.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {"loss": 0.1})
    with at(tmp_path) as database, database.write("dev", 2) as unit:
        unit.record("day.closed", "delay", {"loss": 0.2})
    with at(tmp_path) as database:
        assert [event.body["loss"] for event in database.events("dev")] == [0.1, 0.2]
        assert verify(database.events("dev"))[1] == []


def test_waits_for_the_disk_except_in_backtests(tmp_path: Path) -> None:
    synchronous = "PRAGMA synchronous"
    with at(tmp_path) as database:
        with database.write("dev", 1) as unit:
            assert unit.connection.exec_driver_sql(synchronous).scalar() == 2
        with database.write("backtest/b-1", 1) as unit:
            assert unit.connection.exec_driver_sql(synchronous).scalar() == 1
    with at(tmp_path, durable=False) as database, database.write("dev", 1) as unit:
        assert unit.connection.exec_driver_sql(synchronous).scalar() == 1


def test_a_reader_sees_one_snapshot_and_never_waits(units: Database) -> None:
    with units.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {})
    assert units.head("dev")[0] == 1
    with units.read("dev") as reading:
        count = "SELECT count(*) FROM events"
        assert reading.connection.exec_driver_sql(count).scalar() == 1
        with units.write("dev", 2) as unit:
            unit.record("day.closed", "delay", {})
            assert units.head("dev")[0] == 1
        assert units.head("dev")[0] == 2
        assert reading.connection.exec_driver_sql(count).scalar() == 1


def test_readers_cannot_write(tmp_path: Path, in_file: Database) -> None:
    with pytest.raises(UnavailableError, match="readonly"), in_file.read("dev") as unit:
        unit.connection.exec_driver_sql("DELETE FROM events")
    with at(tmp_path, read_only=True) as database:
        with pytest.raises(ConflictError, match="reading only"), database.write("dev", 1):
            pass
        assert database.environments() == []


def test_a_read_only_database_must_exist(tmp_path: Path) -> None:
    database = at(tmp_path / "nothing", read_only=True)
    with pytest.raises(NotFoundError, match="no state"):
        database.environments()
    assert not (tmp_path / "nothing").exists()


def test_threads_take_turns(units: Database) -> None:
    def work(environment: str) -> None:
        for at in range(25):
            with units.write(environment, at) as unit:
                unit.record("day.closed", "delay", {"at": at})

    threads = [threading.Thread(target=work, args=(name,)) for name in ("dev", "dev", "prod")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (units.head("dev")[0], units.head("prod")[0]) == (50, 25)
    assert verify(units.events("dev"))[1] == []


def test_two_databases_on_one_file_take_turns(tmp_path: Path, in_file: Database) -> None:
    with at(tmp_path) as other:
        for instant in range(10):
            for database in (in_file, other):
                with database.write("dev", instant) as unit:
                    unit.record("day.closed", "delay", {})
    assert verify(in_file.events("dev"))[1] == []
    assert in_file.head("dev")[0] == 20


def test_events_are_read_in_pages(units: Database) -> None:
    with units.write("dev", 1) as unit:
        for number in range(2500):
            unit.record("day.closed", "delay", {"n": number})
    assert [event.body["n"] for event in units.events("dev")] == list(range(2500))
    assert [event.sequence for event in units.events("dev", after=2498)] == [2499, 2500]


def test_finds_by_kind_and_subject(units: Database) -> None:
    for number in range(6):
        with units.write("dev", number) as unit:
            unit.record("ring.closed" if number % 2 else "day.closed", f"d{number % 3}", {})
    assert [event.sequence for event in units.find("dev", kind="ring.closed")] == [2, 4, 6]
    assert [event.sequence for event in units.find("dev", subject="d1")] == [2, 5]
    assert [event.sequence for event in units.find("dev", kind="ring.closed", limit=2)] == [4, 6]
    assert units.find("dev", kind="ring.closed", subject="d9") == []
    assert len(units.find("dev")) == 6


def test_searches_use_indexes(in_file: Database) -> None:
    with in_file.read("dev") as unit:
        for column in ("kind", "subject"):
            plan = unit.connection.exec_driver_sql(
                "EXPLAIN QUERY PLAN SELECT * FROM events"
                f" WHERE environment = 'dev' AND {column} = 'x' ORDER BY sequence DESC"
            )
            assert f"USING INDEX events_by_{column}" in " ".join(row[3] for row in plan)


def test_a_small_unit_is_few_statements(in_file: Database, statements: list[str]) -> None:
    for number in range(3):
        statements.clear()
        with in_file.write("backtest/b-1", number) as unit:
            unit.record("day.closed", "delay", {"loss": 0.5})
    assert len(statements) <= 6  # begin, savepoint, head, event, head, release


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://localhost/nenrin"]
)
def test_says_which_urls_it_knows(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        Database(url)
    assert "sqlite:///" in caught.value.hint
    assert "postgresql://" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["mysql://me:secret@localhost/nenrin", "postgresql://me:secret@localhost:port/nenrin"]
)
def test_never_shows_the_password_of_a_url(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        Database(url)
    assert "secret" not in str(caught.value.as_dict())


def test_refuses_odd_environments(units: Database) -> None:
    with pytest.raises(RequestError), units.write("Prod!", 1):
        pass


def test_says_that_a_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(IntegrityError, match="damaged"):
        at(tmp_path)


def test_says_that_an_event_cannot_be_read(tmp_path: Path, in_file: Database) -> None:
    with in_file.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {})
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("UPDATE events SET body = '{'")
    connection.close()
    with pytest.raises(IntegrityError, match="event 1 of dev"):
        list(in_file.events("dev"))


def test_says_that_another_process_writes(
    tmp_path: Path, in_file: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nenrin.backends.sql.engines._BUSY_SECONDS", 0.01)
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with at(tmp_path, read_only=True) as reader:
        assert reader.environments() == []
    with pytest.raises(UnavailableError, match="locked"):
        at(tmp_path)
    other.close()
