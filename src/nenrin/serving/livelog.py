"""The live prediction log: one JSON line a prediction, written off the hot path.

An answer never waits for it. The predictions of a fifth of a second are written together, so a
``kill -9`` can lose that much and no more, and the loss is counted exactly: every prediction takes
a number from a counter in a memory-mapped file before it is answered. The kernel keeps that page
when the process dies, so what was issued, and is neither written nor dropped, was lost.

On disk, in ``.nenrin/predictions/``: ``counters`` (three int64: issued, dropped, lost), ``lock``
(who writes), and segments named by the number of lines before them.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.digest import digest
from nenrin.core.lock import FolderLock
from nenrin.serving.router import Member

PERIOD = 0.2
SEGMENT_BYTES = 16 * 2**20
CAPACITY = 100_000

_logger = logging.getLogger(__name__)

_COUNTERS = struct.Struct("=qqq")
_NUMBER = struct.Struct("=q")


class Prediction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answered row.

    Attributes:
        number: 1, 2, 3 … within the folder; a gap is a loss.
        id: the prediction's id, as the client got it.
        deployment: who was asked.
        version: who answered.
        variant: index of the version in the route.
        key: text of the row's key; empty when the client sent none.
        asked: the instant of the question, microseconds UTC.
        at: calendar instant of the answer, microseconds UTC.
        answer: the answer.
        row: the raw columns of the request.
        features: what the model saw.
        members: of a mixture, who answered with which share.
        recalibration: what the answer went through (see :class:`nenrin.serving.router.Variant`).
        ages: by feature view, seconds: how old what it read was when asked; None: it found nothing.
    """

    number: int
    id: str
    deployment: str
    version: str
    variant: int
    key: str
    asked: int
    at: int
    answer: float | str
    row: dict[str, Any]
    features: dict[str, Any]
    members: tuple[Member, ...] = ()
    recalibration: tuple[float, float] | None = None
    ages: dict[str, float | None] = {}


class Counts(msgspec.Struct, frozen=True):
    """Predictions issued, dropped because the disk was too slow, and lost by a kill."""

    issued: int
    dropped: int
    lost: int


class LiveLog:
    """Appends predictions to a folder; one process a folder.

    ``issue`` and ``append`` belong to one thread (the plane's event loop).

    Args:
        folder: made if it is missing.
        capacity: predictions that may wait to be written; more are dropped, and counted.
        segment_bytes: a segment that has grown past this is followed by the next.

    Raises:
        ConflictError: another process writes to the folder.
    """

    def __init__(
        self, folder: Path, *, capacity: int = CAPACITY, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        self._lock.acquire()
        self._folder = folder
        self._capacity = capacity
        self._segment_bytes = segment_bytes
        self._counters = _open_counters(folder / "counters")
        self._lines, self._segment = _resume(folder)
        self._size = 0
        found = Counts(*_COUNTERS.unpack_from(self._counters))
        accounted = self._lines + found.dropped + found.lost
        self._dropped: int = found.dropped
        self._lost: int = found.lost + max(0, found.issued - accounted)
        # a power cut may have kept lines and not the counters: no number is given twice
        self._issued: int = max(found.issued, accounted)
        _COUNTERS.pack_into(self._counters, 0, self._issued, self._dropped, self._lost)
        self._waiting: deque[Prediction] = deque()
        self._unwritten = b""
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write_on, name="prediction-log", daemon=True)
        self._writer.start()

    @property
    def counts(self) -> Counts:
        """What became of the predictions of this folder, since it was made."""
        return Counts(issued=self._issued, dropped=self._dropped, lost=self._lost)

    def issue(self) -> int:
        """The next prediction's number. From here on it is written, dropped or lost: counted."""
        self._issued += 1
        _NUMBER.pack_into(self._counters, 0, self._issued)
        return self._issued

    def append(self, prediction: Prediction) -> None:
        """Have a prediction written within a fifth of a second; never waits."""
        if len(self._waiting) >= self._capacity:
            self._dropped += 1
            _NUMBER.pack_into(self._counters, 8, self._dropped)
        else:
            self._waiting.append(prediction)

    def close(self) -> None:
        """Write what is waiting and give the folder back."""
        self._stop.set()
        self._writer.join()
        os.close(self._segment)
        self._counters.close()
        self._lock.release()

    def _write_on(self) -> None:
        ended = False
        while not ended:
            ended = self._stop.wait(PERIOD)
            try:
                self._write_waiting()
            except Exception:  # those of this round are lost, and counted so at the next start
                _logger.exception("predictions could not be written")

    def _write_waiting(self) -> None:
        """Write what waits in one go; what a full disk refuses is kept for the next round."""
        if self._flush():
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._unwritten = _lines(batch)
            if self._flush() and self._size >= self._segment_bytes:
                os.close(self._segment)
                self._segment, self._size = _open_segment(self._folder, self._lines), 0

    def _flush(self) -> bool:
        """Whether all that was taken from the queue is in the segment now."""
        while self._unwritten:
            try:
                written = os.write(self._segment, self._unwritten)
            except OSError as error:
                _logger.warning("the prediction log waits: %s", error)
                return False
            self._lines += self._unwritten[:written].count(b"\n")
            self._size += written
            self._unwritten = self._unwritten[written:]
        return True


