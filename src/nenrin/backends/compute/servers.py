"""The executor's side of fork servers: one for each project that is worked on, started when it is needed."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from nenrin.backends.compute import footprint
from nenrin.backends.compute.apart import import_path
from nenrin.backends.compute.channels import Exit, Theirs
from nenrin.backends.compute.fork_server import MESSAGE, Ask, Ended, Forked, Greeting, Ready
from nenrin.core.importing import ONE_THREAD

KEPT = 2  # servers at a time: the revision that is worked on, and the one before it
IMPORTS = 60.0  # seconds that importing a project may take here; tasks are spawned after that
_FORKS = 10.0  # seconds in which a server that has imported forks; after that it is frozen
_STATUS = 5.0  # seconds in which it tells of a child that has ended
_MAIN = "import sys; from nenrin.backends.compute.fork_server import main; main(*map(int, sys.argv[1:]))"


class CannotForkError(Exception):
    """A task has to be spawned.

    Attributes:
        reason: why, in words for people; empty where it is only this time.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class ForkedProcess:
    """A server's child, for one task."""

    def __init__(self, pid: int, server: Server, ended: Future[Exit]) -> None:
        self.pid = pid
        self._server = server
        self._exit = ended

    def ended(self) -> bool:
        """Whether it has ended."""
        return self._exit.done() or (self._server.dead and not _exists(self.pid))

    def wait(self) -> Exit:
        """How it has ended; unknown where its server has died."""
        with contextlib.suppress(TimeoutError):
            return self._exit.result(0.0 if self._server.dead else _STATUS)
        return Exit(None, 0.0)


