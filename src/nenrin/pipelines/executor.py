"""The executor's port: runs functions in workers, and what a worker gives to every function it runs.

Adapters: ``nenrin.backends.compute``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec

from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer, Timer

P = ParamSpec("P")
T = TypeVar("T")

ProjectLoader = Callable[[Path], Mapping[str, object]]
Find = Callable[[ContentStore, str], Path]
Announce = Callable[[str, str], None]


def unheard(_said: object) -> None:
    """Nobody listens."""


def _quietly(where: str, hint: str) -> None:
    """Announce to nobody."""


def as_named(_store: ContentStore, project: str) -> Path:
    """Finds projects where their names say: on the machine that has unpacked them."""
    return Path(project)


class Line(msgspec.Struct, frozen=True):
    """A line that a task wrote: to ``stdout`` or ``stderr``."""

    stream: str
    text: str


class Report(msgspec.Struct, frozen=True):
    """Progress that a task reported: ``done`` of ``total`` (0: unknown), and a note."""

    done: int
    total: int
    note: str = ""


class Beat(msgspec.Struct, frozen=True):
    """A sign of life, every second, from a thread of the worker: a process that is frozen sends none."""


Said = Line | Report | Beat


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """How a function is run in a process of its own.

    Attributes:
        name: what people call it.
        project: the unpacked revision whose code it runs, imported beforehand where that can be done; its
            frames are the user's own. None: no project's. Its folder bears the revision's digest, by which
            another machine finds it.
        cpus, gpus: what it keeps busy, for executors that look for a machine with room.
        memory: bytes that its processes may use; None: any.
        timeout: seconds that it may take, its start included; None: any.
        scratch: its working folder, made where it is missing and the task runs on this machine; None: that
            of this process.
        seed: what numpy, random and torch are seeded with.
        environ: variables that it finds set so, or not at all (None), whatever its machine has.
        said: hears what it writes and reports, from another thread, in order: all of it before the result
            is there. What it raises is ignored.
    """

    name: str
    project: Path | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    memory: int | None = None
    timeout: float | None = None
    scratch: Path | None = None
    seed: int = 0
    environ: Mapping[str, str | None] = {}
    said: Callable[[Said], None] = unheard


class Running(Protocol[T]):
    """A task that was started."""

    @property
    def result(self) -> Future[T]:
        """What it gives, or the error that it ended with.

        Whatever the function raised that is no ``NenrinError`` comes out as a ``StepError``: at the user's
        last line, with the traceback as text and the names of what was raised. So does a death in the
        user's code, a limit that was passed, a cancellation; a process that was killed by somebody else is
        a ``WorkerLostError``.
        """
        ...

    @property
    def pid(self) -> int:
        """Of its process, which leads a group of its own; 0 before there is one."""
        ...

    @property
    def cpu(self) -> float:
        """CPU seconds of its process and of those that it waited for; 0.0 before the result is there."""
        ...

    @property
    def heard(self) -> float:
        """When it last said something, or was seen to compute, by the timer's ``wall``.

        A process that is frozen does neither.
        """
        ...

    def cancel(self) -> None:
        """End its process group: politely, after two seconds by force. Its result is then an error."""
        ...


class WorkerContext:
    """First argument of every function that an executor runs.

    Attributes:
        store: the content store, the worker's own connection.
        timer: process time.
        scratch: the working folder of a task that has one of its own; else None.
    """

    def __init__(
        self,
        store: ContentStore,
        load_project: ProjectLoader,
        *,
        timer: Timer | None = None,
        announce: Announce = _quietly,
        said: Callable[[Said], None] = unheard,
        scratch: Path | None = None,
        find: Find = as_named,
    ) -> None:
        self.store = store
        self.scratch = scratch
        self.timer = timer or SystemTimer()
        self._said = said
        self._load_project = load_project
        self._find = find
        self._announce = announce
        self._kept: dict[str, OrderedDict[str, Any]] = {}

    def apart(self, task: Task) -> WorkerContext:
        """This one for a task of its own: with the same store and what is kept, its listener and folder."""
        other = copy(self)
        vars(other).update(scratch=task.scratch, _said=task.said)
        return other

    def project(self, name: str) -> Mapping[str, object]:
        """The attributes of the project module of an unpacked revision, imported once a worker.

        Args:
            name: the folder, as whoever asked for the work has it: on another machine only its last part
                counts, the revision's digest.

        Raises:
            ProjectError: the project file cannot be imported.
        """
        return self.cached("project", name, lambda: self._load_project(self.folder(name)), keep=4)

    def folder(self, name: str) -> Path:
        """Where this machine has the files of a project, by the name that :meth:`project` takes."""
        return self.cached("folder", name, lambda: self._find(self.store, name), keep=4)

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

    def report(self, done: int, total: int, note: str = "") -> None:
        """Tell how far the task is: ``done`` of ``total`` parts; ``total`` 0 is unknown."""
        with suppress(Exception):  # whoever listens must not end the task
            self._said(Report(done, total, note))


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

    def start(
        self,
        task: Task,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Running[T]:
        """Run ``function(context, *args, **kwargs)`` at once, in a process of its own that ends after it.

        Its processes end when it has ended, and when this process does, however that ends. Executors that
        run everything in the calling process only keep reports and the form of errors.
        """
        ...

    def cpu_by_worker(self) -> dict[int, float]:
        """CPU seconds by process id of every worker ever started, as of its last result.

        Empty where functions run in the calling process.
        """
        ...

    def close(self) -> None:
        """Wait for what runs, drop what waits, and end the workers. A second call does nothing."""
        ...
