"""The executor that runs everything at once, in the calling process: for tests and small work."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Concatenate, Generic, ParamSpec, TypeVar

from nenrin.core.errors import ConflictError
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import ProjectLoader, Running, Task, WorkerContext
from nenrin.pipelines.seeding import seed_all
from nenrin.pipelines.traces import explained

P = ParamSpec("P")
T = TypeVar("T")


class _Done(Generic[T]):
    """What has ended already."""

    def __init__(self, cpu: float, heard: float) -> None:
        self.result: Future[T] = Future()
        self.pid = os.getpid()
        self.cpu = cpu
        self.heard = heard

    def cancel(self) -> None:
        """Nothing is left to cancel."""


class InProcessExecutor:
    """Runs each function when it is submitted; its future is done when ``submit`` returns."""

    def __init__(self, store: ContentStore, load_project: ProjectLoader) -> None:
        self._context = WorkerContext(store, load_project)
        self._closed = False

    @property
    def workers(self) -> int:
        """One."""
        return 1

    def submit(
        self,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Run ``function(context, *args, **kwargs)`` now.

        Raises:
            ConflictError: the executor is closed.
        """
        if self._closed:
            raise ConflictError("the executor is closed", hint="open another one")
        future: Future[T] = Future()
        try:
            future.set_result(function(self._context, *args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever it raised comes out of its future
            future.set_exception(error)
        return future

    def start(
        self,
        task: Task,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Running[T]:
        """Run ``function(context, *args, **kwargs)`` now, without any of the task's limits.

        Raises:
            ConflictError: the executor is closed.
        """
        if self._closed:
            raise ConflictError("the executor is closed", hint="open another one")
        if task.scratch is not None:
            task.scratch.mkdir(parents=True, exist_ok=True)
        timer = SystemTimer()
        began = timer.cpu()
        seed_all(task.seed)
        value: T | None = None
        failure: Exception | None = None
        try:
            value = function(self._context.apart(task), *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it raised comes out of its future
            failure = explained(error, task.name, task.project)
        done: _Done[T] = _Done(timer.cpu() - began, timer.wall())
        if failure is not None:
            done.result.set_exception(failure)
        else:
            done.result.set_result(value)  # type: ignore[arg-type]
        return done

    def cpu_by_worker(self) -> dict[int, float]:
        """Nothing: the calling process counts its own time."""
        return {}

    def close(self) -> None:
        """Take no more."""
        self._closed = True
