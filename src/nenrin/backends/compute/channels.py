"""What a task's process and its parent speak through, and who made the process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import msgspec

from nenrin.core.importing import ONE_THREAD

_MAIN = "import sys; from nenrin.backends.compute.task_worker import main; main(*map(int, sys.argv[1:]))"


class Theirs(NamedTuple):
    """Descriptors of the task's process: its socket, what it writes to, its lifeline, its stacks."""

    control: int
    stdout: int
    stderr: int
    life: int
    stacks: int


class Exit(msgspec.Struct, frozen=True):
    """How a process ended.

    Attributes:
        returncode: as ``subprocess`` has it; None: nobody could tell.
        cpu: seconds of it and of those that it waited for.
    """

    returncode: int | None
    cpu: float


class TaskProcess(Protocol):
    """The process of one task."""

    @property
    def pid(self) -> int:
        """Its id, and that of its group."""
        ...

    def ended(self) -> bool:
        """Whether it has ended."""
        ...

    def wait(self) -> Exit:
        """Wait until it has."""
        ...


class Channels:
    """Both ends of everything that a task's process and this one share.

    Attributes:
        control: this end of the socket.
        stdout, stderr: descriptors from which its output is read.
        stacks: descriptor of the file that its stacks are written to.
        theirs: the other ends, until they are handed over.
    """

    def __init__(self) -> None:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            self.control, control = socket.socketpair()
            ours.enter_context(self.control)
            theirs.enter_context(control)
            ends = [os.pipe() for _ in range(3)]
            for number, (reads, writes) in enumerate(ends):
                lifeline = number == 2  # read there, held open here
                (theirs if lifeline else ours).callback(os.close, reads)
                (ours if lifeline else theirs).callback(os.close, writes)
            self.stdout, self.stderr = ends[0][0], ends[1][0]
            self.stacks = _unnamed_file()
            ours.callback(os.close, self.stacks)
            self.theirs = Theirs(control.fileno(), ends[0][1], ends[1][1], ends[2][0], self.stacks)
            self._ours, self._theirs = ours.pop_all(), theirs.pop_all()

    def handed_over(self) -> None:
        """Close the other ends: their process has its own now."""
        self._theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._theirs.close()
        self._ours.close()


class SpawnedProcess:
    """A fresh interpreter for one task.

    Args:
        theirs: its ends.
        scratch: its working folder; None: this process'.
    """

    def __init__(self, theirs: Theirs, scratch: Path | None) -> None:
        given = (theirs.control, theirs.life, theirs.stacks)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, *map(str, given)],
            cwd=scratch,
            pass_fds=given,
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=theirs.stdout,
            stderr=theirs.stderr,
            start_new_session=True,
        )
        self._exit: Exit | None = None

    @property
    def pid(self) -> int:
        """Its id, and that of its group."""
        return self._process.pid

    def ended(self) -> bool:
        """Whether it has ended."""
        self._reap(os.WNOHANG)
        return self._exit is not None

    def wait(self) -> Exit:
        """Wait until it has."""
        self._reap(0)
        assert self._exit is not None
        return self._exit

    def _reap(self, options: int) -> None:
        if self._exit is not None:
            return
        gone, status, usage = os.wait4(self.pid, options)
        if gone:
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._exit = Exit(self._process.returncode, usage.ru_utime + usage.ru_stime)


def _unnamed_file() -> int:
    """Descriptor of a file that is gone when nobody has it open; in memory where that can be had."""
    if sys.platform == "linux":
        return os.memfd_create("stacks", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
