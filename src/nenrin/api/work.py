"""Long work: what takes longer than a request may, with progress, a result, and a way to stop it.

Work goes on when the client that asked for it goes away, and in the next process when this one is killed.
One piece runs at a time, the others wait for their turn in the order they came: two backtests at once would
only take each other's cores.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, Protocol

import msgspec

from nenrin.api.unfinished import BEGINNINGS, Asked, Left, Unfinished
from nenrin.api.wire import error_body, unexpected
from nenrin.core.errors import (
    USERS_ERRORS,
    NenrinError,
    NotFoundError,
    UnavailableError,
    WorkerLostError,
)
from nenrin.core.logs import about

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"done", "failed", "cancelled"})
_KEPT = 20
_LINES = 1_000
_LOG = logging.getLogger(__name__)


class Cancelled(BaseException):
    """Raised by the progress callback of work that was asked to stop.

    Like ``KeyboardInterrupt`` it is no ``Exception``: code that answers a failed step must not answer
    this.
    """


class Progress(Protocol):
    """The callback that long verbs report to."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` parts of ``stage`` are behind; ``total`` 0 is unknown."""
        ...


Job = Callable[[Progress], Any]
Do = Callable[[Asked, Progress], Any]
Listening = Callable[[Callable[[str, str], None]], AbstractContextManager[None]]


class Message(msgspec.Struct, frozen=True):
    """One thing a client is told: ``progress``, a ``line``, ``result``, ``error`` or ``cancelled``."""

    sequence: int
    kind: str
    data: Any


class Work:
    """One piece of long work. Safe to use from several threads.

    Of a stage's progress only the newest is kept, so that a client that was away catches up; of what steps
    write the last lines: all of it is in their logs.

    Args:
        name: its id.
        what: what people are told that it is.
        job: does it.
        kept: what another process would go on with; None where only this one can do it.
    """

    def __init__(self, name: str, what: str, job: Job, kept: Left | None = None) -> None:
        self.name = name
        self.what = what
        self.kept = kept
        self._job = job
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._state: State = "waiting"
        self._messages: dict[str, Message] = {}
        self._lines: deque[Message] = deque(maxlen=_LINES)
        self._sequence = 0
        self._error: dict[str, Any] = {}

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def state(self) -> State:
        """How far it is."""
        return self._state

    def describe(self) -> dict[str, Any]:
        """Its id, what it does, its state, and the error where it failed."""
        return {"work": self.name, "what": self.what, "state": self._state, **self._error}

    def after(self, sequence: int) -> list[Message]:
        """What was said since message ``sequence`` (0: from the beginning), in order."""
        with self._lock:
            told = [*self._messages.values(), *self._lines]
            news = [said for said in told if said.sequence > sequence]
        return sorted(news, key=lambda said: said.sequence)

    def cancel(self) -> None:
        """Ask it to stop at its next report of progress; work that waits never begins."""
        self._stop.set()

    def run(self, log: Path) -> None:
        """Do it, in the calling thread; of unforeseen errors clients are told to read ``log``."""
        try:
            self._check()
            self._state = "running"
            _LOG.info("%s begins", self.what)
            result = self._job(self._report)
        except Cancelled:
            self._end("cancelled", "cancelled", {})
        except NenrinError as error:
            self._end("failed", "error", error_body(error))
        except USERS_ERRORS as error:  # told to whoever listens, who would wait for ever
            _LOG.exception("%s failed", self.what)
            self._end("failed", "error", error_body(unexpected(error, log)))
        else:
            self._end("done", "result", result)

    def line(self, step: str, text: str) -> None:
        """Tell a line that a step wrote."""
        with self._lock:
            self._sequence += 1
            self._lines.append(Message(self._sequence, "line", {"step": step, "text": text}))

    def fail(self, error: NenrinError) -> None:
        """End it without doing it."""
        self._end("failed", "error", error_body(error))

    def _report(self, stage: str, done: int, total: int, note: str = "") -> None:
        self._check()
        self._say(stage, "progress", {"stage": stage, "done": done, "total": total, "note": note})

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled

    def _end(self, state: State, kind: str, data: Any) -> None:
        _LOG.info("%s is over: %s", self.what, state)
        self._say("", kind, data)
        if state == "failed":
            self._error = data
        self._state = state

    def _say(self, topic: str, kind: str, data: Any) -> None:
        with self._lock:
            self._sequence += 1
            self._messages[f"{kind}/{topic}"] = Message(self._sequence, kind, data)


