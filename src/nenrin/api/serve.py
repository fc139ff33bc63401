"""``nenrin up``: the control process, the data plane in front of it, and the loop's heartbeat.

The data plane is a process of its own that owns the public port. It goes on answering when the
control process dies; the next one finds it by its lock, lets it drain, and starts its own.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2

from nenrin.api.folder import control_socket
from nenrin.api.holder import Holder, Opener
from nenrin.core.errors import ConflictError, RefusedError, UnavailableError
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.serving.plane.run import run_plane

_LOG = logging.getLogger(__name__)
_BEAT = 5.0  # seconds between two looks of the loop at what is due
_LOOK = 0.5  # seconds between two looks at the data plane
_DRAIN = 20.0  # seconds that a data plane may take to finish its requests
_STARTS = 5  # deaths of the data plane in a row before we give up


class Plane:
    """The data plane of a folder, as a child process that is started again when it dies.

    Args:
        settings: host, token and folder.
        port: the public port, free now.
    """

    def __init__(self, settings: Settings, port: int) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http://{host}:{port}"
        self._settings = settings
        self._port = port
        self._deaths = 0
        self._process = self._started()

    def look(self) -> None:
        """Start it again if it has died.

        Raises:
            UnavailableError: it dies every time.
        """
        if self._process.is_alive():
            return
        self._deaths += 1
        if self._deaths >= _STARTS:
            raise UnavailableError(
                f"the data plane died {self._deaths} times (code {self._process.exitcode})",
                where=self.url,
                hint="see .nenrin/nenrin.log",
            )
        _LOG.warning("the data plane died with code %s; starting it again", self._process.exitcode)
        self._process = self._started()

    def ready(self, timeout: float, stop: threading.Event) -> bool:
        """Wait until every deployment answers; whether that came within ``timeout`` seconds."""
        for _ in range(int(timeout / 0.1)):
            try:
                if httpx2.get(f"{self.url}/v2/health/ready", timeout=5).is_success:
                    return True
            except httpx2.TransportError:
                self.look()
            if stop.wait(0.1):
                break
        return False

    def stop(self) -> None:
        """Let it finish its requests, then end it."""
        self._process.terminate()
        self._process.join(_DRAIN)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _started(self) -> multiprocessing.process.BaseProcess:
        settings = self._settings
        token = settings.token.get_secret_value() if settings.token else None
        process = multiprocessing.get_context("spawn").Process(
            target=_plane,
            name="nenrin-plane",
            args=(
                settings.state_folder,
                (
                    settings.host,
                    self._port,
                    settings.folder.absolute(),
                    control_socket(settings.state_folder),
                    token,
                ),
            ),
        )
        process.start()
        return process


def serve(
    settings: Settings, ready: Callable[[str, Platform], None], opener: Opener = Platform.open
) -> None:
    """Serve a folder until SIGTERM or Ctrl-C, then drain.

    Args:
        settings: says which folder, and where to listen.
        ready: called once the public port answers, with its address and the platform.
        opener: makes the platform.

    Raises:
        RefusedError: others could reach the port, and no token is set.
        ConflictError: another process serves the folder, or the port.
    """
    if not settings.is_loopback and settings.token is None:
        raise RefusedError(
            f"{settings.host} can be reached from other machines, and no token is set",
            where="--host",
            hint="set NENRIN_TOKEN to 16 characters or more, or leave --host out",
        )
    lock = FolderLock(settings.state_folder)
    lock.acquire()
    try:
        _end_orphan(settings.state_folder)
        port = _free_port(settings.host, settings.port)
    except BaseException:
        lock.release()
        raise
    stop = _stop_on_signals()
    with Holder(settings, lock, opener) as holder:
        plane = Plane(settings, port)
        beat = threading.Thread(
            target=_beat, args=(holder, settings.environment, stop), daemon=True
        )
        beat.start()
        try:
            if plane.ready(60, stop):
                ready(plane.url, holder.platform)
            while not stop.wait(_LOOK):
                plane.look()
        finally:
            stop.set()
            plane.stop()
            holder.works.cancel()
            beat.join(_DRAIN)


def _plane(state_folder: Path, args: tuple[Any, ...]) -> None:
    """The child: holds the plane's own lock, so that a later control process finds it."""
    with FolderLock(state_folder / "plane"):
        run_plane(*args)


def _end_orphan(state_folder: Path) -> None:
    """Let a data plane drain whose control process was killed."""
    lock = FolderLock(state_folder / "plane")
    pid = lock.held_by()
    if not pid:
        return
    os.kill(pid, signal.SIGTERM)
    pause = threading.Event()
    for _ in range(int(_DRAIN / 0.05)):
        if lock.held_by() is None:
            return
        pause.wait(0.05)
    raise ConflictError(
        f"the data plane {pid} of an earlier run does not end", hint=f"end it: kill -9 {pid}"
    )


def _free_port(host: str, port: int) -> int:
    """``port``, when it can be listened on; for 0 one that can.

    Raises:
        ConflictError: it is in use; names one that is free.
        RefusedError: this machine does not have that address, or may not use that port.
    """
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"port {port} is in use",
                where=f"{host}:{port}",
                hint=f"nenrin up --port {_bound(host, 0)}",
            ) from None
        raise RefusedError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            where=f"{host}:{port}",
            hint="choose another --host or --port",
        ) from None


def _bound(host: str, port: int) -> int:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        number: int = probe.getsockname()[1]
        return number


def _stop_on_signals() -> threading.Event:
    """An event that the first SIGTERM or Ctrl-C sets; the second ends the process as usual."""
    stop = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def _beat(holder: Holder, environment: str, stop: threading.Event) -> None:
    """Let the loop look at what is due, again and again; never while other work runs."""
    while not stop.wait(_BEAT):
        try:
            holder.works.between(lambda: holder.platform.loop.tick(environment))
        except Exception:  # noqa: BLE001 - the next tick may do better
            _LOG.exception("a tick of the loop failed")
