"""A process that only imports, and forks a child for every task. Linux only.

It never computes, has one thread, and opens nothing but the socket to its executor: what it had, its
children would share. What every child would do first, and leaves nothing behind, it does once for all: it
imports, and makes the content store ready, which connects when a child first asks it.
"""

from __future__ import annotations

import gc
import os
import pickle
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from nenrin.backends.compute import leftovers, lifeline
from nenrin.backends.compute.channels import Exit, Theirs
from nenrin.backends.compute.task_worker import flush, serve
from nenrin.core.importing import importing
from nenrin.core.store import ContentStore, Preparing

IDLE = 300.0  # seconds without a task after which a server ends
MESSAGE = 1 << 16  # bytes of the longest message


class Greeting(msgspec.Struct, frozen=True):
    """What a server imports.

    Attributes:
        path: where modules are found.
        setup: how the store is opened, projects are loaded and found, pickled.
        project: the folder of the project; None: none.
        idle: seconds without a task after which it ends.
    """

    path: list[str]
    setup: bytes
    project: Path | None
    idle: float


class Ready(msgspec.Struct, frozen=True):
    """Everything is imported; or why nothing can be forked."""

    refusal: str = ""


class Ask(msgspec.Struct, frozen=True):
    """Fork a child for a task; its descriptors come along.

    Attributes:
        number: names the task in the answers.
        module: that its function is in.
    """

    number: int
    module: str


class Forked(msgspec.Struct, frozen=True):
    """A task's child: its process id, 0 where there is none, and why nothing can be forked any more."""

    number: int
    pid: int
    refusal: str = ""


class Ended(msgspec.Struct, frozen=True):
    """A child has ended."""

    number: int
    exit: Exit


class Imported(NamedTuple):
    """What children find done: projects by folder, and the store; None where each opens its own."""

    projects: Mapping[Path, Mapping[str, object]]
    store: ContentStore | None


def main(control: int, life: int) -> None:
    """Import, then fork until nobody asks any more.

    Args:
        control: descriptor of the socket to the executor.
        life: of the pipe that closes when the executor's process ends.
    """
    lifeline.hold(life)
    wire = socket.socket(fileno=control)
    greeting: Greeting = pickle.loads(wire.recv(MESSAGE))
    before = leftovers.left()
    with importing():
        imported = _imported(greeting)
    # Where it cannot be imported each task says why, in a process of its own.
    refusal = "it cannot be imported" if imported is None else _refusal(greeting, before)
    with suppress(OSError):
        wire.send(pickle.dumps(Ready(refusal)))
        if not refusal:
            _Server(wire, greeting, imported or Imported({}, None)).run()
    os._exit(0)


def _imported(greeting: Greeting) -> Imported | None:
    sys.path.extend(entry for entry in greeting.path if entry not in sys.path)
    open_store, load_project, _ = pickle.loads(greeting.setup)
    import_module("numpy.random")  # every task is seeded
    store = _prepared(open_store)
    if greeting.project is None:
        return Imported({}, store)
    try:
        return Imported({greeting.project: load_project(greeting.project)}, store)
    except BaseException:  # noqa: BLE001 - whatever it is, each task meets it again
        return None


def _prepared(open_store: Callable[[], ContentStore]) -> ContentStore | None:
    """The store where it can be shared; any other is opened by each task, which says what is wrong."""
    try:
        store = open_store()
        if isinstance(store, Preparing):
            store.prepare()
            return store
    except Exception:  # noqa: BLE001 - as above
        return None
    return None


def _refusal(greeting: Greeting, before: Mapping[str, str]) -> str:
    """What was left behind by importing, and by which statement; empty where children can be forked."""
    left = leftovers.left()
    new = sorted({left[key] for key in left.keys() - before.keys()})
    if not new:
        return ""
    file = None if greeting.project is None else greeting.project / "project.py"
    found = leftovers.who(file, greeting.path) if file is not None and file.exists() else ""
    return f"{found or 'importing'} leaves {' and '.join(new)} behind"


class _Server:
    """Forks and collects."""

    def __init__(
        self,
        wire: socket.socket,
        greeting: Greeting,
        imported: Imported,
    ) -> None:
        self._wire = wire
        self._greeting = greeting
        self._imported = imported
        self._children: dict[int, tuple[int, int]] = {}  # by descriptor: task and process id
        self._listening = True
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Serve; children that run are waited for after the last task was asked for."""
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL)  # the project may have set them
        gc.collect()
        gc.freeze()  # children's collections leave what they share with this process untouched
        self._selector.register(self._wire, selectors.EVENT_READ)
        while self._listening or self._children:
            ready = self._selector.select(None if self._children else self._greeting.idle)
            if not ready and not self._children:
                return
            for key, _ in ready:
                if key.fd in self._children:
                    self._collect(key.fd)
                else:
                    self._answer()

    def _answer(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(
            self._wire, MESSAGE, len(Theirs._fields), socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            self._listening = False
            self._selector.unregister(self._wire)
            return
        ask: Ask = pickle.loads(data)
        theirs = Theirs(*descriptors)
        refusal = self._prepare(ask)
        pid = self._fork(theirs) if refusal is None else 0
        for descriptor in descriptors:
            os.close(descriptor)
        self._wire.send(pickle.dumps(Forked(ask.number, pid, refusal or "")))
        if pid:
            watched = os.pidfd_open(pid)
            self._children[watched] = (ask.number, pid)
            self._selector.register(watched, selectors.EVENT_READ)

    def _prepare(self, ask: Ask) -> str | None:
        """Import the module of a task; why nothing can be forked then, empty where it is only this task."""
        try:
            import_module(ask.module)
        except Exception:  # noqa: BLE001 - the task meets it again
            return ""
        left = sorted(set(leftovers.threads().values()))
        return f"{ask.module} leaves {' and '.join(left)} behind" if left else None

    def _fork(self, theirs: Theirs) -> int:
        flush()
        pid = os.fork()
        if pid == 0:
            self._become(theirs)
        with suppress(OSError):
            os.setpgid(pid, pid)  # also done there: whoever comes first
        return pid

    def _become(self, theirs: Theirs) -> NoReturn:
        """The child's life."""
        try:
            with suppress(OSError):
                os.setpgid(0, 0)
            os.dup2(theirs.stdout, 1)
            os.dup2(theirs.stderr, 2)
            for descriptor in (*self._children, theirs.stdout, theirs.stderr):
                os.close(descriptor)
            self._selector.close()
            self._wire.close()
            control = socket.socket(fileno=theirs.control)
            serve(control, theirs.life, theirs.stacks, *self._imported)
        finally:
            os._exit(70)

    def _collect(self, descriptor: int) -> None:
        number, pid = self._children.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        _, status, usage = os.wait4(pid, 0)
        exit_ = Exit(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime)
        with suppress(OSError):
            self._wire.send(pickle.dumps(Ended(number, exit_)))
