"""Revisions: immutable snapshots of a project's folder, from which workers and replays import it."""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from nenrin.core.digest import canonical, derived_id, digest_bytes
from nenrin.core.errors import IntegrityError, ProjectError
from nenrin.core.store import ContentStore
from nenrin.pipelines.packages import installed
from nenrin.pipelines.source import Code

_Covered = tuple[str, tuple[tuple[str, str], ...], str, tuple[str, ...]]
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})


class DeclaredFile(msgspec.Struct, frozen=True):
    """A file that the project declares as an input: its path in the folder, its content's digest."""

    path: str
    digest: str


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable snapshot of a project.

    Attributes:
        id: derived from the digest.
        digest: over sources, declared files, Python and packages: what a run can depend on. The content
            store keeps all that under it, so that whoever knows the digest can unpack the revision.
        source: digest of a tar archive of every ``*.py`` below the folder.
        files: declared files, by path.
        python: version of the interpreter.
        packages: ``name==version`` of every installed distribution, sorted.
        commit: the git commit that the folder stood on; empty outside git.
        dirty: whether tracked files of the folder differ from that commit.
    """

    id: str
    digest: str
    source: str
    files: tuple[DeclaredFile, ...]
    python: str
    packages: tuple[str, ...]
    commit: str = ""
    dirty: bool = False


def snapshot(folder: Path, store: ContentStore, files: Sequence[str | Path] = ()) -> Revision:
    """Keep a project's folder as it is now; the same folder gives the same revision.

    Args:
        folder: the project's folder.
        store: where its contents go.
        files: files that the project declares, relative to the folder or absolute in it.

    Raises:
        ProjectError: a declared file is missing, or outside the folder.
    """
    folder = folder.resolve()
    source = store.put(archive({path: (folder / path).read_bytes() for path in _sources(folder)}))
    declared = tuple(
        sorted({_declared(folder, Path(file), store) for file in files}, key=lambda file: file.path)
    )
    python, packages = platform.python_version(), installed()
    covered = store.put(
        canonical([source, [[file.path, file.digest] for file in declared], python, list(packages)])
    )
    commit, dirty = commit_of(folder)
    return Revision(
        id=derived_id("revision", covered),
        digest=covered,
        source=source,
        files=declared,
        python=python,
        packages=packages,
        commit=commit,
        dirty=dirty,
    )


def found(digest: str, store: ContentStore) -> Revision:
    """The revision of a digest, as far as that covers it.

    Raises:
        NotFoundError: the store does not have it.
    """
    source, files, python, packages = msgspec.json.decode(store.get(digest), type=_Covered)
    return Revision(
        id=derived_id("revision", digest),
        digest=digest,
        source=source,
        files=tuple(DeclaredFile(*file) for file in files),
        python=python,
        packages=packages,
    )


def unpack(revision: Revision, store: ContentStore, into: Path) -> Path:
    """The folder ``into/<digest>`` with the revision's files; made whole, or not at all.

    Raises:
        IntegrityError: the archive holds what ``snapshot`` never writes.
        NotFoundError: the store does not have its contents.
    """
    target = into / revision.digest
    if target.is_dir():
        return target
    into.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=into, prefix=".unfinished-"))
    try:
        _extract(store.get(revision.source), unfinished)
        for file in revision.files:
            path = unfinished / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.file(file.digest), path)
        try:
            unfinished.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster: its files are the same
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def contents(revision: Revision, store: ContentStore) -> dict[str, bytes]:
    """Every file of the revision: its path, its content."""
    declared = {file.path: store.get(file.digest) for file in revision.files}
    return {**dict(_entries(store.get(revision.source))), **declared}


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of files by their paths, whose bytes follow from these alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as written:
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(path)  # time 0, nobody's, mode 0644
            entry.size = len(data)
            written.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def code_of(revision: Revision, store: ContentStore) -> Code:
    """What a revision's digest covers, part by part, so that a changed one can be explained to the line."""
    parts, texts = {"python": revision.python}, {}
    for name, data in _entries(store.get(revision.source)):
        lines = data.decode(errors="replace").splitlines()
        parts[f"module {name}"] = digest_bytes(data)
        texts[f"module {name}"] = "\n".join(
            [name, *(f"{number} {line}" for number, line in enumerate(lines, 1))]
        )
    parts |= {f"file {file.path}": file.digest for file in revision.files}
    for package in revision.packages:
        name, _, version = package.partition("==")
        parts[f"package {name}"] = version
    return Code(parts=parts, texts=texts)


def _sources(folder: Path) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in names:
            if name.endswith(".py") and not name.startswith("."):
                yield (here / name).relative_to(folder).as_posix()


def _extract(archive: bytes, into: Path) -> None:
    for name, data in _entries(archive):
        path = into / name
        if not path.resolve().is_relative_to(into.resolve()):
            raise _no_source(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _entries(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file of a source archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for entry in opened:
            data = opened.extractfile(entry)
            if data is None:
                raise _no_source(entry.name)
            yield entry.name, data.read()


def _no_source(name: str) -> IntegrityError:
    return IntegrityError(
        f"the source archive holds {name!r}, which is no file of a project",
        hint="take a new snapshot of the project's folder",
        where=name,
    )


def _declared(folder: Path, file: Path, store: ContentStore) -> DeclaredFile:
    path = Path(os.path.normpath(folder / file))
    if not path.is_relative_to(folder):
        path = path.resolve()  # the folder may have been named through a link
    if not path.is_relative_to(folder):
        raise ProjectError(
            f"the declared file {file} is outside the project's folder",
            hint=f"move it below {folder}, so that a revision can hold it",
            where=str(file),
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProjectError(
            f"the declared file {file} cannot be read: {error.strerror}",
            hint=f"paths are relative to {folder}",
            where=str(file),
        ) from None
    return DeclaredFile(path.relative_to(folder).as_posix(), store.put(data))


def commit_of(folder: Path) -> tuple[str, bool]:
    """The git commit that a folder stands on, and whether tracked files differ; empty outside git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return "", False
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return commit, bool(changed)


def is_tracked(folder: Path, file: str) -> bool:
    """Whether git knows a file of the folder."""
    return bool(_git(folder, "ls-files", "--", file))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "--no-optional-locks", *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