class Server:
    """One fork server.

    Args:
        greeting: what it imports.
        log: file to which its output is appended; None: this process' standard error.
    """

    def __init__(self, greeting: Greeting, log: Path | None) -> None:
        self.dead = False
        self._cpu = 0.0
        self._ready: Future[Ready] = Future()
        self._asked: dict[int, Future[Forked]] = {}
        self._running: dict[int, Future[Exit]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        life, self._life = os.pipe()
        try:
            self._process = _start(theirs.fileno(), life, log)
        finally:
            theirs.close()
            os.close(life)
        self._wire.send(pickle.dumps(greeting))
        self._ear = threading.Thread(target=self._hear, name="nenrin-fork-server", daemon=True)
        self._ear.start()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def fork(self, theirs: Theirs, module: str, patience: float) -> ForkedProcess:
        """Have it fork a child for a task.

        Args:
            theirs: the child's ends of the task's channels.
            module: that the task's function is in.
            patience: seconds that its imports may take.

        Raises:
            CannotForkError: the task has to be spawned.
            _ServerDiedError: this server cannot be used any more.
        """
        try:
            ready = self._ready.result(patience)
        except TimeoutError:
            raise CannotForkError from None
        if ready.refusal:
            raise CannotForkError(ready.refusal)
        number = next(self._numbers)
        asked, ended = Future[Forked](), Future[Exit]()
        with self._lock:
            if self.dead:
                raise _ServerDiedError
            self._asked[number], self._running[number] = asked, ended
            try:
                socket.send_fds(self._wire, [pickle.dumps(Ask(number, module))], list(theirs))
            except OSError as error:
                raise _ServerDiedError from error
        try:
            forked = asked.result(_FORKS)
        except TimeoutError:
            self.kill()
            raise _ServerDiedError from None
        if not forked.pid:
            raise CannotForkError(forked.refusal)
        return ForkedProcess(forked.pid, self, ended)

    def cpu(self) -> float:
        """CPU seconds that it has used, its children left out; the last that was seen once it has ended."""
        if not self.dead:
            self._cpu = max(self._cpu, footprint.cpu_alone(self.pid))
        return self._cpu

    def retire(self) -> None:
        """Ask for no more; it ends when its children have."""
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_WR)

    def ended(self, patience: float) -> None:
        """Wait until it has ended, for up to ``patience`` seconds."""
        self._ear.join(patience)

    def kill(self) -> None:
        """End it by force; its children go on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _hear(self) -> None:
        """Take in what it says, until it has ended."""
        with contextlib.suppress(OSError):
            while data := self._wire.recv(MESSAGE):
                self._take(pickle.loads(data))
        with self._lock:
            self.dead = True
            waiting: list[Future[Any]] = [self._ready, *self._asked.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(_ServerDiedError())
        self._wire.close()
        os.close(self._life)
        self._process.wait()

    def _take(self, said: Ready | Forked | Ended) -> None:
        if isinstance(said, Ready):
            self._ready.set_result(said)
        elif isinstance(said, Forked):
            self._asked.pop(said.number).set_result(said)
            if not said.pid:
                self._running.pop(said.number)
        else:
            self._running.pop(said.number).set_result(said.exit)


class Servers:
    """The servers that are kept, by project.

    Args:
        setup: how workers open the store, load projects and find them, pickled.
        log: file to which the servers' output is appended.
        idle: seconds without a task after which a server ends by itself.
        note: told once a project why its tasks are spawned.
    """

    def __init__(
        self, setup: bytes, log: Path | None, idle: float, note: Callable[[str], None]
    ) -> None:
        self._setup = setup
        self._log = log
        self._idle = idle
        self._note = note
        self._kept: OrderedDict[Path | None, Server] = OrderedDict()
        self._ever: list[Server] = []
        self._refused: dict[Path | None, str] = {}
        self._lock = threading.Lock()

    def fork(
        self, project: Path | None, theirs: Theirs, module: str, patience: float
    ) -> ForkedProcess:
        """A child for a task, of the project's server.

        Raises:
            CannotForkError: the task has to be spawned.
        """
        for _ in range(2):  # a server that has ended, or was killed, is replaced once
            server = self._server(project)
            try:
                return server.fork(theirs, module, patience)
            except _ServerDiedError:
                self._forget(project, server)
            except CannotForkError as error:
                if error.reason:
                    self._refuse(project, server, error.reason)
                raise
        raise CannotForkError

    def pids(self) -> list[int]:
        """Process ids of the servers that are kept."""
        with self._lock:
            return [server.pid for server in self._kept.values()]

    def cpu(self) -> dict[int, float]:
        """CPU seconds by process id of every server ever started."""
        with self._lock:
            return {server.pid: server.cpu() for server in self._ever}

    def close(self) -> None:
        """Let all of them end, and wait for that: what they used counts when they have."""
        with self._lock:
            kept = list(self._kept.values())
            self._kept.clear()
        for server in kept:
            server.retire()
        for server in kept:
            server.ended(_STATUS)

    def _server(self, project: Path | None) -> Server:
        with self._lock:
            if project in self._refused:
                raise CannotForkError
            if project not in self._kept:
                greeting = Greeting(import_path(), self._setup, project, self._idle)
                self._kept[project] = Server(greeting, self._log)
                self._ever.append(self._kept[project])
            self._kept.move_to_end(project)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)[1].retire()
            return self._kept[project]

    def _forget(self, project: Path | None, server: Server) -> None:
        with self._lock:
            if self._kept.get(project) is server:
                del self._kept[project]

    def _refuse(self, project: Path | None, server: Server, reason: str) -> None:
        self._forget(project, server)
        server.retire()
        with self._lock:
            first = project not in self._refused
            self._refused[project] = reason
        if first:
            self._note(f"tasks get a fresh interpreter each, not a forked one: {reason}")


class _ServerDiedError(Exception):
    """A server has ended, or does not answer."""


def _start(control: int, life: int, log: Path | None) -> subprocess.Popen[bytes]:
    with contextlib.ExitStack() as files:
        output = sys.__stderr__ if log is None else files.enter_context(log.open("ab"))
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, str(control), str(life)],
            pass_fds=[control, life],
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
