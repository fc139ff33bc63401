"""Revisions: what they hold, that they repeat, and how they unpack."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from nenrin.core.errors import IntegrityError, ProjectError
from nenrin.project.revision import snapshot, unpack
from nenrin.testing.stores import MemoryStore


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for path, text in {
        "project.py": "import features.sky\n",
        "features/sky.py": "WIND = 'å'\n",
        "data/customers.csv": "a,b\n1,2\n",
        "README.md": "not a source",
        ".nenrin/copy.py": "ours",
        ".venv/lib/module.py": "installed",
        "env/pyvenv.cfg": "",
        "env/lib/module.py": "installed",
        "features/__pycache__/sky.py": "compiled",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def paths(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_holds_sources_and_declared_files(project: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    revision = snapshot(project, store, ["data/customers.csv"])
    assert [file.path for file in revision.files] == ["data/customers.csv"]
    folder = unpack(revision, store, tmp_path / "unpacked")
    assert folder == tmp_path / "unpacked" / revision.digest
    assert paths(folder) == ["data/customers.csv", "features/sky.py", "project.py"]
    for path in paths(folder):
        assert (folder / path).read_bytes() == (project / path).read_bytes()


def test_the_same_folder_is_the_same_revision_wherever_it_lies(
    project: Path, tmp_path: Path
) -> None:
    first = snapshot(project, MemoryStore(), ["data/customers.csv"])
    copy = tmp_path / "elsewhere"
    shutil.copytree(project, copy)
    os.utime(copy / "project.py", (1, 1))
    (copy / "project.py").chmod(0o755)
    (copy / "README.md").write_text("changed")
    assert snapshot(copy, MemoryStore(), [copy / "data" / "customers.csv"]) == first


@pytest.mark.parametrize("path", ["project.py", "features/sky.py", "data/customers.csv"])
def test_a_change_is_another_revision(project: Path, path: str) -> None:
    first = snapshot(project, MemoryStore(), ["data/customers.csv"])
    with (project / path).open("a") as file:
        file.write("\n")
    assert snapshot(project, MemoryStore(), ["data/customers.csv"]).id != first.id


def test_a_renamed_source_is_another_revision(project: Path) -> None:
    first = snapshot(project, MemoryStore())
    (project / "features" / "sky.py").rename(project / "features" / "air.py")
    assert snapshot(project, MemoryStore()).id != first.id


def test_locks_installed_distributions(project: Path) -> None:
    revision = snapshot(project, MemoryStore())
    names = [package.split("==")[0] for package in revision.packages]
    assert {"nenrin", "sqlalchemy", "cel-expr-python"} <= set(names)
    assert list(revision.packages) == sorted(revision.packages)
    assert all("==" in package for package in revision.packages)


def test_says_on_which_commit_the_folder_stood(project: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", "-C", str(project), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    outside = snapshot(project, MemoryStore())
    assert (outside.commit, outside.dirty) == ("", False)
    git("init", "-q")
    git("add", "project.py", "features/sky.py")
    git("commit", "-qm", "first")
    clean = snapshot(project, MemoryStore())
    assert (clean.commit, clean.dirty) == (git("rev-parse", "HEAD"), False)
    assert clean.id == outside.id
    (project / "project.py").write_text("changed = 1\n")
    changed = snapshot(project, MemoryStore())
    assert (changed.commit, changed.dirty) == (clean.commit, True)


@pytest.mark.parametrize("path", ["missing.csv", "data"])
def test_says_that_a_declared_file_cannot_be_read(project: Path, path: str) -> None:
    with pytest.raises(ProjectError, match=path):
        snapshot(project, MemoryStore(), [path])


@pytest.mark.parametrize("path", ["../outside.csv", "/etc/hostname"])
def test_declared_files_stay_in_the_folder(project: Path, path: str) -> None:
    with pytest.raises(ProjectError, match="outside"):
        snapshot(project, MemoryStore(), [path])


def test_a_link_in_the_folder_is_the_file_it_names(project: Path, tmp_path: Path) -> None:
    (tmp_path / "big.csv").write_text("far away")
    (project / "data" / "link.csv").symlink_to(tmp_path / "big.csv")
    store = MemoryStore()
    folder = unpack(snapshot(project, store, ["data/link.csv"]), store, tmp_path / "unpacked")
    assert (folder / "data" / "link.csv").read_text() == "far away"
    assert not (folder / "data" / "link.csv").is_symlink()


def test_unpacks_once(project: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    revision = snapshot(project, store)
    folder = unpack(revision, store, tmp_path / "unpacked")
    (folder / "project.py").write_text("touched")
    assert unpack(revision, store, tmp_path / "unpacked") == folder
    assert (folder / "project.py").read_text() == "touched"
    assert [path.name for path in folder.parent.iterdir()] == [revision.digest]


def test_an_unpacking_that_fails_leaves_nothing(project: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    revision = snapshot(project, store, ["data/customers.csv"])
    lost = replace(revision, files=(replace(revision.files[0], digest="0" * 64),))
    with pytest.raises(Exception, match="no content"):
        unpack(lost, store, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").iterdir()) == []


@pytest.mark.parametrize("name", ["../escaped.py", "/tmp/escaped.py"])
def test_an_archive_cannot_write_elsewhere(project: Path, tmp_path: Path, name: str) -> None:
    store, buffer = MemoryStore(), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    revision = replace(snapshot(project, store), source=store.put(buffer.getvalue()))
    with pytest.raises(IntegrityError, match="escaped"):
        unpack(revision, store, tmp_path / "unpacked")
