"""Group commit: together where several are ready, alone where one is, and nobody takes another down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from nenrin.backends.sql.engines import writing_engine
from nenrin.backends.sql.group import GroupCommit

THREADS = 8


class Rows:
    """A table, turns over it, and how often was committed."""

    def __init__(self, path: Path) -> None:
        self.engine = writing_engine(path, durable=True)
        self.relaxed = writing_engine(path, durable=False)
        self.turns = GroupCommit()
        self.commits = 0
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE rows (number INTEGER UNIQUE)"))
        for engine in (self.engine, self.relaxed):
            event.listen(engine, "commit", self._count)

    def _count(self, _: Connection) -> None:
        self.commits += 1

    def add(self, number: int, *, relaxed: bool = False) -> None:
        with self.turns.turn(self.relaxed if relaxed else self.engine) as connection:
            connection.execute(text("INSERT INTO rows VALUES (:n)"), {"n": number})

    def all(self) -> list[int]:
        with self.engine.connect() as connection:
            return sorted(connection.execute(text("SELECT number FROM rows")).scalars())

    def held(self, numbers: range, during: str = "") -> list[Exception]:
        """Let one thread hold its turn until all the others wait, then let them all go on."""
        failed: list[Exception] = []
        holding, let_go = threading.Event(), threading.Event()

        def first() -> None:
            with told(), self.turns.turn(self.engine) as connection:
                connection.execute(text("INSERT INTO rows VALUES (-1)"))
                holding.set()
                let_go.wait(10)

        def other(number: int) -> None:
            with told(), self.turns.turn(self.engine) as connection:
                connection.execute(text("INSERT INTO rows VALUES (:n)"), {"n": number})
                if str(number) == during:
                    raise ValueError(during)

        @contextmanager
        def told() -> Iterator[None]:
            try:
                yield
            except Exception as error:  # noqa: BLE001 - told to the test
                failed.append(error)

        threads = [threading.Thread(target=first)]
        threads[0].start()
        assert holding.wait(120)
        threads += [threading.Thread(target=other, args=(number,)) for number in numbers]
        for thread in threads[1:]:
            thread.start()
        while self.turns._waiting[self.engine] < len(numbers):
            pass
        let_go.set()
        for thread in threads:
            thread.join(120)
        return failed


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    made = Rows(tmp_path / "rows.db")
    yield made
    made.engine.dispose()
    made.relaxed.dispose()


def test_a_thread_that_is_alone_commits_at_once(rows: Rows) -> None:
    for number in range(3):
        rows.add(number)
    assert rows.all() == [0, 1, 2]
    assert rows.commits == 3


def test_threads_that_wait_are_committed_together(rows: Rows) -> None:
    assert rows.held(range(THREADS)) == []
    assert rows.all() == [-1, *range(THREADS)]
    assert rows.commits == 1


def test_one_that_raises_takes_no_other_down(rows: Rows) -> None:
    (error,) = rows.held(range(THREADS), during="3")
    assert str(error) == "3"
    assert rows.all() == [-1, *[n for n in range(THREADS) if n != 3]]


def test_a_failed_commit_fails_for_everyone(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Connection) -> None:
        raise OperationalError("COMMIT", {}, Exception("database or disk is full"))

    event.listen(rows.engine, "commit", full)
    failed = rows.held(range(THREADS))
    event.remove(rows.engine, "commit", full)
    assert len(failed) == THREADS + 1
    assert all("disk is full" in str(error) for error in failed)
    assert rows.all() == []
    rows.add(1)
    assert rows.all() == [1]


def test_another_engine_commits_what_is_open_first(rows: Rows) -> None:
    threads = [
        threading.Thread(target=rows.add, args=(number,), kwargs={"relaxed": number % 2 == 0})
        for number in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert rows.all() == list(range(40))
