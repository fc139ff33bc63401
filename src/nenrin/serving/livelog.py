"""Writes the live prediction log: a line, made by one call, for what was answered together.

The line is made where the answer is: a thread that makes lines holds the interpreter's lock meanwhile, and
every answer waits for that. Only where personal fields are masked the thread makes them, one a prediction.

``fast``: an answer never waits for it. What a fifth of a second brings is written together, so a
``kill -9`` can lose that much and no more. ``durable``: an answer waits until its predictions are on the
disk; all that wait share one ``fsync``. What is lost is counted exactly: every prediction takes a number
from a counter in a memory-mapped file before it is answered. The kernel keeps that page when the process
dies, so what was issued, and is neither written nor dropped, was lost.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import struct
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from nenrin.core.errors import UnavailableError
from nenrin.core.lock import FolderLock
from nenrin.core.timer import SystemTimer, Timer
from nenrin.serving.answered import AnsweredRequest, encode, predictions_of
from nenrin.serving.appending import Appending
from nenrin.serving.deployments import Deployment
from nenrin.serving.masks import Masks
from nenrin.serving.prediction import masked
from nenrin.serving.segments import COUNTERS, Counts, counts_of, read_counts, root_of

PERIOD = 0.2
SEGMENT_BYTES = 16 * 2**20
CAPACITY = 50_000

_NUMBER = struct.Struct("=q")
_GROUP_ROWS = 2_000  # that are written together, and so many waiting that the writer is woken
_logger = logging.getLogger(__name__)


class _Lines(msgspec.Struct, frozen=True, gc=False):
    """The lines of a request that wait to be written, and what whoever waits for that waits for.

    Attributes:
        masked: the request and its deployment, where the lines are still to be made.
    """

    lines: bytes
    rows: int
    at: int
    kept: asyncio.Future[None] | None
    masked: tuple[AnsweredRequest, Deployment] | None = None


class LiveLog:
    """Appends predictions to a folder; one process a folder.

    ``issue`` and ``append`` belong to one thread (the plane's event loop).

    Args:
        folder: made if it is missing.
        capacity: predictions that may wait to be written; more are dropped, and counted.
        segment_bytes: a segment that has grown past this is followed by the next.
        keep_days: whole segments of predictions that are older go; 0: none.
        timer: for whoever measures what an answer takes.

    Raises:
        ConflictError: another process writes to the folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        capacity: int = CAPACITY,
        segment_bytes: int = SEGMENT_BYTES,
        keep_days: int = 0,
        timer: Timer | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        self._lock.acquire()
        root = root_of(folder)
        self._root = root
        self.worker = "" if root == folder else folder.name
        self.timer = timer or SystemTimer()
        self._capacity = capacity
        self._segment = Appending(folder, segment_bytes, keep_days)
        self._masks = Masks(root)
        found = counts_of(folder)
        self._counters = _open_counters(folder / "counters")
        accounted = self._segment.predictions + found.dropped + found.lost
        self._dropped: int = found.dropped
        self._lost: int = found.lost + max(0, found.issued - accounted)
        # a power cut may have kept lines and not the counters: no number is given twice
        self._issued: int = max(found.issued, accounted)
        self._dropping = threading.Lock()
        COUNTERS.pack_into(self._counters, 0, self._issued, self._dropped, self._lost)
        self._waiting: deque[_Lines] = deque()
        self._appended = self._taken = 0  # rows; each is changed by one thread only
        self._refused: deque[list[_Lines]] = deque()  # groups of fast lines, oldest first
        self._closing = False
        self._wake = threading.Event()
        self._writer = threading.Thread(target=self._write_on, name="prediction-log", daemon=True)
        self._writer.start()

    @property
    def counts(self) -> Counts:
        """What became of the predictions of this folder, since it was made."""
        return Counts(issued=self._issued, dropped=self._dropped, lost=self._lost)

    @property
    def counts_of_all(self) -> Counts:
        """The same of every process that has written beside this one."""
        return read_counts(self._root)

    @property
    def waiting(self) -> int:
        """Predictions that are answered, or about to be, and not written yet."""
        return self._appended - self._taken

    def issue(self, rows: int = 1) -> int:
        """The number of the first of ``rows`` predictions. From here on each is written, dropped or lost."""
        first = self._issued + 1
        self._issued += rows
        _NUMBER.pack_into(self._counters, 0, self._issued)
        return first

    def append(
        self, answered: AnsweredRequest, deployment: Deployment
    ) -> asyncio.Future[None] | None:
        """Have a request's predictions written, by the rules of its deployment; never waits.

        Returns:
            None; of a deployment whose log is durable, what is done once they are on the disk, and raises
            :class:`UnavailableError` where the disk refuses them.

        Raises:
            UnavailableError: the log is durable, and too many wait for the disk, or it is not to be encoded.
        """
        durable = deployment.log.durable
        rows = len(answered.ids)
        waiting = self._appended - self._taken
        if waiting and waiting + rows > self._capacity:
            self._drop(rows)
            if durable:
                raise _refused("too many predictions wait for the disk")
            return None
        masked = (answered, deployment) if deployment.log.masked else None
        try:
            lines = b"" if masked else encode(answered) + b"\n"
        except Exception as error:
            _logger.exception("a prediction cannot be written")
            self._drop(rows)
            if durable:
                raise _refused(f"the prediction cannot be logged: {error}") from None
            return None
        kept = asyncio.get_running_loop().create_future() if durable else None
        self._appended += rows
        self._waiting.append(_Lines(lines, rows, answered.at, kept, masked))
        if durable or waiting + rows >= _GROUP_ROWS:
            self._wake.set()
        return kept

    def close(self) -> None:
        """Write what is waiting and give the folder back."""
        self._closing = True
        self._wake.set()
        self._writer.join()
        self._segment.close()
        self._counters.close()
        self._lock.release()

    def _drop(self, rows: int) -> None:
        with self._dropping:  # the loop drops what is too much, the writer what the disk refuses
            self._dropped += rows
            _NUMBER.pack_into(self._counters, 8, self._dropped)

    def _write_on(self) -> None:
        ended = False
        while not ended:
            self._wake.wait(PERIOD)
            self._wake.clear()
            ended = self._closing
            try:
                self._write_waiting()
            except Exception:  # those of this round are lost, and counted so at the next start
                _logger.exception("predictions could not be written")

    def _write_waiting(self) -> None:
        """Write what waits, group by group; what the disk refuses is kept for the next round.

        Fast lines stay in their order. Who waits for a durable line is told what the disk says to it, and
        may ask again: what was refused before is not in its way.
        """
        while self._refused and not self._write(self._refused[0]):
            self._refused.popleft()
        while self._waiting:
            group = self._next()
            if self._refused:
                self._keep([each for each in group if each.kept is None])
                group = [each for each in group if each.kept is not None]
            self._keep(self._write(group))

    def _keep(self, group: list[_Lines]) -> None:
        if group:
            self._refused.append(group)

    def _write(self, group: list[_Lines]) -> list[_Lines]:
        """Write a group whole, or nothing of it.

        Returns:
            the lines to be written later: the fast ones, where the disk refuses.
        """
        waits = [each for each in group if each.kept is not None]
        rows = sum(each.rows for each in group)
        try:
            if group:
                lines = b"".join(each.lines for each in group)
                self._segment.write(lines, rows, durable=bool(waits), at=group[-1].at)
        except OSError as error:
            _logger.warning("the prediction log waits: %s", error)
            self._drop(sum(each.rows for each in waits))
            self._done(waits, f"the prediction log cannot be written: {error.strerror}")
            return [each for each in group if each.kept is None]
        except Exception as error:  # nobody may wait for a line that will never be written
            _logger.exception("predictions could not be written")
            self._drop(rows)
            self._done(group, f"the prediction log cannot be written: {error}")
        else:
            self._done(group)
        return []

    def _next(self) -> list[_Lines]:
        """The lines of the next group of requests; what cannot be written is dropped, and counted."""
        group: list[_Lines] = []
        rows = 0
        while self._waiting and rows < _GROUP_ROWS:
            each = self._waiting.popleft()
            rows += each.rows
            try:
                group.append(each if each.masked is None else self._made(each, *each.masked))
            except Exception as error:
                _logger.exception("a prediction cannot be written")
                self._drop(each.rows)
                self._done([each], f"the prediction cannot be logged: {error}")
        return group

    def _made(self, each: _Lines, request: AnsweredRequest, deployment: Deployment) -> _Lines:
        """The lines of a request, with what is personal masked."""
        plain = predictions_of(request)
        lines = [encode(masked(prediction, deployment, self._masks)) for prediction in plain]
        return msgspec.structs.replace(each, lines=b"\n".join([*lines, b""]), masked=None)

    def _done(self, group: Sequence[_Lines], wrong: str = "") -> None:
        """Let those go on that wait for the disk; whoever has gone away does not listen."""
        self._taken += sum(each.rows for each in group)
        kept = [each.kept for each in group if each.kept is not None]
        if kept:
            with suppress(RuntimeError):  # the loop has ended
                kept[0].get_loop().call_soon_threadsafe(_settle, kept, wrong)


def _settle(kept: Iterable[asyncio.Future[None]], wrong: str) -> None:
    for future in kept:
        if future.done():
            continue
        if wrong:
            future.set_exception(_refused(wrong))
        else:
            future.set_result(None)


def _refused(why: str) -> UnavailableError:
    return UnavailableError(
        why,
        hint="ask again; where it stays so, see to the disk that .nenrin/predictions lies on",
        where="the prediction log",
    )


def _open_counters(path: Path) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.fstat(file).st_size < COUNTERS.size:
            # written, not truncated to size: a hole that a full disk cannot fill kills by SIGBUS
            os.pwrite(file, bytes(COUNTERS.size), 0)
        return mmap.mmap(file, COUNTERS.size)
    finally:
        os.close(file)
