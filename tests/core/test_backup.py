"""Backups and their way back: consistent while others write, verified, and never over anything."""

from __future__ import annotations

import json
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.sql.copying import SqliteStates
from nenrin.backends.sql.database import Database
from nenrin.core.audit import Audit
from nenrin.core.backup import Backups, Manifest, blob
from nenrin.core.errors import (
    ConflictError,
    IntegrityError,
    NenrinError,
    NotFoundError,
    RequestError,
)
from nenrin.core.restore import restore


def quiet(*_: Any) -> None:
    pass


class Folder:
    """State, content and a room's files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"sqlite:///{root / 'state.db'}"
        self.units = Database(self.url, durable=False)
        self.store = LocalStore(root / "store", durable=False)
        self.states = SqliteStates(self.url)
        self.backups = Backups(
            self.states, self.store, root / "scratch", lambda: "now", {"predictions": self._log}
        )
        self.stray = self.store.put(b"nobody names this")
        for number in range(20):
            self.write(number)

    def _log(self, to: Path) -> None:
        (to / "0").mkdir()
        (to / "0" / "0.ndjson").write_bytes(b"{}\n")

    def write(self, number: int) -> None:
        leaf = self.store.put(f"leaf {number}".encode())
        content = self.store.put(json.dumps([number, leaf]).encode())
        with self.units.write("dev", number) as unit:
            unit.record("run.finished", "side", {"result": content})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "from")
    yield made
    made.units.close()


def back(source: Path, to: Path) -> Manifest:
    states = SqliteStates(f"sqlite:///{to / 'state.db'}")
    store = LocalStore(to / "store", durable=False)
    return restore(source, to, states.path, states, store, ("predictions",), quiet)


@pytest.mark.parametrize("name", ["kept.tar", "kept"])
def test_there_and_back(folder: Folder, tmp_path: Path, name: str) -> None:
    made = folder.backups.make(tmp_path / name, quiet)
    assert (made.content, made.heads) == (40, {"dev": "20:" + folder.units.head("dev")[1]})
    to = tmp_path / "to"
    assert back(tmp_path / name, to) == made
    with Database(f"sqlite:///{to / 'state.db'}") as units:
        assert list(units.events("dev")) == list(folder.units.events("dev"))
        assert Audit(units).verify().holds
        with units.write("dev", 99) as unit:
            unit.record("run.finished", "side", {})
    store = LocalStore(to / "store")
    assert set(store.digests()) == set(folder.store.digests()) - {folder.stray}
    for digest in store.digests():
        store.verify(digest)
    assert (to / "predictions" / "0" / "0.ndjson").read_bytes() == b"{}\n"
    assert not list(folder.root.glob("scratch/*"))


def test_it_is_of_one_instant_while_others_write(folder: Folder, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 100
        while not stop.is_set():
            folder.write(number)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            folder.backups.make(tmp_path / f"{number}.tar", quiet)
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        made = back(tmp_path / f"{number}.tar", tmp_path / f"to{number}")
        with Database(f"sqlite:///{tmp_path / f'to{number}' / 'state.db'}") as units:
            store = LocalStore(tmp_path / f"to{number}" / "store")
            events = list(units.events("dev"))
            assert made.heads == {"dev": f"{len(events)}:{events[-1].hash}"}
            assert all(store.has(event.body["result"]) for event in events)
            assert Audit(units).verify().holds


def test_a_folder_is_brought_up_to_date(folder: Folder, tmp_path: Path) -> None:
    to = tmp_path / "kept"
    folder.backups.make(to, quiet)
    name = next(iter(json.loads((to / "backup.json").read_text())["heads"]))
    assert name == "dev"
    digest = folder.store.put(b"leaf 3")
    (to / blob(digest)).write_bytes(b"rotten")
    folder.write(21)
    again = folder.backups.make(to, quiet)
    assert again.content == 42
    assert (to / blob(digest)).read_bytes() == b"leaf 3"
    assert back(to, tmp_path / "to").content == 42


def test_something_else_is_not_written_over(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    with pytest.raises(ConflictError, match="no backup"):
        folder.backups.make(tmp_path / "mine", quiet)
    (tmp_path / "mine.tar").write_text("mine")
    with pytest.raises(ConflictError, match=r"mine\.tar"):
        folder.backups.make(tmp_path / "mine.tar", quiet)
    folder.backups.make(tmp_path / "kept.tar", quiet)
    with pytest.raises(ConflictError, match="state here already"):
        back(tmp_path / "kept.tar", folder.root)


def test_damaged_content_is_not_backed_up(folder: Folder, tmp_path: Path) -> None:
    path = folder.store.file(folder.store.put(b"leaf 3"))
    path.chmod(0o644)
    path.write_bytes(b"rotten")
    fresh = Backups(
        folder.states, LocalStore(folder.root / "store"), tmp_path / "s", lambda: "now", {}
    )
    with pytest.raises(IntegrityError, match="has changed"):
        fresh.make(tmp_path / "kept.tar", quiet)
    assert not (tmp_path / "kept.tar").exists()
    assert not (tmp_path / "kept.tar.part").exists()


def test_what_is_stopped_is_no_backup(folder: Folder, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int, note: str) -> None:
        if stage == "content" and done == 7:
            raise KeyboardInterrupt

    for name in ("kept", "kept.tar"):
        with pytest.raises(KeyboardInterrupt):
            folder.backups.make(tmp_path / name, stop)
    with pytest.raises(NotFoundError, match="not finished"):
        back(tmp_path / "kept", tmp_path / "to")
    with pytest.raises(NotFoundError, match="there is no backup"):
        back(tmp_path / "kept.tar", tmp_path / "to")


def test_every_flipped_byte_of_a_backup_is_found(folder: Folder, tmp_path: Path) -> None:
    to = tmp_path / "kept"
    folder.backups.make(to, quiet)
    files = sorted(path for path in to.rglob("*") if path.is_file())
    assert len(files) == 43
    for number, path in enumerate(files):
        data = path.read_bytes()
        place = len(data) // 2
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(NenrinError):
            back(to, tmp_path / f"to{number}")
        assert not (tmp_path / f"to{number}" / "state.db").exists()
        path.write_bytes(data)
    for path in files[1:10]:
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(NenrinError):
            back(to, tmp_path / "gone")
        path.write_bytes(data)
    assert back(to, tmp_path / "gone").content == 40


def test_a_torn_file_is_found(folder: Folder, tmp_path: Path) -> None:
    kept = tmp_path / "kept.tar"
    folder.backups.make(kept, quiet)
    size = kept.stat().st_size
    for number in range(1, 8):
        os.truncate(kept, size * (8 - number) // 8)
        with pytest.raises(NenrinError):
            back(kept, tmp_path / f"to{number}")
        assert not (tmp_path / f"to{number}" / "state.db").exists()


@pytest.mark.parametrize("name", ["../evil", "predictions/../../evil", "store/x", "/evil", "evil"])
def test_a_backup_writes_nowhere_else(folder: Folder, tmp_path: Path, name: str) -> None:
    made = folder.backups.make(tmp_path / "kept.tar", quiet)
    plain = json.loads(json.dumps({"files": {name: "a" * 64}}))
    with tarfile.open(tmp_path / "kept.tar") as archive:
        safely: Any = (
            {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        )  # from 3.11.4 on
        archive.extractall(tmp_path / "kept", **safely)
    manifest = json.loads((tmp_path / "kept" / "backup.json").read_text()) | plain
    (tmp_path / "kept" / "backup.json").write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="holds no file"):
        back(tmp_path / "kept", tmp_path / "to")
    assert made.files.keys() == {"predictions/0/0.ndjson"}


def test_a_newer_form_is_said(folder: Folder, tmp_path: Path) -> None:
    folder.backups.make(tmp_path / "kept", quiet)
    file = tmp_path / "kept" / "backup.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(RequestError, match="in another form"):
        back(tmp_path / "kept", tmp_path / "to")
    file.write_text("torn")
    with pytest.raises(IntegrityError, match="cannot be read"):
        back(tmp_path / "kept", tmp_path / "to")


def test_a_restore_that_was_cut_off_can_be_done_again(folder: Folder, tmp_path: Path) -> None:
    folder.backups.make(tmp_path / "kept.tar", quiet)
    to = tmp_path / "to"
    half = LocalStore(to / "store", durable=False)
    half.put(b"leaf 1")
    assert back(tmp_path / "kept.tar", to).content == 40


def test_without_state_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    states = SqliteStates(f"sqlite:///{tmp_path / 'state.db'}")
    store = LocalStore(tmp_path / "store")
    backups = Backups(states, store, tmp_path / "s", lambda: "now", {})
    with pytest.raises(NotFoundError, match="no state"):
        backups.make(tmp_path / "kept.tar", quiet)
