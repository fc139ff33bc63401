"""The executor's port: runs functions in workers, and what a worker gives to every function it runs.

Adapters: ``nenrin.backends.compute``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer, Timer

P = ParamSpec("P")
T = TypeVar("T")

ProjectLoader = Callable[[Path], Mapping[str, object]]
Announce = Callable[[str, str], None]


def _quietly(where: str, hint: str) -> None:
    """Announce to nobody."""


class WorkerContext:
    """First argument of every function that an executor runs.

    Attributes:
        store: the content store, the worker's own connection.
        timer: process time.
    """

    def __init__(
        self,
        store: ContentStore,
        load_project: ProjectLoader,
        *,
        timer: Timer | None = None,
        announce: Announce = _quietly,
    ) -> None:
        self.store = store
        self.timer = timer or SystemTimer()
        self._load_project = load_project
        self._announce = announce
        self._kept: dict[str, OrderedDict[str, Any]] = {}

    def project(self, folder: str) -> Mapping[str, object]:
        """The attributes of the project module in ``folder``, imported once a worker.

        Raises:
            ProjectError: the project file cannot be imported.
        """
        return self.cached("project", folder, lambda: self._load_project(Path(folder)), keep=4)

    def cached(self, kind: str, key: str, make: Callable[[], T], *, keep: int) -> T:
        """What ``make`` gives for ``key``, made once; of each kind the ``keep`` last used stay."""
        kept = self._kept.setdefault(kind, OrderedDict())
        if key not in kept:
            kept[key] = make()
        kept.move_to_end(key)
        while len(kept) > keep:
            kept.popitem(last=False)
        value: T = kept[key]
        return value

    def entering(self, where: str, hint: str = "") -> None:
        """Say whose code runs next, so that a worker that dies in it can be explained.

        Args:
            where: ``file:line`` of the user's function; ``""`` when it has been left.
            hint: what to do if the process dies there.
        """
        self._announce(where, hint)


class Executor(Protocol):
    """Runs functions of a :class:`WorkerContext`, each to its end, several at a time.

    Functions, arguments and results cross process borders: functions are named by their module, the
    rest is pickled. A function's exception comes out of its future; a worker that died is a
    ``StepError`` there, and the executor goes on. Results do not depend on which worker ran what.
    """

    @property
    def workers(self) -> int:
        """How many functions run at a time."""
        ...

    def submit(
        self,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Run ``function(context, *args, **kwargs)`` when a worker is free."""
        ...

    def cpu_by_worker(self) -> dict[int, float]:
        """CPU seconds by process id of every worker ever started, as of its last result.

        Empty where functions run in the calling process.
        """
        ...

    def close(self) -> None:
        """Wait for what runs, drop what waits, and end the workers. A second call does nothing."""
        ...
