"""The worker's side of the spawned pool: reads tasks from a socket, runs them, writes what came out."""

from __future__ import annotations

import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from nenrin.backends.compute.messages import Entering, Outcome
from nenrin.core.errors import NenrinError, StepError
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import Find, ProjectLoader, WorkerContext


def main(descriptor: int) -> None:
    """Serve tasks from a socket until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    connection: Connection[bytes, bytes] = Connection(descriptor)
    path = pickle.loads(connection.recv_bytes())
    sys.path.extend(entry for entry in path if entry not in sys.path)
    context = _context(connection, *pickle.loads(connection.recv_bytes()))
    while True:
        try:
            task = connection.recv_bytes()
        except EOFError:
            return
        outcome = _run(context, task)
        try:
            connection.send_bytes(pickle.dumps(outcome))
        except BrokenPipeError:
            return  # nobody waits for it any more


def _context(
    connection: Connection[bytes, bytes],
    open_store: Callable[[], ContentStore],
    load_project: ProjectLoader,
    find: Find,
) -> WorkerContext:
    def announce(where: str, hint: str) -> None:
        connection.send_bytes(pickle.dumps(Entering(where, hint)))

    return WorkerContext(open_store(), load_project, announce=announce, find=find)


def _run(context: WorkerContext, task: bytes) -> Outcome:
    try:
        function, args, kwargs = pickle.loads(task)
        value = pickle.dumps(function(context, *args, **kwargs), protocol=5)
        failed = False
    except Exception as error:  # noqa: BLE001 - whatever it raised comes out of its future
        value, failed = _pickled(error), True
    return Outcome(failed, value, SystemTimer().cpu())


def _pickled(error: Exception) -> bytes:
    """The exception; where it cannot travel, a ``StepError`` that quotes it."""
    if not isinstance(error, NenrinError):
        error.add_note("In a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        data = pickle.dumps(error)
        pickle.loads(data)
    except Exception:  # noqa: BLE001 - an exception of the user's may fail in any way
        return pickle.dumps(StepError(f"{type(error).__name__}: {error}", hint=_last_line(error)))
    return data


def _last_line(error: Exception) -> str:
    frames: list[Any] = list(traceback.extract_tb(error.__traceback__))
    return f"raised at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
