"""What a node keeps of its own: revisions by digest, unpacked once, under the packages that they lock."""

from __future__ import annotations

import platform
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from nenrin.backends.compute import node
from nenrin.core.errors import NotFoundError, RefusedError
from nenrin.project.loader import imported
from nenrin.project.revision import Revision, found, snapshot, unpack
from nenrin.testing.stores import MemoryStore


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(node.FOLDER, str(tmp_path / "node"))
    return tmp_path / "node"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "project.py").write_text("class Pair:\n    pass\n")
    (folder / "shops.csv").write_text("a\n")
    return folder


def test_a_revision_comes_by_its_digest_alone(folder: Path, project: Path) -> None:
    store = MemoryStore()
    taken = snapshot(project, store, ["shops.csv"])
    there = node.revision_on_node(store, f"/on/the/driver/{taken.digest}")
    assert there == folder / "revisions" / taken.digest
    assert (there / "project.py").read_bytes() == (project / "project.py").read_bytes()
    assert (there / "shops.csv").read_text() == "a\n"
    assert replace(found(taken.digest, store), commit=taken.commit, dirty=taken.dirty) == taken


def test_it_is_unpacked_once(folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    taken = snapshot(project, store)
    threads = [
        threading.Thread(target=node.revision_on_node, args=(store, taken.digest)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = [path.name for path in (folder / "revisions").iterdir()]
    assert [name for name in left if not name.startswith(".")] == [taken.digest]
    assert not any("unfinished" in name for name in left)
    monkeypatch.setattr(node, "found", None)  # nothing is asked of the store any more
    node.revision_on_node(store, taken.digest)


def test_a_store_that_is_not_shared_is_named(folder: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        node.revision_on_node(MemoryStore(), "0" * 64)
    assert "NENRIN_STORE_URL" in caught.value.hint


def test_other_packages_are_refused(
    folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    taken = snapshot(project, store)
    monkeypatch.setattr(node, "installed", lambda: taken.packages[1:])
    with pytest.raises(RefusedError, match="is missing, wanted"):
        node.revision_on_node(store, taken.digest)
    assert not (folder / "revisions" / taken.digest).exists()


def locked(*packages: str) -> Revision:
    python = platform.python_version()
    return Revision(
        id="revision-1", digest="", source="", files=(), python=python, packages=packages
    )


def test_what_differs_is_said() -> None:
    revision = locked("a==1", "b==1", "c==1")
    node.check(revision, revision.python, ["a==1", "b==1", "c==1", "more==3"])
    with pytest.raises(RefusedError) as caught:
        node.check(revision, "3.1.0", ["a==1", "b==2"])
    said = caught.value.message
    assert f"Python is 3.1.0, wanted {revision.python}" in said
    assert "b is 2, wanted 1; c is missing, wanted 1" in said
    assert "a is" not in said
    assert "pip install" in caught.value.hint


def test_many_differences_are_counted() -> None:
    with pytest.raises(RefusedError, match="and 3 more"):
        node.check(locked(*(f"p{n}==1" for n in range(8))), platform.python_version(), [])


def test_a_module_bears_the_same_name_wherever_its_revision_lies(
    project: Path, tmp_path: Path
) -> None:
    """Pickles name it, and equal values are to have equal pickles."""
    store = MemoryStore()
    taken = snapshot(project, store)
    one, two = (unpack(taken, store, tmp_path / where) for where in ("one", "two"))
    assert imported(one / "project.py").__name__ == imported(two / "project.py").__name__
    assert imported(one / "project.py").__name__ != imported(project / "project.py").__name__
