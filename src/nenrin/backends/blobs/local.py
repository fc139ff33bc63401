"""Content in a folder of the local file system.

A blob is the file ``ab/ab12…`` (its digest, sharded by the first two digits). It is written beside,
synced, renamed into place, and its folder synced: what is acknowledged survives power loss, and no
reader ever sees half a blob. Two processes that put the same bytes rename the same content over
each other.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blake3 import blake3

from nenrin.core.digest import digest_bytes, digest_file
from nenrin.core.durable import sync
from nenrin.core.errors import IntegrityError, NotFoundError, UnavailableError
from nenrin.core.store import Blob

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = "unfinished"
_CHUNK = 2**20
_RESTORE = "restore it from a backup; without one, move .nenrin away and begin anew: nenrin run"


class LocalStore:
    """A ``ContentStore`` in a folder. Can be sent to worker processes.

    Args:
        root: the folder; made when something is first put.
        durable: sync files and folders before acknowledging. ``False`` is for content that can be
            made again: what is acknowledged then survives a kill, but not power loss.
    """

    def __init__(self, root: Path | str, *, durable: bool = True) -> None:
        self._root = Path(root).absolute()
        self._durable = durable
        self._compared: set[str] = set()

    def put(self, data: bytes) -> str:
        """Keep ``data`` and give its digest.

        Raises:
            UnavailableError: the folder cannot be written: full, or not ours.
        """
        digest = digest_bytes(data)
        path = self._path(digest)
        with _writing(self._root):
            if path.exists():
                with suppress(OSError):  # of another user, or read-only: it is there all the same
                    os.utime(path)  # pruning leaves alone what was put lately
            else:
                self._write(path, (data,))
            # also when another process has just put it: its entry may not be on the disk yet
            self._sync_folder(path.parent)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of ``digest``, compared with it.

        Raises:
            NotFoundError: nothing is kept under that digest.
            IntegrityError: the bytes are not those that were kept.
            UnavailableError: they cannot be read.
        """
        with self._reading(digest) as path:
            data = path.read_bytes()
        if digest_bytes(data) != digest:
            raise _changed(digest, path)
        return data

    def has(self, digest: str) -> bool:
        """Whether ``digest`` is kept."""
        return bool(_DIGEST.fullmatch(digest)) and self._path(digest).exists()

    def verify(self, digest: str) -> None:
        """Read ``digest`` and compare.

        Raises:
            IntegrityError: the bytes are not those that were kept.
            NotFoundError: nothing is kept under that digest.
            UnavailableError: they cannot be read.
        """
        with self._reading(digest) as path:
            found = digest_file(path)
        if found != digest:
            raise _changed(digest, path)
        self._compared.add(digest)

    def size(self, digest: str) -> int:
        """How many bytes ``digest`` has."""
        with self._reading(digest) as path:
            return path.stat().st_size

    def blobs(self) -> Iterator[Blob]:
        """What is kept, and when it was put last, sorted by digest."""
        for path in self._paths():
            with suppress(FileNotFoundError):  # it went while we looked
                found = path.stat()
                yield Blob(path.name, found.st_size, found.st_mtime)

    def digests(self) -> Iterator[str]:
        """Every digest kept, sorted."""
        return (path.name for path in self._paths())

    def remove(self, digest: str) -> None:
        """Let go of ``digest``."""
        self._path(digest).unlink(missing_ok=True)
        self._compared.discard(digest)

    def sweep(self, digests: Iterable[str], before: float) -> list[str]:
        """Let go of those that were put last before ``before``; one process writes to a folder."""
        gone = []
        for digest in digests:
            with suppress(FileNotFoundError):
                if self._path(digest).stat().st_mtime < before:
                    self.remove(digest)
                    gone.append(digest)
        return gone

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of ``digest`` piece by piece, compared in the end."""
        hasher = blake3()
        with self._reading(digest) as path, path.open("rb") as file:
            while data := file.read(_CHUNK):
                hasher.update(data)
                yield data
        if hasher.hexdigest() != digest:
            raise _changed(digest, path)

    def keep(self, digest: str, chunks: Iterable[bytes]) -> None:
        """Keep bytes that ``chunks`` has compared with ``digest``; nothing where it raises.

        Raises:
            UnavailableError: the folder cannot be written.
        """
        with _writing(self._root):
            self._write(self._path(digest), chunks)
        self._compared.add(digest)

    def file(self, digest: str) -> Path:
        """The file with these bytes, to be read only; compared when this object is first asked for it.

        Raises:
            IntegrityError: the bytes are not those that were kept.
            NotFoundError: nothing is kept under that digest.
            UnavailableError: they cannot be read.
        """
        path = self._path(digest)
        if digest not in self._compared or not path.exists():
            self.verify(digest)
        return path

    def _paths(self) -> Iterator[Path]:
        if not self._root.is_dir():
            return
        for shard in sorted(self._root.iterdir()):
            if len(shard.name) == 2 and shard.is_dir():
                yield from sorted(path for path in shard.iterdir() if _DIGEST.fullmatch(path.name))

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise self._missing(digest)
        return self._root / digest[:2] / digest

    @contextmanager
    def _reading(self, digest: str) -> Iterator[Path]:
        try:
            yield self._path(digest)
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(digest) from None
        except OSError as error:
            if error.errno == errno.EIO:  # the disk has lost it
                raise _changed(digest, self._path(digest)) from error
            raise UnavailableError(
                f"the content kept as {digest} cannot be read: {error.strerror or error}",
                hint="let nenrin read the folder; then do it again",
                where=str(self._root),
            ) from error

    def _missing(self, digest: str) -> NotFoundError:
        return NotFoundError(
            f"no content is kept as {digest}",
            hint=f"was it removed? {_RESTORE}",
            where=str(self._root),
        )

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        self._make_folder(path.parent)
        unfinished = self._root / _UNFINISHED
        unfinished.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(dir=unfinished)
        written = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(chunks)
                file.flush()
                if self._durable:
                    os.fsync(file.fileno())
            written.chmod(0o444)
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            self._sync_folder(folder.parent)
            self._sync_folder(self._root.parent)

    def _sync_folder(self, folder: Path) -> None:
        if self._durable:
            sync(folder)


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"content cannot be kept: {error.strerror or error}",
            hint="make room on the disk, or let nenrin write to the folder; then do it again",
            where=str(root),
        ) from error


def _changed(digest: str, path: Path) -> IntegrityError:
    return IntegrityError(
        f"the content kept as {digest} has changed",
        hint=f"a disk, or somebody, has written to this file: {_RESTORE}",
        where=str(path),
    )
