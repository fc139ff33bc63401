"""The node's side of Ray: in a process of Ray's, nenrin's own executor runs what comes.

Ray finds the room, carries orders here and what is said back, and knows when a node dies. Limits, output,
seeds and what a death looks like are those of this machine's own executor, whose processes end when Ray's
process does.
"""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from nenrin.backends.compute.fork import ForkExecutor, can_fork
from nenrin.backends.compute.node import scratch_folder
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.backends.compute.task_worker import BEAT
from nenrin.core.errors import NenrinError, StepError
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import Beat, Find, Running, Said, Task

# seconds in which what is said is gathered (signs of life until the next one): a short task sends one message
_TOGETHER = 0.05
_GPUS = "CUDA_VISIBLE_DEVICES"  # set by Ray for each task


class NodeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work for a node.

    Attributes:
        setup: how the store is opened, projects are loaded and found, pickled.
        call: function and arguments, pickled.
        task: how it is run, with the driver's folders; None: by a worker that stays.
    """

    setup: bytes
    call: bytes
    task: Task | None = None


class Given(msgspec.Struct, frozen=True):
    """What came of it: the pickled result or exception, and the CPU seconds of the process that ran it."""

    failed: bool
    value: bytes
    cpu: float = 0.0


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of a task.

    Attributes:
        node: the node's id in its cluster.
        pid: of the task's process, 0 before there is one.
        said: lines, reports and beats since it was last heard.
        notes: why tasks are not forked here.
        cpu: CPU seconds by process id of this process of Ray's, and of those that it started.
        given: what came of it, once it has ended.
    """

    node: str = ""
    pid: int = 0
    said: tuple[Said, ...] = ()
    notes: tuple[str, ...] = ()
    cpu: dict[int, float] = {}
    given: Given | None = None


def run(data: bytes) -> bytes:
    """Run a function in a worker that stays, and say what came of it."""
    order: NodeOrder = pickle.loads(data)
    try:
        host = _host(order.setup)
        function, args, kwargs = pickle.loads(order.call)
        given = _given(lambda: host.executor.submit(function, *args, **kwargs).result())
    except Exception as error:  # noqa: BLE001 - the driver wants to know it, whatever it is
        return pickle.dumps(Heard(node=_node(), given=_failed(error)))
    return pickle.dumps(Heard(node=_node(), cpu=host.cpu(), given=given))


def follow(data: bytes) -> Iterator[bytes]:
    """Run a function in a process of its own; say what is heard of it, at last what came of it."""
    order: NodeOrder = pickle.loads(data)
    assert order.task is not None
    # How Ray interrupts what is cancelled; ignored where Ray was started from a shell's background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = _host(order.setup).start(order.task, order.call)
    except Exception as error:  # noqa: BLE001 - as above
        yield pickle.dumps(Heard(node=_node(), given=_failed(error)))
        return
    try:
        while not running.over:
            heard = running.heard()
            if running.over:
                running.end()  # before anybody hears that it is
            yield pickle.dumps(heard)
    finally:
        running.end()


class _Host:
    """What one process of Ray's runs work with.

    Args:
        setup: as orders have it.
    """

    def __init__(self, setup: bytes) -> None:
        open_store, load_project, self._find = pickle.loads(setup)
        self._store: ContentStore = open_store()
        self._notes: list[str] = []
        self.executor: ForkExecutor | SpawnExecutor = (
            ForkExecutor(1, open_store, load_project, find=self._find, note=self._notes.append)
            if can_fork()
            else SpawnExecutor(1, open_store, load_project, find=self._find)
        )

    def start(self, task: Task, call: bytes) -> _Started:
        """Start a task here, in folders of this machine's."""
        project = None if task.project is None else self._here(self._find, task.project)
        return _Started(self, task, project, call)

    def cpu(self) -> dict[int, float]:
        """CPU seconds by process id."""
        return {**self.executor.cpu_by_worker(), os.getpid(): SystemTimer().cpu()}

    def notes(self) -> tuple[str, ...]:
        """What the executor has said since it was last asked."""
        told, self._notes[:] = tuple(self._notes), []
        return told

    def _here(self, find: Find, project: Path) -> Path:
        return find(self._store, str(project))


class _Started:
    """A task that runs here.

    Attributes:
        over: whether the last was heard of it.
    """

    def __init__(self, host: _Host, task: Task, project: Path | None, call: bytes) -> None:
        self.over = False
        self._host = host
        self._named, self._project = task.project, project
        self._scratch = None if task.scratch is None else scratch_folder()
        self._said: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
        gpus = {_GPUS: os.environ.get(_GPUS)} if task.gpus else {}
        here = msgspec.structs.replace(
            task,
            project=project,
            scratch=self._scratch,
            environ={**task.environ, **gpus},
            said=self._said.put,
        )
        function, args, kwargs = pickle.loads(call)
        self._running: Running[Any] = host.executor.start(here, function, *args, **kwargs)
        self._running.result.add_done_callback(lambda _: self._said.put(None))

    def heard(self) -> Heard:
        """What comes next, with all that comes soon after."""
        said = self._taken()
        given = None
        if self.over:
            given = _given(self._running.result.result, self._translated)
            given = msgspec.structs.replace(given, cpu=self._running.cpu)
        return Heard(
            node=_node(),
            pid=self._running.pid,
            said=tuple(said),
            notes=self._host.notes(),
            cpu=self._host.cpu() if given else {},
            given=given,
        )

    def end(self) -> None:
        """End its processes if they run, and let go of its folder."""
        self._running.cancel()
        self._running.result.exception()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _taken(self) -> list[Said]:
        """What is said next, and soon after; nothing where the task was only seen to compute."""
        timer, said = SystemTimer(), list[Said]()
        before, until = self._running.heard, float("inf")
        while (left := until - timer.wall()) > 0:
            try:
                one = self._said.get(timeout=min(left, BEAT))
            except queue.Empty:
                if self._running.heard > before:
                    break
                continue
            if one is None:
                self.over = True
                break
            said.append(one)
            together = BEAT if isinstance(one, Beat) else _TOGETHER
            until = min(until, timer.wall() + together)
        return said

    def _translated(self, text: str) -> str:
        """Words about this machine's copy of a project, as words about the driver's."""
        if self._project is None or self._named is None:
            return text
        return text.replace(str(self._project), str(self._named))


@cache
def _node() -> str:
    import ray

    node: str = ray.get_runtime_context().get_node_id()
    return node


_HOSTS: dict[bytes, _Host] = {}  # one at a time: a process of Ray's runs one task at a time


def _host(setup: bytes) -> _Host:
    """What this process runs work with; made anew for another store or project loader."""
    if setup not in _HOSTS:
        while _HOSTS:
            _HOSTS.popitem()[1].executor.close()
        _HOSTS[setup] = _Host(setup)
    return _HOSTS[setup]


def _given(call: Callable[[], Any], translated: Callable[[str], str] = str) -> Given:
    try:
        return Given(False, pickle.dumps(call(), protocol=5))
    except Exception as error:  # noqa: BLE001 - it is the task's
        return _failed(error, translated)


def _failed(error: Exception, translated: Callable[[str], str] = str) -> Given:
    if isinstance(error, NenrinError):
        error.message, error.where = translated(error.message), translated(error.where)
    if isinstance(error, StepError):
        error.trace = translated(error.trace)
    try:
        return Given(True, pickle.dumps(error))
    except Exception:  # noqa: BLE001 - an exception of somebody's may fail in any way
        told = StepError(f"{type(error).__name__}: {error}", hint="see the logs of the node")
        return Given(True, pickle.dumps(told))
