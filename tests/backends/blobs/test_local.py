"""Content in a folder: the contract, several processes, torn writes, a full disk."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import stat
from pathlib import Path

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.core.digest import digest_bytes
from nenrin.core.errors import IntegrityError, NotFoundError, UnavailableError
from nenrin.testing.stores import ContentStoreContract


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "deep" / "store")


class TestLocalStore(ContentStoreContract):
    """The contract of content stores."""


class TestLocalStoreThatDoesNotWait(ContentStoreContract):
    """The contract, without waiting for the disk."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path, durable=False)


def test_finds_bytes_that_changed(store: LocalStore) -> None:
    digest = store.put(b"a ring")
    path = store.file(digest)
    path.chmod(0o644)
    path.write_bytes(b"a rinG")
    opened_again = pickle.loads(pickle.dumps(LocalStore(path.parent.parent)))
    for ask in (store.verify, store.get, opened_again.file):
        with pytest.raises(IntegrityError) as caught:
            ask(digest)
        assert caught.value.where == str(path)
        assert "backup" in caught.value.hint


def test_a_file_is_compared_once(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = store.put(b"a ring")
    path = store.file(digest)
    monkeypatch.setattr("nenrin.backends.blobs.local.digest_file", lambda path: 1 / 0)
    assert store.file(digest) == path
    monkeypatch.undo()
    path.unlink()
    with pytest.raises(NotFoundError) as caught:
        store.file(digest)
    assert "begin anew" in caught.value.hint


def test_says_that_content_cannot_be_read(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.put(b"a ring")

    def refused(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(UnavailableError, match="Permission denied"):
        store.get(digest)


def test_a_disk_that_has_lost_it_is_damage(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.put(b"a ring")

    def lost(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_bytes", lost)
    with pytest.raises(IntegrityError, match=digest):
        store.get(digest)


def test_kept_files_cannot_be_written_by_mistake(store: LocalStore) -> None:
    assert store.file(store.put(b"a ring")).stat().st_mode & 0o222 == 0


def test_syncs_the_file_before_its_name_and_the_folder_after(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(handle: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def seen_replace(path: Path, target: Path) -> Path:
        calls.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    store.put(b"a ring")
    assert calls[-3:] == ["file", "rename", "folder"]
    calls.clear()
    store.put(b"a ring")
    assert calls == ["folder"]


def test_a_write_that_fails_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store.put(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UnavailableError, match="No space left"):
            store.put(b"a ring")
    assert not store.has(digest_bytes(b"a ring"))
    assert list((tmp_path / "deep" / "store" / "unfinished").iterdir()) == []
    assert store.get(store.put(b"a ring")) == b"a ring"


def test_what_a_killed_process_left_is_not_content(store: LocalStore, tmp_path: Path) -> None:
    digest = store.put(b"a ring")
    (tmp_path / "deep" / "store" / "unfinished" / "tmpabc").write_bytes(b"half")
    assert list(store.digests()) == [digest]


def _put_all(store: LocalStore) -> list[str]:
    return [store.put(str(number).encode() * 1000) for number in range(30)]


def test_processes_may_put_the_same(store: LocalStore) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_put_all, [store, pickle.loads(pickle.dumps(store))])
    assert first == second
    for digest in store.digests():
        store.verify(digest)
    assert list(store.digests()) == sorted(first)
