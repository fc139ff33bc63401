"""How a task ended that gave nothing: the error for whoever waits, and where its code stood."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from nenrin.backends.compute.messages import Entering
from nenrin.backends.compute.task_worker import STACK
from nenrin.core.errors import StepError, WorkerLostError
from nenrin.core.timer import Timer
from nenrin.pipelines.executor import Task
from nenrin.pipelines.traces import standing

_MB = 1_000_000
_LOOK = 0.01  # seconds between two looks at whether a stack has been written


def died(what: str, returncode: int | None, entered: Entering, dumped: str = "") -> StepError:
    """The error for a process that died by itself, or was killed.

    Args:
        what: who, as people call it.
        returncode: how it ended, as ``subprocess`` has it; None: nobody could tell.
        entered: whose code it said that it runs.
        dumped: the stack that it wrote when it died, its line preferred to what it said before.
    """
    how = f"with exit code {returncode}"
    if returncode is None:
        how = "by something"
    elif returncode < 0:
        how = f"by {_signal_name(-returncode)}"
    hint = entered.hint or "see the line, and what it wrote"
    if returncode is not None and returncode >= 0:
        hint = (
            entered.hint or "it ended its own process: look for os._exit, or native code that exits"
        )
    if returncode == -signal.SIGKILL:
        hint = "something killed it, most often for want of memory: train on less, or free some"
    outside = returncode in (None, -signal.SIGKILL, -signal.SIGTERM)
    kind = WorkerLostError if outside else StepError
    error = kind(f"{what} was ended {how}", hint=hint, where=entered.where)
    error.trace = dumped
    return error


def overdue(task: Task, where: str, dumped: str) -> StepError:
    """The error for a task that took longer than it may."""
    error = StepError(
        f"{task.name} took longer than the {task.timeout:g} s that it may",
        hint="make it faster, or give it a longer timeout",
        where=where,
    )
    error.trace = dumped
    return error


def too_big(task: Task, used: int, where: str, dumped: str) -> StepError:
    """The error for a task that used more memory than it may."""
    error = StepError(
        f"{task.name} used {used / _MB:.0f} MB, may use {(task.memory or 0) / _MB:.0f} MB",
        hint="work on less at a time, or let it use more memory",
        where=where,
    )
    error.trace = dumped
    return error


def cancelled(task: Task) -> StepError:
    """The error for a task that somebody ended."""
    return StepError(f"{task.name} was cancelled", hint="run it again when it is wanted")


def stack_of(pid: int, stacks: int, patience: float, timer: Timer) -> str:
    """Ask a living process where it stands.

    Args:
        pid: of the process.
        stacks: descriptor of the file that it writes to.
        patience: seconds after which a process that is frozen is not waited for.
        timer: measures.
    """
    before = os.fstat(stacks).st_size
    try:
        os.kill(pid, STACK)
    except ProcessLookupError:
        return ""
    until = timer.wall() + patience
    seen = before
    while timer.wall() < until:
        timer.sleep(_LOOK)
        size = os.fstat(stacks).st_size
        if size > before and size == seen:
            break
        seen = size
    return dumped(stacks)[before:]


def dumped(stacks: int) -> str:
    """Every stack that a process has written."""
    return os.pread(stacks, 1 << 20, 0).decode(errors="replace")


def stood(stack: str, project: Path | None, entered: Entering) -> str:
    """``file:line`` of the user's code, from the stack or else from what the worker said that it enters."""
    return standing(stack, project) or entered.where


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
