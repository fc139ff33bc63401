"""Work that was asked for and has not ended: kept on disk, so that the next process goes on with it.

A file each, written before whoever asked is told that the work was taken, removed when it has ended or was
called off. What is left when a process begins, the process before it was killed with.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.durable import sync

BEGINNINGS = 3  # processes that may die with a piece of work before it is given up: it may be what kills them


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Work as it was asked for, in plain values: any process can do it.

    Attributes:
        verb: which of :data:`nenrin.api.verbs.VERBS`.
        what: what people are told that it is.
        environment: where it is done.
        values: what the verb takes.
        file: the path of a file that came with it, and goes with it; empty without one.
    """

    verb: str
    what: str
    environment: str
    values: dict[str, Any] = {}
    file: str = ""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work that a process did not get to the end of.

    Attributes:
        name: its id.
        asked: what was asked for.
        begun: how many processes have begun with it.
    """

    name: str
    asked: Asked
    begun: int = 0

    @property
    def number(self) -> int:
        """The number in its id."""
        return int(self.name.rpartition("-")[2])


class Unfinished:
    """The unfinished work of one folder. Used by the process that holds it.

    Attributes:
        left: what earlier processes left, oldest first.

    Args:
        folder: where it is kept; made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.left = self._read()
        self._drop_strays()

    def keep(self, left: Left) -> None:
        """Write it down, in place of what was written of it; durable on return."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{left.name}.part"
        with part.open("wb") as file:
            file.write(msgspec.json.encode(left))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path(left.name))
        sync(self._folder)

    def forget(self, left: Left) -> None:
        """Let go of it, and of the file that came with it."""
        self.left = [each for each in self.left if each.name != left.name]
        self._path(left.name).unlink(missing_ok=True)
        if left.asked.file:
            Path(left.asked.file).unlink(missing_ok=True)

    def upload(self, ending: str) -> Path:
        """An empty file for what comes with work, to be written before the work is taken."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, path = tempfile.mkstemp(ending, "upload-", self._folder)
        os.close(handle)
        return Path(path)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self) -> list[Left]:
        found = [_decoded(path) for path in self._folder.glob("*.json")]
        return sorted((left for left in found if left is not None), key=lambda left: left.number)

    def _drop_strays(self) -> None:
        """Remove half-written files, and files of work that was never taken."""
        if not self._folder.is_dir():
            return
        wanted = {self._path(left.name) for left in self.left}
        wanted |= {Path(left.asked.file) for left in self.left}
        for path in self._folder.iterdir():
            if path not in wanted:
                path.unlink()


def _decoded(path: Path) -> Left | None:
    """What a file says; None where it was damaged: whoever asked for it asks again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Left)
    except msgspec.DecodeError:
        return None
