"""The client of a folder's control process.

It knows nothing of the platform: a command that finds the process running loads none of it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import httpx2

from nenrin.api.folder import control_socket
from nenrin.api.wire import ACTOR, actor, decode, error_from
from nenrin.core.errors import UnavailableError
from nenrin.core.lock import PATIENCE, FolderLock
from nenrin.core.timer import SystemTimer, Timer

_PAUSE = 0.05

Told = Callable[[dict[str, Any]], None]


class Place(Protocol):
    """The folder whose process is asked, and the environment that it is asked about."""

    @property
    def state_folder(self) -> Path:
        """Its ``.nenrin``."""
        ...

    @property
    def environment(self) -> str:
        """Its name."""
        ...


P = TypeVar("P", bound=Place)
Hold = Callable[[P, FolderLock], AbstractContextManager[object]]
"""Serves the folder from this process; takes its lock, acquired, and gives it back at the end."""


class Stopped(KeyboardInterrupt):
    """The work was asked to stop, and did."""


class Detached(KeyboardInterrupt):
    """Ctrl-C came twice: the client stopped listening to work that has not ended."""


class Client:
    """Calls the control application; errors come back as the classes they were raised as.

    Args:
        http: an HTTP client whose base address is the application's.
        environment: the environment that calls are about, unless they name another.
        own: whether the application runs in this process, and ends with it.
    """

    def __init__(self, http: httpx2.Client, environment: str, *, own: bool = False) -> None:
        self._http = http
        self.environment = environment
        self.own = own

    def get(self, path: str, **params: Any) -> Any:
        """The value at ``path``."""
        return self._value(self._send("GET", path, params=self._given(params)))

    def post(self, path: str, body: dict[str, Any] | None = None, **params: Any) -> Any:
        """Do the verb at ``path``."""
        return self._value(self._send("POST", path, json=body or {}, params=self._given(params)))

    def text(self, path: str, **params: Any) -> str:
        """The page at ``path``."""
        return self._checked(self._send("GET", path, params=self._given(params))).text

    def download(self, path: str, to: Path, **params: Any) -> dict[str, Any]:
        """Write the file at ``path`` to ``to``; gives what its header ``Nenrin-Export`` says."""
        part = to.with_name(f"{to.name}.part")
        with self._http.stream("GET", quote(path), params=self._given(params)) as answer:
            if answer.is_error:
                answer.read()
            self._checked(answer)
            with part.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        part.replace(to)
        said: dict[str, Any] = decode(answer.headers.get("Nenrin-Export", "{}"))
        return said

    def upload(self, path: str, file: Path, told: Told, **params: Any) -> Any:
        """Send the bytes of ``file`` to ``path`` and follow the work that takes them in."""
        with file.open("rb") as body:
            started = self._value(
                self._send("PUT", path, content=body, params=self._given(params), timeout=None)
            )
        return self.follow(started["work"], told)

    def work(
        self, path: str, body: dict[str, Any] | None, told: Told, **params: Any
    ) -> dict[str, Any]:
        """Start the long work at ``path`` and follow it to its result.

        Args:
            path: where it starts.
            body: what it takes.
            told: called with every report of progress, and with every line that a step writes.
            params: query parameters; those that are None are left out.
        """
        started = self.post(path, body, **params)
        result: dict[str, Any] = self.follow(started["work"], told)
        return result

    def follow(self, work: str, told: Told) -> Any:
        """Listen to work until it ends.

        The first Ctrl-C asks it to stop and goes on listening; the second stops listening.

        Raises:
            Stopped: it was stopped, by this client or another.
            Detached: Ctrl-C came twice.
            NenrinError: what it raised.
        """
        try:
            return self._listen(work, told)
        except Stopped:
            raise
        except KeyboardInterrupt:
            self._send("DELETE", f"/api/work/{work}")
        try:
            return self._listen(work, told)
        except Stopped:
            raise
        except KeyboardInterrupt:
            raise Detached(work) from None

    def _listen(self, work: str, told: Told) -> Any:
        stream = self._http.stream("GET", f"/api/work/{work}/events", timeout=60)
        with suppress(httpx2.TransportError), stream as answer:  # cut off in the middle
            for event in httpx2.EventSource(answer):
                data = decode(event.data)
                if event.event in ("progress", "line"):
                    told(data)
                elif event.event == "result":
                    return data
                elif event.event == "error":
                    raise error_from(data["error"])
                elif event.event == "cancelled":
                    raise Stopped(work)
        raise UnavailableError(
            "the process that held this folder is gone",
            hint="nenrin up goes on with this work by itself, and so does the same command",
        )

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            return self._http.request(method, quote(path), **options)
        except httpx2.TransportError as error:
            raise _gone() from error

    def _given(self, params: dict[str, Any]) -> dict[str, Any]:
        params = {"environment": self.environment, **params}
        return {name: value for name, value in params.items() if value is not None}

    def _value(self, answer: httpx2.Response) -> Any:
        return decode(self._checked(answer).content)

    def _checked(self, answer: httpx2.Response) -> httpx2.Response:
        if answer.is_error:
            raise error_from(decode(answer.content)["error"])
        return answer


@contextmanager
def connect(place: P, hold: Hold[P], timer: Timer | None = None) -> Iterator[Client]:
    """A client of the process that holds the folder; this process becomes it if there is none.

    While it lasts other commands may use it too; on leaving, they are waited for, and so is the work that
    they started.

    Args:
        place: says which folder.
        hold: makes this process the holder.
        timer: tells how long another holder has not answered.

    Raises:
        UnavailableError: another process holds the folder but does not answer.
    """
    timer = timer or SystemTimer()
    lock = FolderLock(place.state_folder)
    path = control_socket(place.state_folder)
    until = timer.wall() + PATIENCE  # another process may take so long to open its socket
    while timer.wall() < until:
        if lock.try_acquire():
            with hold(place, lock), _http(path) as http:
                yield Client(http, place.environment, own=True)
            return
        there = _reached(path)
        if there is not None:
            with there, _http(path) as http:  # the holder stays while somebody is connected
                yield Client(http, place.environment)
            return
        timer.sleep(_PAUSE)
    raise UnavailableError(
        f"process {lock.held_by() or '?'} holds {place.state_folder} but does not answer",
        where=str(path),
        hint="wait until it ends, or end it",
    )


def _http(path: Path) -> httpx2.Client:
    # no TLS on a Unix socket: without verify=False its certificates would be read all the same
    transport = httpx2.HTTPTransport(uds=str(path), verify=False)
    return httpx2.Client(
        transport=transport, base_url="http://nenrin", timeout=600, headers={ACTOR: actor()}
    )


def _reached(path: Path) -> socket.socket | None:
    """A connection, if somebody accepts it; a socket file alone may be a dead process'."""
    there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        there.connect(str(path))
    except OSError:
        there.close()
        return None
    return there


def _gone() -> UnavailableError:
    return UnavailableError(
        "the process that held this folder is gone", hint="run the command again"
    )
