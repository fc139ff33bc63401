"""The executor whose tasks are forked from processes that only import; its pool is spawned."""

from __future__ import annotations

import atexit
import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from nenrin.backends.compute.apart import TasksApart, add_up
from nenrin.backends.compute.channels import TaskProcess, Theirs
from nenrin.backends.compute.fork_server import IDLE
from nenrin.backends.compute.servers import IMPORTS, CannotForkError, Servers
from nenrin.backends.compute.spawn import SpawnExecutor, spawned
from nenrin.core.store import ContentStore
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


def can_fork() -> bool:
    """Whether this system has what :class:`ForkExecutor` needs: Linux 5.3 or newer."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _to_nobody(_note: str) -> None:
    """Nobody listens."""


class ForkExecutor:
    """Starts tasks in milliseconds: forked from a server that has imported their project.

    A task whose project cannot be forked is spawned, and ``note`` is told which statement forces that.

    Args:
        workers: how many functions the pool runs at a time.
        open_store: makes the content store in each worker; must be picklable.
        load_project: imports a project from its folder; must be picklable.
        find: where workers have a project, by the name that work has for it; must be picklable.
        log: file to which the workers' output is appended; ``None``: this process' standard error.
        note: told, once a project, why its tasks are spawned.
        idle: seconds without a task after which a server ends by itself.
    """

    def __init__(
        self,
        workers: int,
        open_store: Callable[[], ContentStore],
        load_project: ProjectLoader,
        *,
        find: Find = as_named,
        log: Path | None = None,
        note: Callable[[str], None] = _to_nobody,
        idle: float = IDLE,
    ) -> None:
        setup = pickle.dumps((open_store, load_project, find))
        self._pool = SpawnExecutor(workers, open_store, load_project, find=find, log=log)
        self._apart = TasksApart(setup)
        self._servers = Servers(setup, log, idle, note)
        atexit.register(self.close)

    @property
    def workers(self) -> int:
        """How many functions of the pool run at a time."""
        return self._pool.workers

    def submit(
        self,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Run ``function(context, *args, **kwargs)`` when a worker of the pool is free.

        Raises:
            ConflictError: the executor is closed.
        """
        return self._pool.submit(function, *args, **kwargs)

    def start(
        self,
        task: Task,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Running[T]:
        """Run ``function(context, *args, **kwargs)`` at once, in a process of its own that ends after it.

        Raises:
            ConflictError: the executor is closed.
        """
        make = partial(self._made, function.__module__)
        return self._apart.start(make, task, function, *args, **kwargs)

    def servers(self) -> list[int]:
        """Process ids of the fork servers that run."""
        return self._servers.pids()

    def cpu_by_worker(self) -> dict[int, float]:
        """CPU seconds by process id of every worker ever started, as of its last result or its end."""
        return add_up(self._pool.cpu_by_worker(), self._apart.cpu, self._servers.cpu())

    def close(self) -> None:
        """Wait for what runs, drop what waits, and end the workers. A second call does nothing."""
        self._pool.close()
        self._apart.close()
        self._servers.close()
        atexit.unregister(self.close)

    def _made(self, module: str, task: Task, theirs: Theirs) -> TaskProcess:
        patience = IMPORTS if task.timeout is None else min(task.timeout, IMPORTS)
        try:
            return self._servers.fork(task.project, theirs, module, patience)
        except CannotForkError:
            return spawned(task, theirs)
