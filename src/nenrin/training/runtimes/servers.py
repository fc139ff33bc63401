"""A server in a process of its own: started on a free loopback port, looked after, ended with who started it.

Whoever asks a model that such a server answers for has one of its own, as it would have the model itself in
memory; models of one process share it.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from nenrin.core.errors import RemoteError
from nenrin.core.timer import SystemTimer

START_SECONDS = 60.0
"""How long who asks first waits for the server to be ready."""

_LINGERS = 60.0  # a worker opens the same model for each of its tasks
_LOOK = 0.1
_HEALTH_EVERY = 2.0
_HEALTH_SECONDS = 2.0
_MISSES = 3
_TRIES = 3
_LONGEST_PAUSE = 30.0
_GRACE = 10
_END = 30  # podman's rm sends SIGTERM once more, and waits as long for it
_LINES = 20

# Stands between, so that the server ends when this process does, however it ends: its input is closed then.
_BETWEEN = """
import json, os, subprocess, sys, threading
run, end, grace, longest = json.loads(sys.argv[1])
child = subprocess.Popen(run, stdin=subprocess.DEVNULL, start_new_session=True)
def follow():
    while os.read(0, 4096):
        pass
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
threading.Thread(target=follow, daemon=True).start()
code = child.wait()
if end:
    subprocess.run(end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=longest)
sys.exit(code if code >= 0 else 128 - code)
"""

_logger = logging.getLogger(__name__)
_shared: weakref.WeakValueDictionary[str, Server] = weakref.WeakValueDictionary()
_lingering: dict[str, tuple[Server, threading.Timer]] = {}
_sharing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started.

    Attributes:
        run: the program and its arguments; it runs until it gets SIGTERM.
        end: a program that ends what the first may have left behind; none is needed if empty.
    """

    run: tuple[str, ...]
    end: tuple[str, ...] = ()


class Server:
    """A handle on a server; when the last one is gone, the server is drained and ended.

    Args:
        name: what it is called in errors and logs.
        command: how it is started on a port.
    """

    def __init__(self, name: str, command: Callable[[int], Command]) -> None:
        self._keeper = _Keeper(name, command)
        self._ended = weakref.finalize(self, self._keeper.end)
        self._keeper.start()

    def url(self, within: float) -> str:
        """``http://127.0.0.1:PORT`` of the server, once it is ready.

        Args:
                within: seconds to wait for that; who asks first waits :data:`START_SECONDS` at least.

        Raises:
            RemoteError: it is not ready by then, or ended three times before it was; says what it wrote last.
        """
        return self._keeper.url(within)

    @property
    def closed(self) -> bool:
        """Whether it was ended."""
        return not self._ended.alive

    def close(self) -> None:
        """Drain the server, and wait for its end."""
        self._ended()


def shared(name: str, command: Callable[[int], Command]) -> Server:
    """The server of that name in this process, which is started if there is none.

    It lives as long as somebody has the handle, and a minute from now at least.
    """
    with _sharing:
        server = _shared.get(name)
        if server is None or server.closed:
            server = _shared[name] = Server(name, command)
        if name in _lingering:
            _lingering[name][1].cancel()
        timer = threading.Timer(_LINGERS, _let_go, (name, server))
        timer.daemon = True
        _lingering[name] = (server, timer)
        timer.start()
        return server


def _let_go(name: str, server: Server) -> None:
    with _sharing:
        if _lingering.get(name, (None,))[0] is server:
            del _lingering[name]


class _Keeper:
    """Starts a server, again after it has ended or is silent, until it is told to end."""

    def __init__(self, name: str, command: Callable[[int], Command]) -> None:
        self._name, self._command = name, command
        self._said: deque[str] = deque(maxlen=_LINES)
        self._timer = SystemTimer()
        self._over, self._changed = threading.Event(), threading.Condition()
        self._url: str | None = None
        self._patience = START_SECONDS
        self._failed = 0
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def url(self, within: float) -> str:
        with self._changed:
            seconds = max(within, self._patience)
            self._changed.wait_for(lambda: self._url or self._failed >= _TRIES, seconds)
            self._patience = 0.0
            if self._url:
                return self._url
        raise RemoteError(
            f"{self._name} is not ready: {' / '.join(self._said) or 'it says nothing'}",
            hint="start it by hand, and see whether GET /v2/health/ready answers 200",
            where=self._name,
        )

    def end(self) -> None:
        self._over.set()
        self._thread.join(_GRACE + 5)

    def _keep(self) -> None:
        while not self._over.is_set():
            try:
                was_ready = self._live()
            except OSError as error:
                was_ready = False
                self._said.append(str(error))
            self._failed = 0 if was_ready else self._failed + 1
            self._set(None)
            if not self._over.is_set():
                said = " / ".join(self._said)
                _logger.warning("%s ended, and is started again: %s", self._name, said)
                self._over.wait(min(2.0**self._failed, _LONGEST_PAUSE))

    def _live(self) -> bool:
        """One life of the server, from its start to its end; whether it was ready in it."""
        port = _free_port()
        command = self._command(port)
        self._said.clear()
        told = json.dumps([command.run, command.end, _GRACE, _END])
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BETWEEN, told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is not meant for it
            env=os.environ,
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            return self._watch(process, f"http://127.0.0.1:{port}")
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
            reader.join()

    def _watch(self, process: subprocess.Popen[bytes], url: str) -> bool:
        ready, misses, looked = False, 0, float("-inf")
        with httpx2.Client(timeout=_HEALTH_SECONDS, trust_env=False) as client:
            while not self._over.wait(_LOOK) and process.poll() is None:
                now = self._timer.wall()
                if ready and now < looked + _HEALTH_EVERY:
                    continue
                looked = now
                if _healthy(client, url):
                    ready, misses = True, 0
                    self._set(url)
                elif ready:
                    misses += 1
                    if misses == _MISSES:
                        self._set(None)  # its end may take all of its grace
                        self._said.append("it no longer answers /v2/health/ready")
                        break
        return ready

    def _set(self, url: str | None) -> None:
        with self._changed:
            self._url = url
            self._changed.notify_all()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                self._said.append(text)
                _logger.debug("%s: %s", self._name, text)


def _healthy(client: httpx2.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/v2/health/ready").is_success
    except httpx2.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
