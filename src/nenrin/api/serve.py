"""``nenrin up``: the control process, the data plane in front of it, and the loop's heartbeat.

The data plane is a process of its own that owns the public port. It goes on answering when the
control process dies; the next one finds it by its lock, takes its sockets over, and lets it drain once its
own planes have loaded and listen beside it.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType

from nenrin.api.holder import Holder, Opener
from nenrin.api.planes import READY_SECONDS, PartsOf, Planes
from nenrin.core import logs
from nenrin.core.errors import NenrinError, RefusedError, UnavailableError
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.plane import plane_parts, store_of
from nenrin.platform import Platform

_LOG = logging.getLogger(__name__)
_BEAT = 5.0  # seconds between two looks of the loop at what is due
_GUARD = 1.0  # seconds between two looks at whether what goes out is safe
_LOOK = 0.5  # seconds between two looks at the data plane
_END = 2.0  # seconds that a tick may take to end by itself


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
        say: told what goes on that an earlier process was killed at, and who is waited for.

    Raises:
        RefusedError: others could reach the port, and no token is set.
        ConflictError: another process serves the folder, or the port.
    """
    if not (settings.is_loopback or settings.token or _is_closed_by_a_platform(settings)):
        raise RefusedError(
            f"{settings.host} can be reached from other machines, and no token is set",
            where="--host",
            hint="set NENRIN_TOKEN to 16 characters or more, or leave --host out",
        )
    lock = FolderLock(settings.state_folder, stays=True)
    lock.acquire(say)
    try:
        planes = Planes(settings, parts_of, store_of)
    except BaseException:
        lock.release()
        raise
    stop = _stop_on_signals()
    shown = logs.to_stderr(settings.log) if settings.log == "json" else None
    try:
        with Holder(settings, lock, opener) as holder:
            _serve(holder, planes, settings.environment, stop, ready, say)
    finally:
        planes.stop()
        if shown is not None:
            logs.end(shown)


def _serve(
    holder: Holder,
    planes: Planes,
    environment: str,
    stop: threading.Event,
    ready: Callable[[str, Platform], None],
    say: Callable[[str], None],
) -> None:
    platform = holder.platform
    online = _Told(partial(platform.materialise, environment), say)
    scores = _Told(partial(platform.write_scores, environment), say)
    guard = partial(_look_after, platform, environment, planes.news)
    beat = _thread("beat", _beat, holder, environment, online, stop)
    beside = [
        _thread("guard", _again, guard, _GUARD, environment, stop),
        _thread("scores", _again, scores, _BEAT, environment, stop),
    ]
    try:
        for healed in holder.platform.loop.heal(environment):
            say(healed)
        planes.start()
        beat.start()
        for thread in beside:
            thread.start()
        for work in holder.works.resume():
            say(f"{work.what} was cut off, and goes on")
        if planes.ready(stop):
            ready(planes.url, holder.platform)
        elif not stop.is_set():
            say(
                f"the data plane does not answer for every deployment after {READY_SECONDS:.0f} s: "
                f"a version may not load; {planes.url}/v2/health/ready says which, "
                "nenrin deployments rollback leaves it"
            )
        while not stop.wait(_LOOK):
            planes.look()
    finally:
        stop.set()
        planes.stop()
        holder.works.close()
        for thread in filter(threading.Thread.is_alive, (*beside, beat)):
            thread.join(_END)  # what is long is cut off: what was done is kept, the rest done again


def _is_closed_by_a_platform(settings: Settings) -> bool:
    """Predictions are open to whoever is in front, and without a token nothing else is."""
    return settings.predictions_open and settings.grpc_port is None


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


class _Told:
    """Does something at every beat; what is wrong with it is said once, and the next beat tries again."""

    def __init__(self, do: Callable[[], object], say: Callable[[str], None]) -> None:
        self._do = do
        self._say = say
        self._said = ""

    def __call__(self) -> None:
        try:
            self._do()
        except NenrinError as error:
            if error.message != self._said:
                self._say(f"{error.message} ({error.where}); {error.hint}")
            self._said = error.message
        else:
            self._said = ""


def _thread(name: str, target: Callable[..., None], *given: object) -> threading.Thread:
    return threading.Thread(target=target, args=given, name=f"nenrin-{name}", daemon=True)


def _beat(holder: Holder, environment: str, online: _Told, stop: threading.Event) -> None:
    """Let the loop look at what is due, again and again; never while other work runs.

    An online store is filled first: the plane may be waiting for what it holds.
    """
    due: Callable[[], None] = online
    while True:
        try:
            with logs.about(environment=environment):
                holder.works.between(due)
        except Exception as error:  # noqa: BLE001 - the next tick may do better
            _note("a tick of the loop", error, stop)
        due = partial(_turn, holder.platform, environment, online)
        if stop.wait(_BEAT):
            return


def _again(do: Callable[[], object], pause: float, environment: str, stop: threading.Event) -> None:
    """What waits for no other work and keeps none waiting: is what goes out safe, and scores."""
    while not stop.wait(pause):
        try:
            with logs.about(environment=environment):
                do()
        except Exception as error:  # noqa: BLE001 - the next time may do better
            _note(threading.current_thread().name, error, stop)


def _note(what: str, error: Exception, stop: threading.Event) -> None:
    """Log what failed, unless the end cut it off; what is merely away needs no traceback."""
    if stop.is_set():
        return
    if isinstance(error, UnavailableError):
        _LOG.warning("%s failed: %s", what, error.message)
    else:
        _LOG.error("%s failed", what, exc_info=error)


def _look_after(platform: Platform, environment: str, news: list[str]) -> None:
    """Record why planes were started again, and roll back what is not safe."""
    while news:
        platform.loop.restarted(environment, "data plane", news[0])
        del news[0]  # while the database is away it stays
    platform.loop.guard(environment)


def _turn(platform: Platform, environment: str, online: _Told) -> None:
    platform.uncompile(environment)
    platform.loop.tick(environment)
    online()
