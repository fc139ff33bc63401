"""A task on a Ray cluster as the driver sees it: heard, cancelled, its end explained."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from nenrin.backends.compute import ends
from nenrin.backends.compute.ray_head import HeadWatch
from nenrin.backends.compute.ray_node import Heard
from nenrin.core.errors import NenrinError, StepError, WorkerLostError
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import Task

T = TypeVar("T")

_LOOK = 0.5  # seconds between two looks at whether a cancelled task has ended
_GRACE = (
    10.0  # seconds after which a node that does not cancel a task loses the process that follows it
)


class Following(Generic[T]):
    """One task, followed by a thread of its own.

    Attributes:
        result, pid, cpu: as the port has them; the process is the node's.

    Args:
        task: how it is run.
        ray: the module, connected.
        launch: gives the order to Ray; what it returns are references to pickled :class:`Heard`.
        count: told CPU seconds when they are heard.
        note: told why tasks are not forked on a node.
        head: tells whether the cluster is there.
    """

    def __init__(
        self,
        task: Task,
        ray: Any,
        launch: Callable[[], Any],
        *,
        count: Callable[[Heard], None],
        note: Callable[[str], None],
        head: HeadWatch,
    ) -> None:
        self.result: Future[T] = Future()
        self.result.set_running_or_notify_cancel()
        self.pid = 0
        self.cpu = 0.0
        self._task = task
        self._ray = ray
        self._launch = launch
        self._count = count
        self._note = note
        self._head = head
        self._timer = SystemTimer()
        self._heard: float | None = None
        self._stream: Any = None
        self._asked: float | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._follow, name=f"nenrin-task-{task.name}", daemon=True
        )

    def begin(self) -> None:
        """Give the order, from the thread that follows it."""
        self._thread.start()

    def join(self) -> None:
        """Wait until it is over."""
        self._thread.join()

    @property
    def heard(self) -> float:
        """When it was last heard of; now, while it waits for a node: that is no silence of a worker's."""
        return self._timer.wall() if self._heard is None else self._heard

    def cancel(self) -> None:
        """Take it from the queue, or have the node end its process group."""
        with self._lock:
            if self._asked is not None or self.result.done():
                return
            self._asked = self._timer.wall()
            if self._stream is not None:
                self._ask(force=False)

    def _ask(self, *, force: bool) -> None:
        with suppress(Exception):  # it has ended meanwhile, or its node has
            self._ray.cancel(self._stream, force=force)

    def _follow(self) -> None:
        value: T | None = None
        failure: BaseException | None = None
        try:
            value = self._attended()
        except BaseException as error:  # noqa: BLE001 - whatever ended it
            failure = error if self._asked is None else ends.cancelled(self._task)
        if failure is not None:
            self.result.set_exception(failure)
        else:
            self.result.set_result(value)  # type: ignore[arg-type]

    def _attended(self) -> T:
        with self._lock:
            if self._asked is not None:
                raise ends.cancelled(self._task)
            self._stream = self._launch()
        try:
            while True:
                heard: Heard = pickle.loads(self._ray.get(self._next()))
                self._take(heard)
                if heard.given is not None:
                    break
        except Exception as error:
            failure = lost(self._task.name, error)
            if isinstance(failure, WorkerLostError) and self._asked is None:
                self._head.settle()
            raise failure from error
        result: T = given(heard)
        return result

    def _next(self) -> Any:
        """The reference to what is heard next."""
        forced = False
        while not self._ray.wait([self._stream], timeout=_LOOK, fetch_local=False)[0]:
            self._head.check()
            late = self._asked is not None and self._timer.wall() > self._asked + _GRACE
            if late and not forced:
                forced = True
                self._ask(force=True)
        return next(self._stream)

    def _take(self, heard: Heard) -> None:
        self._heard = self._timer.wall()
        self.pid = heard.pid
        for note in heard.notes:
            self._note(note)
        for said in heard.said:
            with suppress(Exception):  # whoever listens must not end the task
                self._task.said(said)
        if heard.given is not None:
            self.cpu = heard.given.cpu
            self._count(heard)


def given(heard: Heard) -> Any:
    """What a task gave.

    Raises:
        Exception: what it ended with.
    """
    assert heard.given is not None
    value = pickle.loads(heard.given.value)
    if heard.given.failed:
        raise value
    return value


def lost(what: str, error: BaseException) -> Exception:
    """The error for work of which Ray brings no answer.

    A node, or a process of Ray's, that died is a loss; anything else would happen again on every node.

    Args:
        what: whose, as people call it.
        error: of Ray's.
    """
    if isinstance(error, NenrinError):
        return error
    from ray import exceptions

    gone = (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
        exceptions.TaskCancelledError,
        exceptions.LocalRayletDiedError,
    )
    why = f"{type(error).__name__}: {error}".partition("\n")[0]
    if isinstance(error, gone):
        return WorkerLostError(
            f"{what} was lost with its Ray node or worker: {why}",
            hint="see ray status, and whether the node ran out of memory",
        )
    failure = StepError(
        f"{what} could not be run on a Ray node: {why}",
        hint="nodes need the same nenrin as this machine: pip install it there, and start Ray again",
    )
    failure.trace = str(error)
    return failure
