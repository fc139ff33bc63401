"""The executor of spawned workers: fresh interpreters, one thread each, that may die without harm.

A worker is started when a task first needs it and keeps what it has read. It shares nothing with this
process but a socket, so that threads, locks and imports here cannot hang or change it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from nenrin.backends.compute.apart import TasksApart, add_up
from nenrin.backends.compute.channels import SpawnedProcess, Theirs
from nenrin.backends.compute.ends import died
from nenrin.backends.compute.messages import Entering, Outcome
from nenrin.core.errors import ConflictError, WorkerLostError
from nenrin.core.importing import ONE_THREAD
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import (
    Find,
    ProjectLoader,
    Running,
    Task,
    WorkerContext,
    as_named,
)

P = ParamSpec("P")
T = TypeVar("T")

_LOOK = 0.5  # seconds between looks at a silent worker: children of a dead one may hold its socket
ATTEMPTS = 3  # workers that may be killed at a task before it fails: it may be what kills them
_PATIENCE = 10.0  # seconds that an idle worker gets to end by itself
_MAIN = "import sys; from nenrin.backends.compute.worker import main; main(int(sys.argv[1]))"

_Task = tuple["Future[Any]", bytes]


class SpawnExecutor:
    """Runs functions in up to ``workers`` processes of their own.

    Args:
        workers: how many run at a time.
        open_store: makes the content store in each worker; must be picklable.
        load_project: imports a project from its folder; must be picklable.
        find: where workers have a project, by the name that work has for it; must be picklable.
        log: file to which the workers' output is appended; ``None``: this process' standard error.
    """

    def __init__(
        self,
        workers: int,
        open_store: Callable[[], ContentStore],
        load_project: ProjectLoader,
        *,
        find: Find = as_named,
        log: Path | None = None,
    ) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        setup = pickle.dumps((open_store, load_project, find))
        self._apart = TasksApart(setup)
        self._handlers = [_Handler(self._tasks, setup, log) for _ in range(workers)]
        for handler in self._handlers:
            handler.start()
        atexit.register(self.close)

    @property
    def workers(self) -> int:
        """How many functions run at a time."""
        return len(self._handlers)

    def submit(
        self,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Run ``function(context, *args, **kwargs)`` when a worker is free.

        Raises:
            ConflictError: the executor is closed.
        """
        task = pickle.dumps((function, args, kwargs), protocol=5)
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise ConflictError("the executor is closed", hint="open another one")
            self._tasks.put((future, task))
        return future

    def start(
        self,
        task: Task,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Running[T]:
        """Run ``function(context, *args, **kwargs)`` at once, in a process of its own that ends after it."""
        return self._apart.start(spawned, task, function, *args, **kwargs)

    def cpu_by_worker(self) -> dict[int, float]:
        """CPU seconds by process id of every worker ever started, as of its last result or its end."""
        return add_up(self._apart.cpu, *[handler.cpu for handler in self._handlers])

    def close(self) -> None:
        """Wait for what runs, drop what waits, and end the workers. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._drop_waiting()
            for _ in self._handlers:
                self._tasks.put(None)
        for handler in self._handlers:
            handler.join()
        self._apart.close()
        atexit.unregister(self.close)

    def _drop_waiting(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            if task is not None:
                task[0].cancel()


def spawned(task: Task, theirs: Theirs) -> SpawnedProcess:
    """A fresh interpreter for a task."""
    return SpawnedProcess(theirs, task.scratch)


class _Handler(threading.Thread):
    """Feeds one worker, and starts another when it has died."""

    def __init__(
        self, tasks: queue.SimpleQueue[_Task | None], setup: bytes, log: Path | None
    ) -> None:
        super().__init__(name="nenrin-worker", daemon=True)
        self.cpu: dict[int, float] = {}
        self._tasks = tasks
        self._setup = setup
        self._log = log
        self._worker: _Worker | None = None

    def run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, payload = task
            if future.set_running_or_notify_cancel():
                self._serve(future, payload)
        if self._worker is not None:
            self._bury(self._worker)

    def _serve(self, future: Future[Any], payload: bytes) -> None:
        """Run a task; one whose worker was killed from outside runs in another."""
        for attempt in range(1, ATTEMPTS + 1):
            error = self._tried(future, payload)
            if error is None:
                return
            if attempt == ATTEMPTS or not isinstance(error, WorkerLostError):
                future.set_exception(error)
                return

    def _tried(self, future: Future[Any], payload: bytes) -> Exception | None:
        """The error of a worker that died; else the future has its result."""
        try:
            self._worker = self._worker or _Worker(self._setup, self._log)
            outcome = self._worker.run(payload)
            self.cpu[self._worker.pid] = outcome.cpu
            value = pickle.loads(outcome.value)
        except _DiedError as gone:
            assert self._worker is not None
            self._bury(self._worker)
            code, self._worker = self._worker.returncode, None
            return died("a worker", code, gone.entered)
        except Exception as error:  # noqa: BLE001 - no interpreter, no result that can be read
            return error
        if outcome.failed:
            future.set_exception(value)
        else:
            future.set_result(value)
        return None

    def _bury(self, worker: _Worker) -> None:
        self.cpu[worker.pid] = worker.end()


class _DiedError(Exception):
    """A worker died in the middle of a task."""

    def __init__(self, entered: Entering) -> None:
        super().__init__()
        self.entered = entered


class _Worker:
    """One worker process and the socket to it."""

    def __init__(self, setup: bytes, log: Path | None) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _start(theirs.fileno(), log)
        self.pid = self._process.pid
        self.returncode = 0
        self._connection: Connection[bytes, bytes] = Connection(ours.detach())
        self._greeting: list[bytes] = [pickle.dumps(sys.path), setup]

    def run(self, task: bytes) -> Outcome:
        """Send a task and wait for what comes of it."""
        entered = Entering("", "")
        try:
            for message in (*self._greeting, task):
                self._connection.send_bytes(message)
            self._greeting = []
            while True:
                said = self._next()
                if isinstance(said, Outcome):
                    return said
                entered = said
        except (EOFError, OSError) as error:
            raise _DiedError(entered) from error

    def end(self) -> float:
        """Close the socket, wait until the process has gone, and give its CPU seconds."""
        self._connection.close()
        timer = SystemTimer()
        until = timer.wall() + _PATIENCE
        gone, status, usage = os.wait4(self.pid, os.WNOHANG)
        while not gone and timer.wall() < until:
            timer.sleep(0.005)
            gone, status, usage = os.wait4(self.pid, os.WNOHANG)
        if not gone:
            os.kill(self.pid, signal.SIGKILL)
            _, status, usage = os.wait4(self.pid, 0)
        self.returncode = self._process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime

    def _next(self) -> Entering | Outcome:
        while not self._connection.poll(_LOOK):
            gone = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if gone is not None and not self._connection.poll(0):
                raise EOFError
        said: Entering | Outcome = pickle.loads(self._connection.recv_bytes())
        return said


def _start(descriptor: int, log: Path | None) -> subprocess.Popen[bytes]:
    with contextlib.ExitStack() as files:
        # A worker's prints must not mix with what this process answers on its standard output.
        output = sys.__stderr__ if log is None else files.enter_context(log.open("ab"))
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, str(descriptor)],
            pass_fds=[descriptor],
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
