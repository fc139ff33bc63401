"""The executor that runs everything at once, in the calling process: for tests and small work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Concatenate, Generic, ParamSpec, TypeVar

from nenrin.core.errors import ConflictError
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import ProjectLoader, Running, Task, WorkerContext

P = ParamSpec("P")
T = TypeVar("T")


class _Done(Generic[T]):
    """What has ended already."""

    def __init__(self, result: Future[T], heard: float) -> None:
        self.result = result
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
        """Run ``function(context, *args, **kwargs)`` now, without any of the task's limits."""
        return _Done(self.submit(function, *args, **kwargs), SystemTimer().wall())

    def cpu_by_worker(self) -> dict[int, float]:
        """Nothing: the calling process counts its own time."""
        return {}

    def close(self) -> None:
        """Take no more."""
        self._closed = True
