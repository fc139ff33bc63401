"""Backups: a copy of state and content that is of one instant, made while everything runs.

The state is copied first, as of one instant; then the content that it names, which never changes once it is
written. Both are verified on their way: the state by the database's own check, content by its name. A backup
is a folder, or the same as one tar file:

    backup.json     what it holds (:class:`Manifest`)
    state.db        state and ledger
    store/ab/ab12…  content by digest
    …               files of other rooms, such as predictions/

The private key of checkpoints is left out: who finds a backup must not be able to sign.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import msgspec
from blake3 import blake3

from nenrin.core.digest import digest_file
from nenrin.core.durable import sync
from nenrin.core.errors import ConflictError, IntegrityError, UnavailableError
from nenrin.core.named import reached
from nenrin.core.store import ContentStore

FORMAT = 1
MANIFEST, STATE, STORE = "backup.json", "state.db", "store"

Told = Callable[[str, int, int, str], None]
"""Progress: stage, how many parts of how many are behind, a word about them."""

Copy = Callable[[Path], None]
"""Writes a room's files, as of now, into a folder that is there and empty."""

_CHUNK = 2**20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds.

    Attributes:
        format: of the backup.
        nenrin: the version that made it.
        made: instant, ISO 8601.
        state: digest of ``state.db``.
        heads: ``sequence:hash`` of each chain of the ledger, by environment.
        content: how many blobs.
        bytes: of all that it holds.
        files: digest of each further file, by its path.
    """

    format: int
    nenrin: str
    made: str
    state: str
    heads: Mapping[str, str]
    content: int
    bytes: int
    files: Mapping[str, str]


class States(Protocol):
    """Copies of the database. Adapter: ``nenrin.backends.sql.copying``."""

    def copy(self, to: Path) -> None:
        """Write the database as it is at one instant to a file, while others write to it."""
        ...

    def check(self, state: Path) -> list[str]:
        """What the database says is wrong with a copy; empty: nothing."""
        ...

    def named(self, state: Path) -> set[str]:
        """Every digest that a copy names, of content and of other things."""
        ...

    def heads(self, state: Path) -> dict[str, str]:
        """The heads of the chains in a copy, ``sequence:hash`` by environment."""
        ...


class Place(Protocol):
    """Where a backup goes."""

    def add(self, name: str, size: int, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Copy bytes; their digest, and how many they were."""
        ...

    def has(self, name: str) -> bool:
        """Whether a blob is there from before."""
        ...


