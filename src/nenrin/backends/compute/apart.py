"""Tasks in processes of their own, however those are made: started, counted, and waited for at the end."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nenrin.backends.compute import footprint
from nenrin.backends.compute.following import Following, Make
from nenrin.backends.compute.messages import TaskOrder
from nenrin.core.errors import ConflictError
from nenrin.pipelines.executor import Running, Task

T = TypeVar("T")


class TasksApart:
    """Starts tasks and knows which of them run.

    Attributes:
        cpu: CPU seconds by process id of the tasks that have ended.

    Args:
        setup: how workers open the store, load projects and find them, pickled.
    """

    def __init__(self, setup: bytes) -> None:
        self.cpu: dict[int, float] = {}
        self._setup = setup
        self._running: set[Following[Any]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(
        self, make: Make, task: Task, function: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> Running[T]:
        """Run a function in a process that ``make`` starts.

        Raises:
            ConflictError: the executor is closed.
        """
        if task.scratch is not None:
            task.scratch.mkdir(parents=True, exist_ok=True)
        order = TaskOrder(
            path=import_path(),
            setup=self._setup,
            name=task.name,
            project=task.project,
            scratch=task.scratch,
            seed=task.seed,
            environ=task.environ,
            data=None if footprint.WATCHED else task.memory,
            call=pickle.dumps((function, args, kwargs), protocol=5),
        )
        following: Following[T] = Following(task, order, make, self._count)
        with self._lock:
            if self._closed:
                raise ConflictError("the executor is closed", hint="open another one")
            self._running.add(following)
        following.result.add_done_callback(lambda _: self._running.discard(following))
        following.begin()
        return following

    def close(self) -> None:
        """Wait for what runs, and start no more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for following in running:
            following.join()

    def _count(self, pid: int, cpu: float) -> None:
        with self._lock:
            self.cpu[pid] = self.cpu.get(pid, 0.0) + cpu


def add_up(*counted: Mapping[int, float]) -> dict[int, float]:
    """CPU seconds by process id, summed where an id came again."""
    total: dict[int, float] = {}
    for each in counted:
        for pid, cpu in dict(each).items():
            total[pid] = total.get(pid, 0.0) + cpu
    return total


def import_path() -> list[str]:
    """Where this process finds modules, in words that hold in any working folder."""
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - as it is, links kept
