"""Restoring a backup into a folder that has no state yet: verified on its way, and never over anything.

Content comes first and the state last, so that a restore that is cut off leaves no state that names what is
missing, and can be done again.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

import msgspec

from nenrin.core.backup import FORMAT, MANIFEST, STATE, STORE, Manifest, States, Told, checked
from nenrin.core.digest import digest_bytes, digest_file
from nenrin.core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    RequestError,
    UnavailableError,
)
from nenrin.core.store import ContentStore

_BLOB = re.compile(rf"{STORE}/[0-9a-f]{{2}}/([0-9a-f]{{64}})")
_OTHER = "take another backup: this one is damaged"


class _Source(Protocol):
    def names(self) -> list[str]: ...

    def read(self, name: str) -> bytes: ...


def restore(
    source: Path,
    state_folder: Path,
    database: Path,
    states: States,
    store: ContentStore,
    others: Collection[str],
    told: Told,
) -> Manifest:
    """Put what a backup holds where it belongs.

    Args:
        source: the backup, a folder or a tar file.
        state_folder: the ``.nenrin`` folder.
        database: where the state goes.
        states: reads copies of databases.
        store: where content goes.
        others: names of the folders of other rooms' files, below ``state_folder``.
        told: progress.

    Raises:
        NotFoundError: there is no backup there.
        RequestError: it is of a newer nenrin.
        ConflictError: the folder has state already.
        IntegrityError: the backup is damaged; no state was written.
        UnavailableError: it cannot be read, or the folder cannot be written.
    """
    try:
        with _opened(source) as opened:
            return _restore(opened, state_folder, database, states, store, others, told)
    except tarfile.TarError as error:
        raise IntegrityError(
            f"the backup cannot be read: {error}", where=str(source), hint=_OTHER
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"the backup cannot be restored: {error.strerror or error}",
            where=str(error.filename or source),
            hint="make room, or let nenrin read and write there; then do it again",
        ) from error


def _restore(
    source: _Source,
    state_folder: Path,
    database: Path,
    states: States,
    store: ContentStore,
    others: Collection[str],
    told: Told,
) -> Manifest:
    manifest = _manifest(source)
    _refuse_to_overwrite(state_folder, database, others, manifest)
    blobs = {found[1]: name for name in source.names() if (found := _BLOB.fullmatch(name))}
    if len(blobs) < manifest.content:
        missing = manifest.content - len(blobs)
        raise IntegrityError(f"{missing:,} pieces of content are missing", hint=_OTHER)
    for number, (digest, name) in enumerate(blobs.items()):
        told("content", number, len(blobs), "")
        _same(store.put(_is(source.read(name), digest, name)), digest, name)
    for name, digest in manifest.files.items():
        path = _below(state_folder, name, others)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        _write(part, _is(source.read(name), digest, name))
        part.replace(path)
    told("state", 0, 1, "")
    database.parent.mkdir(parents=True, exist_ok=True)
    part = database.with_name(f"{database.name}.part")
    try:
        _write(part, _is(source.read(STATE), manifest.state, STATE))
        checked(states, part)
        if states.heads(part) != dict(manifest.heads):
            raise IntegrityError("the ledger's heads are not those of the backup", hint=_OTHER)
        part.rename(database)
    finally:
        part.unlink(missing_ok=True)
    told("state", 1, 1, "")
    return manifest


def _refuse_to_overwrite(
    state_folder: Path, database: Path, others: Collection[str], manifest: Manifest
) -> None:
    there = [database] if database.exists() else []
    found = (path for name in others for path in (state_folder / name).rglob("*"))
    for file in (path for path in found if path.is_file()):
        expected = manifest.files.get(file.relative_to(state_folder).as_posix())
        if file.suffix != ".part" and (expected is None or digest_file(file) != expected):
            there.append(file)
    if there:
        raise ConflictError(
            f"there is state here already: {there[0]}",
            where=str(state_folder),
            hint="restore into an empty folder: nenrin -C FOLDER restore FROM",
        )


def _manifest(source: _Source) -> Manifest:
    if MANIFEST not in source.names():
        raise NotFoundError(
            "this is no backup, or one that was not finished",
            hint=f"name the folder with {MANIFEST}, or the .tar file, that nenrin backup wrote",
        )
    try:
        found = msgspec.json.decode(source.read(MANIFEST))
        if isinstance(found, dict) and found.get("format") != FORMAT:
            raise RequestError(
                f"the backup was made by nenrin {found.get('nenrin')}, in another form",
                hint="install that version to restore it",
            )
        return msgspec.convert(found, Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{MANIFEST} cannot be read: {error}", hint=_OTHER) from error


def _below(state_folder: Path, name: str, others: Collection[str]) -> Path:
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or parts[0] not in others or ".." in parts:
        raise IntegrityError(f"a backup holds no file {name!r}", hint=_OTHER)
    return state_folder.joinpath(*parts)


def _is(data: bytes, digest: str, name: str) -> bytes:
    _same(digest_bytes(data), digest, name)
    return data


def _same(found: str, digest: str, name: str) -> None:
    if found != digest:
        raise IntegrityError(f"{name} is not what was backed up", where=name, hint=_OTHER)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _opened(source: Path) -> Iterator[_Source]:
    if source.is_dir():
        yield _Folder(source)
    elif source.is_file():
        with tarfile.open(source, "r:") as archive:
            yield _Archive(archive)
    else:
        raise NotFoundError(
            f"there is no backup {source}", where=str(source), hint="name the folder or .tar file"
        )


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        found = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*"))
        return sorted(name for name in found if not name.endswith(".part"))

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()


class _Archive:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name: member for member in archive if member.isfile()}

    def names(self) -> list[str]:
        return list(self._members)

    def read(self, name: str) -> bytes:
        if name not in self._members:
            raise IntegrityError(f"{name} is missing", where=name, hint=_OTHER)
        file = self._archive.extractfile(self._members[name])
        return file.read() if file else b""
