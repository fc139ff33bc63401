"""The plane as a process: its run, and how it is ended."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvicorn

from nenrin.core import logs
from nenrin.core.calendar import Calendar
from nenrin.core.lock import FolderLock
from nenrin.core.timer import Timer
from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.serving.livelog import LiveLog
from nenrin.serving.observed import file_of
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.drain import DrainingServer
from nenrin.serving.plane.front import protocol_for
from nenrin.serving.plane.grpc_service import InferenceService, serving_grpc
from nenrin.serving.plane.listening import giving
from nenrin.serving.plane.memory import Room
from nenrin.serving.plane.observed import Observer
from nenrin.serving.plane.originals import Originals
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.shadow import Shadows
from nenrin.serving.plane.sums import Board
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.ports import Loader, RouteReader
from nenrin.serving.segments import folders, shadow_log, worker_folder

DRAIN_SECONDS = 10

_PAUSE = 0.05


class PlaneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a plane needs to know; plain values, for it is a process of its own.

    Attributes:
        folder: the project's folder.
        environment: whose deployments are served.
        state_folder: its ``.nenrin``.
        database, store, online: where state, content and online features are kept.
        predictions: folder of the prediction log.
        predictions_days: how long it is kept; 0: for good.
        models_memory: bytes that models may take; 0: there is no limit.
        rescore: one batch in so many is compared with its original's answer; 0: none.
        control: the control process' Unix socket.
        door: the Unix socket at which it gives its listening sockets; None: nobody may have them.
        relieves: whether others serve until it listens: it loads everything first.
        token: asked of every request; None on a loopback address.
        doors: the paths of health and predictions, and whether the latter need a token.
        host: where gRPC listens; the listening socket is the other's.
        grpc_port: its port; None: gRPC is not served.
        worker: its number; it logs to the folder of that name.
        planes: how many there are.
        timeout_ms: milliseconds that a request may take, unless it says itself.
        log: how its logs are written; ``json``: to its standard error.
    """

    folder: Path
    environment: str
    predictions: Path
    control: Path
    state_folder: Path = Path()
    database: str = ""
    store: str = ""
    online: str = ""
    predictions_days: int = 0
    models_memory: int = 0
    rescore: int = 0
    token: str | None = None
    doors: Doors = DOORS
    host: str = "127.0.0.1"
    grpc_port: int | None = None
    worker: int = 0
    planes: int = 1
    timeout_ms: int = 30_000
    log: logs.Form = "text"
    door: Path | None = None
    relieves: bool = False


class PlaneParts(msgspec.Struct, frozen=True, kw_only=True):
    """The adapters a plane works with; made inside its process."""

    routes: RouteReader
    loader: Loader
    calendar: Calendar
    timer: Timer
    rescoring: Rescoring | None = None


def run_plane(
    settings: PlaneSettings,
    parts_of: Callable[[PlaneSettings], PlaneParts],
    listeners: Sequence[socket.socket],
    originals: Connection | None = None,
) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those under way and write the log.

    The target of a spawned process: all arguments can be pickled.

    Args:
        settings: plain settings.
        parts_of: makes the adapters, here in the plane's process; a function of a module.
        listeners: from :func:`nenrin.serving.plane.listening.listen_for`.
        originals: to the process that answers for originals; None: they are opened here.

    Raises:
        ConflictError: another plane serves this folder.
    """
    if settings.log == "json":
        logs.to_stderr(settings.log)
    parts = parts_of(settings)
    if originals is not None and parts.rescoring is not None:
        parts.rescoring.elsewhere = Originals(originals)
    folder = worker_folder(settings.predictions, settings.worker)
    log = LiveLog(folder, keep_days=settings.predictions_days, timer=parts.timer)
    observer = Observer(file_of(settings.predictions, settings.worker), parts.timer)
    shadowed = worker_folder(shadow_log(settings.predictions), settings.worker)
    shadows = Shadows(shadowed, parts.timer, settings.predictions_days)
    made = parts.routes, parts.loader, parts.calendar, parts.timer
    table = RouteTable(*made, observer, shadows, Room(settings.models_memory))
    plane = Plane(
        table,
        log,
        ControlProxy(settings.control),
        parts.timer,
        board=Board(folder) if settings.planes > 1 else None,
        within=settings.timeout_ms / 1e3,
        rescoring=parts.rescoring,
        relieves=settings.relieves,
    )
    if settings.grpc_port is not None:
        service = InferenceService(plane, table, settings.token)
        plane.beside = partial(serving_grpc, service, settings.host, settings.grpc_port)
    drain = plane.drain
    config = uvicorn.Config(
        drain.over(plane.app(settings.token, settings.doors)),
        loop="uvloop",
        http=protocol_for(plane.hot(settings.token, settings.doors)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    _collect_seldom()
    DrainingServer(config, drain, _door(settings, listeners)).run(sockets=list(listeners))
    observer.close()
    shadows.close()


def _door(
    settings: PlaneSettings, listeners: Sequence[socket.socket]
) -> Callable[[], AbstractContextManager[None]]:
    """Where the plane gives its sockets."""
    if settings.door is None:
        return nullcontext
    return partial(giving, settings.door, listeners, settings.grpc_port or 0)


def _collect_seldom() -> None:
    """Let the garbage collector pass over what stays, and come seldom: requests leave no cycles behind.

    Measured: a tenth less CPU a request (1 row, 64 connections).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class Left(NamedTuple):
    """A plane that serves although its control process is gone: its log's lock, its process, its number."""

    lock: FolderLock
    process: int
    worker: int


def left_behind(predictions: Path) -> list[Left]:
    """The planes that serve a folder which no control process holds.

    Args:
        predictions: folder of their prediction logs, which they hold the locks of.
    """
    found = []
    for folder in folders(predictions):
        lock = FolderLock(folder)
        process = lock.held_by()
        if process:
            found.append(Left(lock, process, int(folder.name) if folder != predictions else -1))
    return found


def retire(left: Sequence[Left], timer: Timer) -> None:
    """End planes that were left behind, all at once; they finish the requests under way first.

    Args:
        left: which.
        timer: waits for their end.
    """
    for each in left:
        _signal(each.process, signal.SIGTERM)
    deadline = timer.wall() + DRAIN_SECONDS + 1
    for each in left:
        while each.lock.held_by() == each.process:
            if timer.wall() > deadline:
                _signal(each.process, signal.SIGKILL)
            timer.sleep(_PAUSE)


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return
