"""The executor on a Ray cluster. Ray schedules and carries; on the nodes work nenrin's own executors.

Cache, retries, history and logs stay nenrin's: Ray retries nothing, and is told of no dependencies.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from nenrin.backends.compute.apart import add_up
from nenrin.backends.compute.ray_head import HeadWatch, reach
from nenrin.backends.compute.ray_node import Heard, NodeOrder, follow, run
from nenrin.backends.compute.ray_task import Following, given, lost
from nenrin.backends.compute.spawn import ATTEMPTS
from nenrin.core.errors import (
    ConflictError,
    MissingExtraError,
    RefusedError,
    UnavailableError,
    WorkerLostError,
)
from nenrin.core.jobs import Room
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer
from nenrin.pipelines.executor import (
    Find,
    ProjectLoader,
    Running,
    Task,
    WorkerContext,
    as_named,
    unheard,
)

P = ParamSpec("P")
T = TypeVar("T")

_FOREVER = str(
    10**9
)  # seconds in which Ray's driver does not end this process where its head is gone
_LOOK = 0.5  # seconds between two looks at whether the head is there
_AGAIN = 5.0  # seconds for which what nodes have is known
_QUEUED = 2
_HANDLERS = 32  # functions that are with Ray at a time, at least


def _to_nobody(_note: str) -> None:
    """Nobody listens."""


class RayExecutor:
    """Runs functions on the nodes of a Ray cluster, of which this machine is one.

    Args:
        address: ``HOST:PORT`` of the cluster's head; empty: of the cluster that this machine belongs to.
        open_store: makes the content store on each node; must be picklable.
        load_project: imports a project from its folder; must be picklable.
        find: where a node has a project, by the name that work has for it; must be picklable.
        note: told why tasks are not forked on a node.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: the cluster does not answer.
    """

    def __init__(
        self,
        address: str,
        open_store: Callable[[], ContentStore],
        load_project: ProjectLoader,
        *,
        find: Find = as_named,
        note: Callable[[str], None] = _to_nobody,
    ) -> None:
        self._setup = pickle.dumps((open_store, load_project, find))
        self._note = note
        self._address = address
        self._connect()
        self._lock = threading.Lock()
        self._closed = False
        self._running: set[Following[Any]] = set()
        self._cpu: dict[tuple[str, int], float] = {}
        self._nodes: tuple[float, list[Mapping[str, float]]] | None = None
        self._handlers = ThreadPoolExecutor(max(_HANDLERS, 2 * self.workers), "nenrin-ray")

    def _connect(self) -> None:
        self._ray, self._ours = _connected(self._address)
        self._head = HeadWatch(self._address or self._ray.get_runtime_context().gcs_address)
        self._run = self._ray.remote(max_retries=0, num_cpus=1)(run)
        self._follow = self._ray.remote(max_retries=0, num_returns="streaming")(follow)

    @property
    def workers(self) -> int:
        """How many functions run at a time: the cluster's cores."""
        return max(1, int(self.room().cpus))

    def room(self) -> Room:
        """What the cluster's nodes have together."""
        nodes = self._living()
        cpus = sum(node.get("CPU", 0.0) for node in nodes)
        return Room(
            cpus=cpus,
            memory=int(sum(node.get("memory", 0.0) for node in nodes)),
            jobs=4 * max(1, int(cpus)),
            gpus=sum(node.get("GPU", 0.0) for node in nodes),
        )

    def queue(self) -> Room:
        """What may be with Ray at a time: as much again as nodes have waits there, and begins at once."""
        room = self.room()
        return Room(
            cpus=_QUEUED * room.cpus,
            memory=_QUEUED * room.memory,
            jobs=_QUEUED * room.jobs,
            gpus=_QUEUED * room.gpus,
        )

    def submit(
        self,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Run ``function(context, *args, **kwargs)`` when a node has a core free.

        Raises:
            ConflictError: the executor is closed.
            UnavailableError: the cluster's head is gone.
        """
        self._there()
        order = self._order(None, function, args, kwargs)
        with self._lock:
            self._refuse_closed()
            return self._handlers.submit(self._served, order)

    def start(
        self,
        task: Task,
        function: Callable[Concatenate[WorkerContext, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Running[T]:
        """Run ``function(context, *args, **kwargs)`` on a node that has what the task needs.

        It waits in Ray's queue until one has, in a folder of the node's own if the task has one.

        Raises:
            ConflictError: the executor is closed.
            RefusedError: no node of the cluster is large enough.
            UnavailableError: the cluster's head is gone.
        """
        self._there()
        self._check(task)
        order = self._order(task, function, args, kwargs)
        remote = self._follow.options(**_needs(task))
        following: Following[T] = Following(
            task,
            self._ray,
            lambda: remote.remote(order),
            count=self._count,
            note=self._note,
            head=self._head,
        )
        with self._lock:
            self._refuse_closed()
            self._running.add(following)
        following.result.add_done_callback(lambda _: self._running.discard(following))
        following.begin()
        return following

    def cpu_by_worker(self) -> dict[int, float]:
        """CPU seconds by process id of every worker heard of; of equal ids on two nodes together."""
        with self._lock:
            return add_up(*({pid: cpu} for (_, pid), cpu in self._cpu.items()))

    def close(self) -> None:
        """Wait for what runs, drop what waits, and leave the cluster. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        self._handlers.shutdown(cancel_futures=True)
        for following in running:
            following.join()
        self._head.end()
        if self._ours:
            self._ray.shutdown()

    def _order(
        self, task: Task | None, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bytes:
        call = pickle.dumps((function, args, kwargs), protocol=5)
        # the listener stays here
        travels = None if task is None else msgspec.structs.replace(task, said=unheard)
        return pickle.dumps(NodeOrder(setup=self._setup, call=call, task=travels))

    def _there(self) -> None:
        """Raise while the head is gone; connect anew when it is back."""
        with self._lock:
            if self._ours and self._head.is_back():
                self._ray.shutdown()
                self._connect()
        self._head.check()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ConflictError("the executor is closed", hint="open another one")

    def _served(self, order: bytes) -> Any:
        """What an order gives; one whose node or worker was lost goes to another."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                heard: Heard = pickle.loads(self._awaited(self._run.remote(order)))
            except Exception as error:  # noqa: BLE001 - whatever became of the node
                failure = lost("a worker", error)
                if isinstance(failure, WorkerLostError):
                    self._head.settle()
                if attempt == ATTEMPTS or not isinstance(failure, WorkerLostError):
                    raise failure from None
            else:
                self._count(heard)
                return given(heard)
        raise AssertionError

    def _awaited(self, reference: Any) -> bytes:
        while not self._ray.wait([reference], timeout=_LOOK)[0]:
            self._head.check()
        data: bytes = self._ray.get(reference)
        return data

    def _count(self, heard: Heard) -> None:
        with self._lock:
            self._cpu |= {(heard.node, pid): cpu for pid, cpu in heard.cpu.items()}

    def _check(self, task: Task) -> None:
        """Refuse what no node can ever run: Ray would let it wait."""
        wanted = {"CPU": task.cpus, "GPU": task.gpus, "memory": float(task.memory or 0)}
        nodes = self._living()
        if any(all(node.get(k, 0.0) >= v for k, v in wanted.items()) for node in nodes):
            return
        said = ", ".join(f"{value:g} {name}" for name, value in wanted.items() if value)
        raise RefusedError(
            f"no node of the Ray cluster has what {task.name} needs: {said}",
            hint="start a larger node, or ask for less: nr.resources(...)",
        )

    def _living(self) -> list[Mapping[str, float]]:
        """What each living node has."""
        now = SystemTimer().wall()
        if self._nodes is None or now - self._nodes[0] > _AGAIN:
            found = [node["Resources"] for node in self._told() if node["Alive"]]
            self._nodes = (now, found)
        return self._nodes[1]

    def _told(self) -> list[dict[str, Any]]:
        """What Ray says of its nodes, asked from another thread: a head that is gone never answers."""
        answer: Future[list[dict[str, Any]]] = Future()
        ask = threading.Thread(target=_fulfil, args=(answer, self._ray.nodes), daemon=True)
        ask.start()
        while True:
            try:
                return answer.result(_LOOK)
            except TimeoutError:
                if answer.done():
                    raise
                self._head.check()


def _fulfil(answer: Future[T], call: Callable[[], T]) -> None:
    try:
        answer.set_result(call())
    except Exception as error:  # noqa: BLE001 - whoever waits gets it
        answer.set_exception(error)


def _needs(task: Task) -> dict[str, Any]:
    """What Ray keeps free for a task. It wants whole numbers above 1."""
    return {
        "num_cpus": task.cpus if task.cpus <= 1 else math.ceil(task.cpus),
        "num_gpus": task.gpus if task.gpus <= 1 else math.ceil(task.gpus),
        "memory": task.memory or 0,
    }


def _connected(address: str) -> tuple[Any, bool]:
    """Ray, connected; and whether it was connected here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", _FOREVER)
    try:
        import ray
    except ImportError:
        raise MissingExtraError.of("ray", "ray") from None
    if ray.is_initialized():
        return ray, False
    if address:
        try:
            reach(address)
        except (OSError, ValueError) as error:
            raise _away(address, str(error)) from error
    try:
        with _own_signals():
            ray.init(
                address=address or "auto",
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
    except Exception as error:
        raise _away(address, str(error)) from error
    return ray, True


def _away(address: str, why: str) -> UnavailableError:
    return UnavailableError(
        f"the Ray cluster {f'at {address} ' if address else ''}does not answer: {why}",
        hint="see that its head runs (ray status), that NENRIN_EXECUTOR names the head's own port "
        "(6379, not that of Ray Client), and that this machine is a node: "
        "ray start --address=HEAD:6379 --num-cpus=0",
        where=address,
    )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Whoever runs in this process decides what SIGTERM means, not Ray."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
