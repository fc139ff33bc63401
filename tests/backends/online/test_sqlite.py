"""The online store in a file: the contract, kills, threads, a file that is not there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.backends.online.sqlite import SqliteOnlineStore
from nenrin.core.errors import UnavailableError
from nenrin.testing.online import MemoryOnlineStore, OnlineStoreContract


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteOnlineStore]:
    opened = SqliteOnlineStore(tmp_path / "deep" / "facts.db")
    yield opened
    opened.close()


class TestSqliteOnlineStore(OnlineStoreContract):
    """The contract of online stores."""


class TestMemoryOnlineStore(OnlineStoreContract):
    """The plain meaning keeps the contract too."""

    @pytest.fixture
    def store(self) -> MemoryOnlineStore:
        return MemoryOnlineStore()


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    store = SqliteOnlineStore(tmp_path / "facts.db", reads_only=True)
    with pytest.raises(UnavailableError, match="empty"):
        store.get_many("space", [b"key"])
    assert not (tmp_path / "facts.db").exists()


def test_says_that_a_file_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "facts.db").write_bytes(b"no database" * 100)
    with pytest.raises(UnavailableError, match="not a database"):
        SqliteOnlineStore(tmp_path / "facts.db").get_many("space", [b"key"])


def test_readers_and_a_writer_at_once(store: SqliteOnlineStore, tmp_path: Path) -> None:
    store.put_newer("space", [(bytes([n]), 0, b"0") for n in range(50)])
    reader = SqliteOnlineStore(tmp_path / "deep" / "facts.db", reads_only=True)
    torn: list[object] = []

    def read() -> None:
        for _ in range(200):
            found = reader.get_many("space", [bytes([n]) for n in range(50)])
            if len({each and each[0] for each in found}) != 1:
                torn.append(found)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(1, 60):
        store.put_newer("space", [(bytes([n]), version, b"") for n in range(50)])
    for thread in threads:
        thread.join()
    reader.close()
    assert torn == []


def _write_and_die(path: Path) -> None:
    SqliteOnlineStore(path).put_newer("space", [(b"key", 1, b"kept")])
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_is_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "facts.db"
    process = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(path,))
    process.start()
    process.join()
    store = SqliteOnlineStore(path)
    assert store.get_many("space", [b"key"]) == [(1, b"kept")]
    store.close()