class Backups:
    """Makes backups of one folder.

    Args:
        states: the database.
        store: the content.
        scratch: where the copy of the database is made first; on the same disk as the rest.
        now: business time as ISO 8601.
        others: a folder's name to what copies a room's files into it.
    """

    def __init__(
        self,
        states: States,
        store: ContentStore,
        scratch: Path,
        now: Callable[[], str],
        others: Mapping[str, Copy],
    ) -> None:
        self._states = states
        self._store = store
        self._scratch = scratch
        self._now = now
        self._others = others

    def make(self, to: Path, told: Told) -> Manifest:
        """Back up to ``to``: one file where its name ends in ``.tar``, else a folder.

        A folder that holds an older backup is brought up to date: content that is there stays.

        Raises:
            ConflictError: something else is there already.
            IntegrityError: the state or content that it names is damaged; nothing is finished.
            UnavailableError: it cannot be written.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        try:
            with (
                tempfile.TemporaryDirectory(dir=self._scratch, prefix="backup-") as made,
                _place(to) as place,
            ):
                return self._make(Path(made), place, told)
        except OSError as error:
            raise UnavailableError(
                f"the backup cannot be written: {error.strerror or error}",
                where=str(to),
                hint="make room, or name another place; what was written there is no backup",
            ) from error

    def _make(self, made: Path, place: Place, told: Told) -> Manifest:
        told("state", 0, 1, "")
        state = made / STATE
        self._states.copy(state)
        checked(self._states, state)
        digest, size = _add(place, STATE, state)
        names = sorted(reached(self._states.named(state), self._store))
        for number, name in enumerate(names):
            told("content", number, len(names), "")
            size += self._blob(place, name)
        files = {}
        for folder, copy in self._others.items():
            (made / folder).mkdir()
            copy(made / folder)
            for file in sorted(path for path in (made / folder).rglob("*") if path.is_file()):
                name = file.relative_to(made).as_posix()
                files[name], more = _add(place, name, file)
                size += more
        manifest = Manifest(
            format=FORMAT,
            nenrin=version("nenrin"),
            made=self._now(),
            state=digest,
            heads=self._states.heads(state),
            content=len(names),
            bytes=size,
            files=files,
        )
        (made / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        _add(place, MANIFEST, made / MANIFEST)
        told("content", len(names), len(names), "")
        return manifest

    def _blob(self, place: Place, name: str) -> int:
        size = self._store.size(name)
        if not place.has(blob(name)):
            found, size = place.add(blob(name), size, self._store.chunks(name))
            if found != name:
                raise IntegrityError(
                    f"the content kept as {name} has changed",
                    hint="restore it from an older backup; nenrin doctor finds more of its kind",
                )
        return size


def blob(digest: str) -> str:
    """The name of content within a backup."""
    return f"{STORE}/{digest[:2]}/{digest}"


def checked(states: States, state: Path) -> None:
    """Refuse a damaged copy of a database.

    Raises:
        IntegrityError: it is damaged.
    """
    wrong = states.check(state)
    if wrong:
        raise IntegrityError(
            f"the database is damaged: {wrong[0]}",
            where=str(state),
            hint="restore an older backup: nenrin restore FROM",
        )


def _add(place: Place, name: str, file: Path) -> tuple[str, int]:
    with file.open("rb") as source:
        return place.add(name, file.stat().st_size, iter(partial(source.read, _CHUNK), b""))


@contextmanager
def _place(to: Path) -> Iterator[Place]:
    if to.suffix != ".tar":
        yield _Folder(to)
        return
    if to.exists():
        raise ConflictError(f"there is a file {to.name}", where=str(to), hint="name another one")
    part = to.with_name(f"{to.name}.part")
    try:
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
            yield _Archive(archive)
        sync(part)
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)


class _Folder:
    """A backup as a folder."""

    def __init__(self, root: Path) -> None:
        if root.exists() and any(root.iterdir()) and not (root / MANIFEST).exists():
            raise ConflictError(
                f"{root} holds something that is no backup",
                where=str(root),
                hint="name an empty folder, or an older backup",
            )
        root.mkdir(parents=True, exist_ok=True)
        self._root = root

    def add(self, name: str, size: int, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Written beside and renamed, so that what is there is whole."""
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        hasher, size = blake3(), 0
        with part.open("wb") as copy:
            for chunk in chunks:
                hasher.update(chunk)
                size += len(chunk)
                copy.write(chunk)
        sync(part)
        part.replace(target)
        return hasher.hexdigest(), size

    def has(self, name: str) -> bool:
        """Whether a file of that name is there, and is what its name says."""
        path = self._root / name
        return path.exists() and digest_file(path) == path.name


class _Archive:
    """A backup as one tar file."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, name: str, size: int, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Appended; nobody's, so that equal content is equal whoever writes it."""
        entry = tarfile.TarInfo(name)
        entry.size = size
        reading = _Reading(chunks)
        self._archive.addfile(entry, reading)
        return reading.hasher.hexdigest(), size

    def has(self, name: str) -> bool:
        """A file that is being written has nothing from before."""
        return False


class _Reading:
    """Chunks as a file that is digested as it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""
        self.hasher = blake3()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes: ``size`` of them unless they end before, all that are left if negative."""
        while (size < 0 or len(self._left) < size) and (chunk := next(self._chunks, b"")):
            self._left += chunk
        end = len(self._left) if size < 0 else size
        data, self._left = self._left[:end], self._left[end:]
        self.hasher.update(data)
        return data
