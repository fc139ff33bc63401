"""What a worker and its parent say to each other, and how it goes through a socket."""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

_HEADER = struct.Struct(">Q")
_CHUNK = 1 << 18


class Entering(msgspec.Struct, frozen=True):
    """Whose code runs next in a worker, and what to do if the process dies there."""

    where: str
    hint: str


class Outcome(msgspec.Struct, frozen=True):
    """What came of a task: the pickled result or exception, and the worker's CPU seconds so far."""

    failed: bool
    value: bytes
    cpu: float


class TaskOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told that is there for one task.

    Attributes:
        path: where modules are found.
        setup: how the store is opened and projects are loaded, pickled.
        name: the task's.
        project: the folder whose frames are the user's own.
        scratch: its working folder.
        seed: what global generators are seeded with.
        data: bytes that the kernel lets it use, where nobody can watch it; None: no such limit.
        environ: variables that are set, or taken out (None), before anything else.
        call: function and arguments, pickled.
    """

    path: list[str]
    setup: bytes
    name: str
    project: Path | None
    scratch: Path | None
    seed: int
    data: int | None
    environ: Mapping[str, str | None]
    call: bytes


def packed(message: Any) -> bytes:
    """A message as it goes through a socket."""
    data = pickle.dumps(message, protocol=5)
    return _HEADER.pack(len(data)) + data


class Inbox:
    """Puts messages together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._data = bytearray()

    def take(self, piece: bytes) -> Iterator[Any]:
        """The messages that ``piece`` completes."""
        self._data += piece
        while len(self._data) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._data)
            end = _HEADER.size + length
            if len(self._data) < end:
                return
            data = bytes(self._data[_HEADER.size : end])
            del self._data[:end]
            yield pickle.loads(data)


class Post:
    """A worker's end: sends whole messages, from any thread."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._lock = threading.Lock()

    def receive(self) -> Any:
        """Wait for one message.

        Raises:
            EOFError: nobody is there any more.
        """
        inbox = Inbox()
        while piece := self._wire.recv(_CHUNK):
            for message in inbox.take(piece):
                return message
        raise EOFError

    def send(self, message: Any) -> None:
        """Send one message.

        Raises:
            OSError: nobody is there any more.
        """
        data = packed(message)
        with self._lock:
            self._wire.sendall(data)
