"""The data planes as child processes: one, or one a core, on one public port."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count, islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx2
import msgspec

from nenrin.api.folder import control_socket, door_of, predictions_folder
from nenrin.api.forking import FORKED, warm
from nenrin.core.errors import ConflictError, UnavailableError
from nenrin.core.settings import Settings
from nenrin.core.store import ContentStore
from nenrin.core.timer import SystemTimer, Timer
from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.listening import PortInUseError, is_at, listen, listen_for, taken
from nenrin.serving.plane.messages import messages
from nenrin.serving.plane.originals import run_originals
from nenrin.serving.plane.process import (
    DRAIN_SECONDS,
    PlaneParts,
    PlaneSettings,
    left_behind,
    retire,
    run_plane,
)

READY_SECONDS = 60.0
"""How long planes may take to load their models."""

_LOG = logging.getLogger(__name__)
_STARTS = 5  # deaths of a plane before we give up

PartsOf = Callable[[PlaneSettings], PlaneParts]


class Planes:
    """The data planes of a folder; one that dies is started again.

    The listening sockets stay here, so that a plane that is replaced drops no connection: those that come
    meanwhile wait in its socket. Planes that a killed control process left behind give theirs, and
    go on until these listen beside them.

    Args:
        settings: host, port, token, folder, and how many.
        parts_of: makes a plane's adapters in its process.
        store_of: opens the content store, in the process where originals answer what compiled models have
            answered; None: planes open originals themselves.
        timer: waits for the end of those that were left behind.

    Attributes:
        url: the public address.
        news: why planes were started again, until somebody takes it away.

    Raises:
        ConflictError: a port is in use.
        MissingExtraError: gRPC is asked for, and not installed.
    """

    def __init__(
        self,
        settings: Settings,
        parts_of: PartsOf,
        store_of: Callable[[PlaneSettings], ContentStore] | None = None,
        timer: Timer | None = None,
    ) -> None:
        if settings.grpc_port is not None:
            messages()
        self._before = _Before(settings.state_folder, timer or SystemTimer())
        listeners = self._before.listeners(settings)
        given = plain(settings)
        open_store = partial(store_of, given) if store_of and settings.rescore else None
        self._originals = _Originals(open_store, len(listeners)) if open_store else None
        first, *_ = numbers = self._before.numbers(len(listeners))
        wires = self._originals.wires if self._originals else [None] * len(listeners)
        self._planes = [
            _Plane(_numbered(given, number, grpc=number == first), parts_of, theirs, wire)
            for number, theirs, wire in zip(numbers, listeners, wires, strict=True)
        ]
        self.url = _url(listeners[0][0])
        self.news: list[str] = []

    def start(self) -> None:
        """Start the processes."""
        warm()
        for plane in self._planes:
            plane.start(relieves=self._before.serves)
        if self._originals is not None:
            self._originals.look()

    def look(self) -> None:
        """Start those again that have died; ``news`` says why. End those before them, once all listen.

        Raises:
            UnavailableError: one dies every time.
        """
        if self._originals is not None:
            self._originals.look()
        for plane in self._planes:
            code = plane.died()
            if code is None:
                continue
            if plane.deaths >= _STARTS:
                raise UnavailableError(
                    f"the data plane died {plane.deaths} times, last with code {code}",
                    where=self.url,
                    hint="what it said before is above, and in .nenrin/nenrin.log",
                )
            _LOG.warning("the data plane died with code %s; it is started again", code)
            self._before.end()  # there may not be room for both
            plane.start()
            self.news.append(f"it died with code {code}")
        if self._before.serves and all(plane.listens for plane in self._planes):
            self._before.end()

    def ready(self, stop: threading.Event) -> bool:
        """Wait until every deployment that fits answers; whether that came in time and before ``stop``."""
        for _ in range(int(READY_SECONDS / 0.1)):
            self.look()
            try:  # plain HTTP: no certificates are read, which takes longer than the request
                answer = httpx2.get(f"{self.url}/v2/health/ready", timeout=5, verify=False)
                if answer.is_success and not self._before.serves:
                    return True
            except httpx2.TransportError:
                pass  # none is listening yet
            if stop.wait(0.1):
                break
        return False

    def stop(self) -> None:
        """Let them finish their requests, all at once, then end them.

        Those before them go on if these were never started.
        """
        started = [plane.end() for plane in self._planes]
        if any(started):
            self._before.end()
        for plane in self._planes:
            plane.ended()
        if self._originals is not None:
            self._originals.end()


class _Before:
    """The planes that a killed control process left behind, and what they give."""

    def __init__(self, state_folder: Path, timer: Timer) -> None:
        self._timer = timer
        self._left = left_behind(predictions_folder(state_folder))
        self._given = [taken(door_of(state_folder, each.worker)) for each in self._left]

    @property
    def serves(self) -> bool:
        """Whether there are any."""
        return bool(self._left)

    def numbers(self, planes: int) -> list[int]:
        """For so many planes numbers that none of these has."""
        theirs = {each.worker for each in self._left}
        return list(islice((number for number in count() if number not in theirs), planes))

    def listeners(self, settings: Settings) -> list[list[socket.socket]]:
        """The sockets of those that follow: theirs where they listen there, else new ones.

        Raises:
            ConflictError: a port is in use, and not by them: they go on.
        """
        try:
            return self._listeners(settings)
        except ConflictError as error:
            if not (isinstance(error, PortInUseError) and self._may_hold(error.port)):
                self._close()
                raise
        self.end()  # it is theirs, of another host
        return self._listeners(settings)

    def _may_hold(self, port: int) -> bool:
        """Whether one of them listens on a port, or does not say where it listens."""
        ports = {each.getsockname()[1] for given in self._given for each in given.listeners}
        silent = any(not given.listeners for given in self._given)
        return silent or port in ports | {given.grpc_port for given in self._given}

    def _listeners(self, settings: Settings) -> list[list[socket.socket]]:
        port = settings.grpc_port
        if port is not None and port not in [given.grpc_port for given in self._given]:
            listen(settings.host, port, "--grpc-port").close()
        there: dict[int, socket.socket] = {}
        for each in [each for given in self._given for each in given.listeners]:
            if is_at(each, settings.host, settings.port):
                there.setdefault(os.fstat(each.fileno()).st_ino, each)
        found = listen_for(settings.plane_count, settings.host, settings.port, [*there.values()])
        self._close(but=[*there.values()])
        return found

    def end(self) -> None:
        """Let them finish their requests, and end them."""
        retire(self._left, self._timer)
        self._left = []
        self._close()

    def _close(self, but: Sequence[socket.socket] = ()) -> None:
        """Close what they gave: else who comes would wait in it, for nobody."""
        for each in [each for given in self._given for each in given.listeners]:
            if each not in but:
                each.close()
        self._given = []


class _Plane:
    """One of them. ``deaths`` counts how often it died."""

    def __init__(
        self,
        settings: PlaneSettings,
        parts_of: PartsOf,
        listeners: Sequence[socket.socket],
        wire: Connection | None,
    ) -> None:
        self._settings = settings
        self._parts_of = parts_of
        self._listeners = listeners
        self._wire = wire
        self._process: BaseProcess | None = None
        self.deaths = 0

    @property
    def listens(self) -> bool:
        """Whether it has come so far: it opens its door then."""
        return self._settings.door is not None and self._settings.door.exists()

    def start(self, *, relieves: bool = False) -> None:
        if self._settings.door is not None:
            self._settings.door.unlink(missing_ok=True)
        settings = msgspec.structs.replace(self._settings, relieves=relieves)
        self._process = FORKED.Process(
            target=run_plane,
            name="nenrin-plane",
            args=(settings, self._parts_of, self._listeners, self._wire),
        )
        self._process.start()

    def died(self) -> int | None:
        """Its exit code, if it has died since it was started."""
        if self._process is None or self._process.is_alive():
            return None
        self.deaths += 1
        return self._process.exitcode

    def end(self) -> bool:
        """Have it end; whether it was started."""
        for each in self._listeners:
            each.close()  # else who comes now would wait in it, for nobody
        if self._process is None or self._process.pid is None:
            return False
        self._process.terminate()
        return True

    def ended(self) -> None:
        if self._process is not None and self._process.pid is not None:
            self._process.join(DRAIN_SECONDS + 1)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()


class _Originals:
    """The process that answers for originals. It ends when idle, and is there again to wait."""

    def __init__(self, open_store: Callable[[], ContentStore], planes: int) -> None:
        pipes = [multiprocessing.Pipe() for _ in range(planes)]
        self.wires = [plane for plane, _ in pipes]
        self._theirs = [theirs for _, theirs in pipes]
        self._open_store = open_store
        self._process: BaseProcess | None = None

    def look(self) -> None:
        if self._process is None or not self._process.is_alive():
            self._process = FORKED.Process(
                target=run_originals,
                name="nenrin-originals",
                args=(self._open_store, self._theirs),
            )
            self._process.start()

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join()


def plain(settings: Settings) -> PlaneSettings:
    """What planes need to know of the settings."""
    return PlaneSettings(
        folder=settings.folder.absolute(),
        state_folder=settings.state_folder,
        database=settings.database,
        store=settings.store,
        online=settings.online,
        models_memory=int(settings.models_memory),
        rescore=settings.rescore,
        environment=settings.environment,
        predictions=predictions_folder(settings.state_folder),
        predictions_days=settings.predictions_days,
        control=control_socket(settings.state_folder),
        token=settings.token.get_secret_value() if settings.token else None,
        doors=_doors(settings),
        host=settings.host,
        grpc_port=settings.grpc_port,
        timeout_ms=settings.request_timeout_ms,
        planes=settings.plane_count,
        log=settings.log,
    )


def _numbered(plain: PlaneSettings, worker: int, *, grpc: bool) -> PlaneSettings:
    """The settings of one plane; the first serves gRPC for all."""
    return msgspec.structs.replace(
        plain,
        worker=worker,
        grpc_port=plain.grpc_port if grpc else None,
        door=door_of(plain.state_folder, worker),
    )


def _doors(settings: Settings) -> Doors:
    return Doors(
        health=DOORS.health | ({settings.health_route} - {""}),
        predict=DOORS.predict | ({settings.predict_route} - {""}),
        open=settings.predictions_open,
    )


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"