class Works:
    """The work of one process: a queue, and a thread that takes from it.

    Args:
        log: where tracebacks of unforeseen errors go.
        unfinished: where what was asked for is kept until it has ended.
        do: does what was asked for.
        listening: within the block that it gives, its argument is told what steps write.
    """

    def __init__(
        self,
        log: Path,
        unfinished: Unfinished,
        do: Do,
        listening: Listening = lambda _: nullcontext(),
    ) -> None:
        self._log = log
        self._unfinished = unfinished
        self._do = do
        self._listening = listening
        self._lock = threading.Lock()
        self._works: dict[str, Work] = {}
        self._started = max((left.number for left in unfinished.left), default=0)
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._turn = threading.Lock()
        self._closing = False
        self._idle = threading.Condition()
        self._turning = False
        threading.Thread(target=self._take, name="nenrin-work", daemon=True).start()

    def ask(self, asked: Asked) -> Work:
        """Take work that goes on in the next process if this one is killed.

        It stands for what an earlier process was asked for in the same words.

        Raises:
            UnavailableError: it cannot be written down.
        """
        for left in self._unfinished.left:
            if left.asked == asked:
                self._unfinished.forget(left)
        kept = Left(name=self._next(), asked=asked)
        try:
            self._unfinished.keep(kept)
        except OSError as error:
            raise _unkept(error) from error
        return self._queued(self._of(kept))

    def start(self, what: str, job: Job) -> Work:
        """Queue ``job``, which is called with a progress callback and gives a JSON-able result."""
        return self._queued(Work(self._next(), what, job))

    def resume(self) -> list[Work]:
        """Go on with what earlier processes left; which they are.

        What has ended that many processes is given up.
        """
        resumed = []
        for left in list(self._unfinished.left):
            work = self._of(left)
            if left.begun < BEGINNINGS:
                resumed.append(self._queued(work))
                continue
            work.fail(_deadly(left))
            with self._lock:
                self._works[work.name] = work
            self._unfinished.forget(left)
        self._unfinished.left = []
        return resumed

    def left(self) -> list[dict[str, Any]]:
        """What earlier processes left and this one does not go on with, as :meth:`Work.describe`."""
        return [
            {"work": left.name, "what": left.asked.what, "state": "cut off"}
            for left in self._unfinished.left
        ]

    @property
    def unfinished(self) -> Unfinished:
        """Where what was asked for is kept."""
        return self._unfinished

    def get(self, name: str) -> Work:
        """The work with that id.

        Raises:
            NotFoundError: there is none, or it ended long ago.
        """
        work = self._works.get(name)
        if work is None:
            raise NotFoundError(
                f"there is no work {name!r}", hint="GET /api/work lists what this process knows"
            )
        return work

    def all(self) -> list[Work]:
        """The newest pieces of work, oldest first."""
        with self._lock:
            return list(self._works.values())

    def cancel(self, name: str) -> Work:
        """Ask a piece of work to stop; no other process goes on with it.

        Raises:
            NotFoundError: there is none, or it ended long ago.
        """
        work = self.get(name)
        if work.kept is not None:
            self._unfinished.forget(work.kept)
        work.cancel()
        return work

    def close(self) -> None:
        """Ask everything that waits or runs to stop here: the next process goes on with it."""
        self._closing = True
        for work in self._open():
            work.cancel()
            if work.kept is not None:  # this process was not killed at it
                with suppress(OSError):
                    self._unfinished.keep(work.kept)

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits or runs, nor is kept that ended; whether within ``timeout`` seconds."""
        with self._idle:
            return self._idle.wait_for(lambda: not (self._open() or self._turning), timeout)

    def between(self, job: Callable[[], Any]) -> bool:
        """Do ``job`` in the calling thread, unless work is running; whether it was done."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            job()
        finally:
            self._turn.release()
        return True

    def _open(self) -> list[Work]:
        return [work for work in self.all() if work.state not in ENDED]

    def _forget(self) -> None:
        ended = [name for name, work in self._works.items() if work.state in ENDED]
        for name in ended[: max(0, len(self._works) - _KEPT)]:
            del self._works[name]

    def _next(self) -> str:
        with self._lock:
            self._started += 1
            return f"work-{self._started}"

    def _of(self, left: Left) -> Work:
        return Work(
            left.name, left.asked.what, lambda progress: self._do(left.asked, progress), left
        )

    def _queued(self, work: Work) -> Work:
        with self._lock:
            self._works[work.name] = work
            self._forget()
        self._queue.put(work)
        return work

    def _take(self) -> None:
        while True:
            work = self._queue.get()
            self._turning = True
            with self._turn:
                try:
                    self._run(work)
                except OSError as error:  # the disk is full: this work has failed, the next may not
                    work.fail(_unkept(error))
            with self._idle:
                self._turning = False
                self._idle.notify_all()

    def _run(self, work: Work) -> None:
        kept = work.kept
        if kept is not None and not work.stopped:
            self._unfinished.keep(msgspec.structs.replace(kept, begun=kept.begun + 1))
        environment = kept.asked.environment if kept is not None else ""
        with self._listening(work.line), about(work=work.name, environment=environment):
            work.run(self._log)
        if kept is not None and not (self._closing and work.state == "cancelled"):
            self._unfinished.forget(kept)


def _unkept(error: OSError) -> NenrinError:
    return UnavailableError(
        f"the work cannot be written down: {error.strerror or error}",
        where=str(error.filename or ""),
        hint="make room on the disk, or let nenrin write there; then ask for it again",
    )


def _deadly(left: Left) -> NenrinError:
    return WorkerLostError(
        f"{left.asked.what} was given up: {left.begun} processes were killed at it",
        hint="want of memory is the most frequent cause; see .nenrin/nenrin.log, then ask for it again",
    )
