"""The worker's side of a started task: one function in a process that ends after it."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import pickle
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from nenrin.backends.compute import lifeline
from nenrin.backends.compute.messages import Entering, Outcome, Post, TaskOrder
from nenrin.core.errors import StepError
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import Beat, ProjectLoader, WorkerContext
from nenrin.pipelines.seeding import seed_all
from nenrin.pipelines.traces import explained

STACK = (
    signal.SIGUSR1
)  # asks for the stack, which is written to the descriptor that was given for it
BEAT = 1.0  # seconds between two signs of life
_LINES = 1  # _IOLBF of <stdio.h>


def main(control: int, life: int, stacks: int) -> NoReturn:
    """Run one task in an interpreter of its own.

    Args:
        control: descriptor of the socket to the parent.
        life: of the pipe that closes when the parent ends.
        stacks: of the file that stacks are written to.
    """
    serve(socket.socket(fileno=control), life, stacks, {})


def serve(
    control: socket.socket,
    life: int,
    stacks: int,
    imported: Mapping[Path, Mapping[str, object]],
    store: ContentStore | None = None,
) -> NoReturn:
    """Run the task that comes from the socket, say what came of it, and end the process.

    Args:
        control, life, stacks: as for :func:`main`.
        imported: projects that are imported already.
        store: the content store where it is ready; None: it is opened.
    """
    lifeline.hold(life)
    faulthandler.enable(stacks)
    faulthandler.register(STACK, stacks, all_threads=True)
    post = Post(control)
    try:
        order: TaskOrder = post.receive()
        post.send(Beat())  # native code may keep the thread from its first one
        threading.Thread(target=_beat, args=(post,), daemon=True).start()
        outcome = _outcome(post, order, imported, store)
        flush()
        post.send(outcome)
    except (EOFError, OSError):
        lifeline.end_group(os.getpid(), signal.SIGKILL)  # nobody waits for it any more
    os._exit(0)  # what the user's code left running, or wants to do at exit, is not waited for


def _beat(post: Post) -> None:
    """Say that this process lives; end it when nobody hears."""
    timer = SystemTimer()
    with contextlib.suppress(OSError):
        while True:
            timer.sleep(BEAT)
            post.send(Beat())
    lifeline.end_group(os.getpid(), signal.SIGKILL)


def _outcome(
    post: Post,
    order: TaskOrder,
    imported: Mapping[Path, Mapping[str, object]],
    store: ContentStore | None,
) -> Outcome:
    try:
        _settle_in(order)
        context = _context(post, order, imported, store)
        function, args, kwargs = pickle.loads(order.call)
        seed_all(order.seed)
        value = pickle.dumps(function(context, *args, **kwargs), protocol=5)
        return Outcome(False, value, SystemTimer().cpu())
    except BaseException as error:  # noqa: BLE001 - SystemExit too: it is the user's, and ends this task alone
        return Outcome(True, _pickled(error, order), SystemTimer().cpu())


def _settle_in(order: TaskOrder) -> None:
    """Paths, variables, working folder, output by lines, and the limit that the kernel keeps."""
    sys.path.extend(entry for entry in order.path if entry not in sys.path)
    for name, value in order.environ.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    if order.scratch is not None:
        os.chdir(order.scratch)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            AttributeError, ValueError
        ):  # the user's code may have put another there
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with contextlib.suppress(ValueError, OSError):  # C libraries' output too, where it can be done
        libc = ctypes.CDLL(None)
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, name), None, _LINES, 0)
    if order.data is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (order.data, order.data))


def _context(
    post: Post,
    order: TaskOrder,
    imported: Mapping[Path, Mapping[str, object]],
    store: ContentStore | None,
) -> WorkerContext:
    open_store, load_project, find = pickle.loads(order.setup)

    def announce(where: str, hint: str) -> None:
        post.send(Entering(where, hint))

    return WorkerContext(
        open_store() if store is None else store,
        _first_from(imported, load_project),
        announce=announce,
        said=post.send,
        scratch=order.scratch,
        find=find,
    )


def _first_from(
    imported: Mapping[Path, Mapping[str, object]], load: ProjectLoader
) -> Callable[[Path], Mapping[str, object]]:
    def found(folder: Path) -> Mapping[str, object]:
        return imported[folder] if folder in imported else load(folder)

    return found


def _pickled(error: BaseException, order: TaskOrder) -> bytes:
    """The error that whoever waits gets; where it cannot travel, a ``StepError`` that quotes it."""
    found = explained(error, order.name, order.project)
    try:
        data = pickle.dumps(found)
        pickle.loads(data)
    except Exception:  # noqa: BLE001 - a subclass of the user's may fail in any way
        return pickle.dumps(StepError(f"{type(error).__name__}: {error}", where=str(order.project)))
    return data


def flush() -> None:
    """Everything that was written, by Python or by C, leaves this process."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
