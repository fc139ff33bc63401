"""``nenrin up``: the control process, the data plane in front of it, and the loop's heartbeat.

The data plane is a process of its own that owns the public port. It goes on answering when the
control process dies; the next one finds it by its lock, lets it drain, and starts its own.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from types import FrameType

import httpx2

from nenrin.api.folder import control_socket, predictions_folder
from nenrin.api.holder import Holder, Opener
from nenrin.core import logs
from nenrin.core.errors import NenrinError, RefusedError, UnavailableError
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.core.timer import SystemTimer
from nenrin.platform import Platform, plane_parts
from nenrin.serving.plane.process import (
    DRAIN_SECONDS,
    PlaneParts,
    PlaneSettings,
    listen,
    retire,
    run_plane,
)

_LOG = logging.getLogger(__name__)
_BEAT = 5.0  # seconds between two looks of the loop at what is due
_LOOK = 0.5  # seconds between two looks at the data plane
_END = 2.0  # seconds that a tick may take to end by itself
_READY = 60.0  # seconds that the data plane may take to load its models
_STARTS = 5  # deaths of the data plane before we give up

PartsOf = Callable[[PlaneSettings], PlaneParts]


class PlaneProcess:
    """The data plane as a child process, which is started again when it dies.

    The listening socket stays here, so that a plane that is replaced drops no connection.

    Args:
        settings: host, port, token and folder.
        parts_of: makes the plane's adapters in its process.

    Raises:
        ConflictError: the port is in use.
    """

    def __init__(self, settings: Settings, parts_of: PartsOf) -> None:
        self._listener = listen(settings.host, settings.port)
        self._parts_of = parts_of
        self._settings = PlaneSettings(
            folder=settings.folder.absolute(),
            environment=settings.environment,
            predictions=predictions_folder(settings.state_folder),
            predictions_days=settings.predictions_days,
            control=control_socket(settings.state_folder),
            token=settings.token.get_secret_value() if settings.token else None,
            log=settings.log,
        )
        self.url = _url(self._listener)
        self._deaths = 0
        self.news: list[str] = []
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Start the process."""
        self._process = multiprocessing.get_context("spawn").Process(
            target=run_plane,
            name="nenrin-plane",
            args=(self._settings, self._parts_of, self._listener),
        )
        self._process.start()

    def look(self) -> None:
        """Start it again if it has died; ``news`` says why.

        Raises:
            UnavailableError: it dies every time.
        """
        if self._process is None or self._process.is_alive():
            return
        self._deaths += 1
        code = self._process.exitcode
        if self._deaths >= _STARTS:
            raise UnavailableError(
                f"the data plane died {self._deaths} times, last with code {code}",
                where=self.url,
                hint="what it said before is above, and in .nenrin/nenrin.log",
            )
        _LOG.warning("the data plane died with code %s; it is started again", code)
        self.start()
        self.news.append(f"it died with code {code}")

    def ready(self, stop: threading.Event) -> bool:
        """Wait until every deployment answers; whether that came in time and before ``stop``."""
        for _ in range(int(_READY / 0.1)):
            self.look()
            try:
                if httpx2.get(f"{self.url}/v2/health/ready", timeout=5).is_success:
                    return True
            except httpx2.TransportError:
                pass  # it is not listening yet
            if stop.wait(0.1):
                break
        return False

    def stop(self) -> None:
        """Let it finish its requests, then end it."""
        if self._process is not None and self._process.pid is not None:
            self._process.terminate()
            self._process.join(DRAIN_SECONDS + 1)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
        self._listener.close()


def serve(
    settings: Settings,
    ready: Callable[[str, Platform], None],
    opener: Opener = Platform.open,
    parts_of: PartsOf = plane_parts,
    say: Callable[[str], None] = _LOG.warning,
) -> None:
    """Serve a folder until SIGTERM or Ctrl-C, then drain.

    Args:
        settings: says which folder, and where to listen.
        ready: called once the public port answers, with its address and the platform.
        opener: makes the platform.
        parts_of: makes the data plane's adapters.
        say: told what goes on that an earlier process was killed at.

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
        retire(predictions_folder(settings.state_folder), SystemTimer())
        plane = PlaneProcess(settings, parts_of)
    except BaseException:
        lock.release()
        raise
    stop = _stop_on_signals()
    shown = logs.to_stderr(settings.log) if settings.log == "json" else None
    try:
        with Holder(settings, lock, opener) as holder:
            _serve(holder, plane, settings.environment, stop, ready, say)
    finally:
        plane.stop()
        if shown is not None:
            logs.end(shown)


def _serve(
    holder: Holder,
    plane: PlaneProcess,
    environment: str,
    stop: threading.Event,
    ready: Callable[[str, Platform], None],
    say: Callable[[str], None],
) -> None:
    online = _Online(holder.platform, environment, say)
    beat = threading.Thread(
        target=_beat, args=(holder, environment, online, stop), name="nenrin-beat", daemon=True
    )
    try:
        for healed in holder.platform.loop.heal(environment):
            say(healed)
        plane.start()
        beat.start()
        for work in holder.works.resume():
            say(f"{work.what} was cut off, and goes on")
        if plane.ready(stop):
            ready(plane.url, holder.platform)
        elif not stop.is_set():
            say(
                f"the data plane does not answer for every deployment after {_READY:.0f} s: a version may "
                f"not load; {plane.url}/v2/health/ready says which, nenrin deployments rollback leaves it"
            )
        while not stop.wait(_LOOK):
            plane.look()
            while plane.news:
                holder.platform.loop.restarted(environment, "data plane", plane.news.pop(0))
    finally:
        stop.set()
        plane.stop()
        holder.works.close()
        beat.join(_END)  # a tick that trains is cut off: its steps are kept, the rest is done again


def _url(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


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


class _Online:
    """Keeps the online store, if there is one, at what is served; a problem is said once."""

    def __init__(self, platform: Platform, environment: str, say: Callable[[str], None]) -> None:
        self._platform = platform
        self._environment = environment
        self._say = say
        self._said = ""

    def fill(self) -> None:
        """Bring there what it lacks; where that fails, the next beat tries again."""
        try:
            self._platform.materialise(self._environment)
        except NenrinError as error:
            if error.message != self._said:
                self._say(f"{error.message} ({error.where}); {error.hint}")
            self._said = error.message
        else:
            self._said = ""


def _beat(holder: Holder, environment: str, online: _Online, stop: threading.Event) -> None:
    """Let the loop look at what is due, again and again; never while other work runs.

    An online store is filled first: the plane may be waiting for what it holds.
    """
    due = online.fill
    while True:
        try:
            with logs.about(environment=environment):
                holder.works.between(due)
        except Exception:  # noqa: BLE001 - the next tick may do better
            if not stop.is_set():
                _LOG.exception("a tick of the loop failed")
        due = partial(_turn, holder.platform, environment, online)
        if stop.wait(_BEAT):
            return


def _turn(platform: Platform, environment: str, online: _Online) -> None:
    platform.uncompile(environment)
    platform.loop.tick(environment)
    online.fill()
