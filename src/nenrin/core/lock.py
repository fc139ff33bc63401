"""One writing process a folder: whoever holds ``flock`` on ``.nenrin/lock``.

The kernel gives the lock back when its holder ends, however it ends; the file itself stays, and
names the process that wrote to it last. Most hold it for a moment: who needs it may wait for those, and not
for one that stays.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from nenrin.core.errors import ConflictError, UnavailableError
from nenrin.core.timer import SystemTimer, Timer

PATIENCE = 15.0
"""Seconds to wait for a command that holds the folder: starting alone takes some on a busy machine."""

_TRIES = 5
_PAUSE = 0.002
_LOOK = 0.05  # seconds between two looks at whether it is free
_STAYS = b" stays"


class FolderLock:
    """The right to write to one folder.

    Usable as a context manager, which acquires and releases.

    Args:
        state_folder: the ``.nenrin`` folder; made when the lock is acquired.
        timer: tells how to wait.
        stays: whether it is held until somebody ends the process, so that nobody waits for it.
    """

    def __init__(
        self, state_folder: Path, timer: Timer | None = None, *, stays: bool = False
    ) -> None:
        self._stays = stays
        self._path = state_folder / "lock"
        self._timer = timer or SystemTimer()
        self._file: int | None = None

    def acquire(self, say: Callable[[str], None] | None = None) -> None:
        """Take the lock.

        Args:
            say: told that another process is waited for, :data:`PATIENCE` seconds if it does not stay;
                None: nobody is.

        Raises:
            ConflictError: another process holds it; ``held_by`` says which.
        """
        until = self._timer.wall() + PATIENCE
        told = say is None
        while not self.try_acquire():
            holder = self.held_by()
            named = f" ({holder})" if holder else ""
            if say is None or self._is_kept() or self._timer.wall() > until:
                raise ConflictError(
                    f"another process{named} writes to {self._path.parent}",
                    hint="use the running one, or end it first",
                    where=str(self._path),
                )
            if not told:
                say(f"another process{named} writes to {self._path.parent}: waiting for its end")
                told = True
            self._timer.sleep(_LOOK)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; says whether this object holds it now.

        Raises:
            ConflictError: a file stands where the folder belongs.
            UnavailableError: the folder cannot be made, or written to.
        """
        if self._file is not None:
            return True
        file = self._opened()
        # held_by() looks by taking the lock for an instant: a look must not pass for a holder
        for _ in range(_TRIES):
            if _flock(file, fcntl.LOCK_EX):
                os.truncate(file, 0)
                os.pwrite(file, str(os.getpid()).encode() + _STAYS * self._stays, 0)
                self._file = file
                return True
            self._timer.sleep(_PAUSE)
        os.close(file)
        return False

    def _opened(self) -> int:
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except (FileExistsError, NotADirectoryError):
            raise ConflictError(
                f"{folder} is a file, and nenrin keeps its state in a folder of that name",
                hint="move the file away; the folder is made then",
                where=str(folder),
            ) from None
        except OSError as error:
            raise UnavailableError(
                f"nenrin cannot keep its state in {folder}: {error.strerror or error}",
                hint="it stands beside project.py: work in a folder that you may write to, with room left",
                where=str(self._path),
            ) from None

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._file is not None:
            os.truncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def held_by(self) -> int | None:
        """The process that holds the lock, ``None`` if it is free (0: it is not named yet)."""
        if self._file is not None:
            return os.getpid()
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            if _flock(file, fcntl.LOCK_SH):
                return None
            return int((os.pread(file, 32, 0) or b"0").removesuffix(_STAYS))
        finally:
            os.close(file)

    def _is_kept(self) -> bool:
        """Whether its holder stays."""
        try:
            return self._path.read_bytes().endswith(_STAYS)
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _flock(file: int, mode: int) -> bool:
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
