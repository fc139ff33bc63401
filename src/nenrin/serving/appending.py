"""The segment that a process appends to: whole groups of lines or nothing, followed by the next."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from nenrin.core.instants import DAY
from nenrin.serving.segments import counted, folders, root_of, segments

_TAIL = 2**16


class Appending:
    """Appends lines to the newest segment of a folder. For one thread.

    Args:
        folder: the segments'; the torn end of the last is cut.
        segment_bytes: a segment that has grown past this is followed by the next.
        keep_days: segments whose newest prediction is older go, also those of folders beside this one that
            nobody appends to; one is followed by the next after a day, and at the end; 0: none goes.
    """

    def __init__(self, folder: Path, segment_bytes: int, keep_days: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._keep = keep_days * DAY
        self.predictions = _resumed(folder)
        self._torn = False
        self._file = self._open()
        self._size = os.fstat(self._file).st_size
        self._began = self._newest = 0

    def write(self, lines: bytes, predictions: int, *, durable: bool, at: int) -> None:
        """Append whole lines, or nothing.

        Args:
            lines: each with its end.
            predictions: how many they hold.
            durable: wait until the disk has them.
            at: instant of the newest, microseconds UTC.

        Raises:
            OSError: the disk refuses; what it took is taken away again.
        """
        if self._torn:
            os.ftruncate(self._file, self._size)
            self._torn = False
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._file, left) :]
            if durable:
                os.fsync(self._file)
        except Exception:
            self._torn = True  # cut now, or before the next lines: the disk may refuse that, too
            os.ftruncate(self._file, self._size)
            self._torn = False
            raise
        self.predictions += predictions
        self._size += len(lines)
        self._began, self._newest = self._began or at, at
        if self._size >= self._segment_bytes or (self._keep and at - self._began >= DAY):
            self._follow(at)

    def close(self) -> None:
        """Write no more. A segment that nobody goes on with may go once it is old."""
        if self._keep and self._size:
            self._follow(self._newest)
        os.close(self._file)

    def _follow(self, at: int) -> None:
        """Go on in the next segment, and let go of those that are too old."""
        try:
            file = self._open()
        except OSError:  # the disk may have room again when this one is full for the next time
            return
        os.close(self._file)
        self._file, self._size, self._began = file, 0, 0
        if self._keep:
            with suppress(
                OSError
            ):  # what is written is written, whoever else's folder cannot be read
                for folder in folders(root_of(self._folder)):
                    _let_go(folder, at - self._keep)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        file = os.open(self._folder / f"{self.predictions:016d}.ndjson", flags, 0o644)
        _sync_folder(self._folder)  # a durable line in a file that a power cut takes would be none
        return file


def _let_go(folder: Path, before: int) -> None:
    """Remove the segments of a folder whose newest prediction is older, but for the last one."""
    for segment in segments(folder)[:-1]:
        with suppress(OSError):  # whoever appends there did it; what cannot be removed stays
            newest = newest_at(segment)
            if newest is not None and newest >= before:
                return
            if newest is not None:
                segment.unlink()


class _At(msgspec.Struct):
    at: int


def newest_at(segment: Path) -> int | None:
    """The instant of a segment's last line; 0 of an empty one, None where it cannot be read."""
    with segment.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        tail = min(_TAIL, size)
        while True:
            file.seek(size - tail)
            lines = file.read().removesuffix(b"\n").split(b"\n")
            if len(lines) > 1 or tail == size:
                break
            tail = min(2 * tail, size)
    try:
        return msgspec.json.decode(lines[-1], type=_At).at if size else 0
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _resumed(folder: Path) -> int:
    """Predictions written so far; the torn end of the last segment is cut."""
    found = segments(folder)
    if not found:
        return 0
    content = found[-1].read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    os.truncate(found[-1], len(whole))
    return int(found[-1].stem) + counted(whole.split(b"\n")[:-1])


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