def prediction_id(deployment: str, key: str, asked: int, number: int) -> str:
    """The id of a prediction, derived from what was asked (96 bits of digest)."""
    return f"prediction-{digest([deployment, key, asked, number])[:24]}"


def read_counts(folder: Path) -> Counts:
    """The counts of a folder, whether a plane writes to it or not."""
    try:
        return Counts(*_COUNTERS.unpack_from((folder / "counters").read_bytes()))
    except (FileNotFoundError, struct.error):
        return Counts(0, 0, 0)


def read_predictions(folder: Path) -> Iterator[Prediction]:
    """Every prediction that was written, in order; a line that a kill cut short is passed over."""
    decoder = msgspec.json.Decoder(Prediction)
    for segment in segments(folder):
        with segment.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield decoder.decode(line)


def copy_log(folder: Path, to: Path) -> None:
    """Copy what is written of a log, as of now, into the empty folder ``to``; the log may go on meanwhile.

    What is issued and not yet written is not lost, only younger than the copy: its counters end with it.
    """
    written = 0
    for segment in segments(folder):
        content = segment.read_bytes()
        content = content[: content.rfind(b"\n") + 1]
        (to / segment.name).write_bytes(content)
        written = int(segment.stem) + content.count(b"\n")
    found = read_counts(folder)
    issued = written + found.dropped + found.lost
    if issued:
        (to / "counters").write_bytes(_COUNTERS.pack(issued, found.dropped, found.lost))


def _lines(batch: list[Prediction]) -> bytes:
    encoder = msgspec.json.Encoder(enc_hook=str)
    return b"".join(encoder.encode(prediction) + b"\n" for prediction in batch)


def segments(folder: Path) -> list[Path]:
    """The files of a log, oldest first."""
    return sorted(folder.glob("*.ndjson"))


def _open_counters(path: Path) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.fstat(file).st_size < _COUNTERS.size:
            # written, not truncated to size: a hole that a full disk cannot fill kills by SIGBUS
            os.pwrite(file, bytes(_COUNTERS.size), 0)
        return mmap.mmap(file, _COUNTERS.size)
    finally:
        os.close(file)


def _open_segment(folder: Path, lines_before: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(folder / f"{lines_before:016d}.ndjson", flags, 0o644)


def _resume(folder: Path) -> tuple[int, int]:
    """Lines written so far, and a segment for the next; the torn end of the last is cut."""
    found = segments(folder)
    if not found:
        return 0, _open_segment(folder, 0)
    last = found[-1]
    content = last.read_bytes()
    os.truncate(last, content.rfind(b"\n") + 1)
    lines = int(last.stem) + content.count(b"\n")
    return lines, _open_segment(folder, lines)
