"""The one process that writes to a folder: it holds lock, platform and control socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from nenrin.api.app import create_app, works_of
from nenrin.api.folder import control_socket, log_file
from nenrin.core import logs
from nenrin.core.errors import UnavailableError
from nenrin.core.lock import FolderLock
from nenrin.core.settings import Settings
from nenrin.platform import Platform

Opener = Callable[[Settings], Platform]

_LOOK = 0.01  # seconds between two looks whether others are still connected
_PARTING = 10.0  # seconds that they may stay without work: one that hangs is not waited for


class Holder:
    """Serves a folder's control application on its socket, from a thread of this process.

    Args:
        settings: says which folder.
        lock: the folder's lock, acquired already; released by :meth:`close`.
        opener: makes the platform.

    Raises:
        NenrinError: the platform does not open; the lock is released again.
    """

    def __init__(
        self, settings: Settings, lock: FolderLock, opener: Opener = Platform.open
    ) -> None:
        self._lock = lock
        self.path = control_socket(settings.state_folder)
        log = log_file(settings.state_folder)
        try:
            self._log = logs.to_file(log, settings.log)
            self.platform = opener(settings)
            listener = _listen(self.path)
        except BaseException:
            lock.release()
            raise
        self.works = works_of(self.platform)
        self._server = uvicorn.Server(
            uvicorn.Config(
                create_app(self.platform, self.works),
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="nenrin-control", daemon=True
        )
        self._thread.start()

    def ready(self, timeout: float = 10.0) -> Self:
        """Wait until the socket answers.

        Raises:
            UnavailableError: it does not within ``timeout`` seconds.
        """
        pause = threading.Event()
        for _ in range(int(timeout / 0.005)):
            if self._server.started:
                return self
            if not self._thread.is_alive():
                break
            pause.wait(0.005)
        raise UnavailableError(
            "the control process did not start", where=str(self.path), hint="see .nenrin/nenrin.log"
        )

    def close(self) -> None:
        """Finish the requests under way, close the platform, and give the folder back."""
        self._server.should_exit = True
        self._thread.join()
        self.path.unlink(missing_ok=True)
        self.platform.close()
        self._lock.release()
        logs.end(self._log)

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self._drain()
            self.path.unlink(missing_ok=True)  # who comes now waits for the lock
            self._drain()  # who came a moment before is served
        self.close()

    def _drain(self) -> None:
        """Wait until what other commands started here has ended, and they have fetched it and left."""
        pause = threading.Event()
        for _ in range(int(_PARTING / _LOOK)):
            self.works.drain()
            pause.wait(_LOOK)
            if not self._server.server_state.connections and self.works.drain(0):
                return


def _listen(path: Path) -> socket.socket:
    """A listening socket that only this user may open; one left by a dead holder is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)  # before listen: until then nobody can connect
    listener.listen(128)
    return listener
