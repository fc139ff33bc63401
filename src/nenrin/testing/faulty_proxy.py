"""A proxy before an HTTP server, that breaks what goes through it: to see what clients make of a bad network.

Faults are of the next requests, one each, in the order in which they were added; with none left requests go
through. ``delay`` slows all of them.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

from nenrin.core.timer import SystemTimer

Fault = Literal["503", "reset", "cut", "lost answer", "garbled"]
"""``503``: the proxy answers that; ``reset``: the connection is closed at once; ``cut``: the answer's body
ends in its middle; ``lost answer``: the request is done, and the connection closed; ``garbled``: one byte of
the answer's body is another."""

_HOP = {"connection", "keep-alive", "transfer-encoding"}


class FaultyProxy(ThreadingHTTPServer):
    """Forwards to ``upstream``, an address such as ``http://127.0.0.1:8333``.

    Attributes:
        address: its own.
        delay: seconds that each request is held.
        requests: what came, ``METHOD path``.
    """

    daemon_threads = True

    def __init__(self, upstream: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.delay = 0.0
        self.requests: list[str] = []
        self.connections: set[socket.socket] = set()
        self._faults: list[tuple[str, Fault]] = []
        self._lock = threading.Lock()

    def fail(self, fault: Fault, times: int = 1, *, method: str = "") -> None:
        """Let the next ``times`` requests fail, those of ``method`` only where it is given."""
        with self._lock:
            self._faults += [(method, fault)] * times

    def next_fault(self, method: str) -> Fault | None:
        """The fault of a request that has come."""
        with self._lock:
            for number, (only, fault) in enumerate(self._faults):
                if only in ("", method):
                    del self._faults[number]
                    return fault
        return None

    def left(self) -> int:
        """How many faults nobody has met."""
        return len(self._faults)

    def stop(self) -> None:
        """Refuse connections, and close those that are open."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away: that is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        pass

    def _forward(self) -> None:
        proxy = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy.requests.append(f"{self.command} {self.path}")
        fault = proxy.next_fault(self.command)
        if proxy.delay:
            SystemTimer().sleep(proxy.delay)
        if fault == "503":
            self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
        elif fault == "reset":
            self._hang_up()
        else:
            self._pass_on(body, fault)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _forward  # noqa: N815 - the server's names

    def _pass_on(self, body: bytes, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            # the headers as they are: the signature is of them, the host among them
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            data = answer.read()
        except OSError:
            self._hang_up()
            return
        finally:
            upstream.close()
        if fault == "lost answer":
            self._hang_up()
            return
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP}
        self._answer(answer.status, headers, data, fault)

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes, fault: Fault | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "cut":
            self.wfile.write(data[: len(data) // 2])
            self._hang_up()
        elif fault == "garbled" and data:
            middle = len(data) // 2
            self.wfile.write(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        else:
            self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty_proxy(upstream: str, port: int = 0) -> Iterator[FaultyProxy]:
    """A proxy that forwards until the block ends; then its port refuses connections."""
    proxy = FaultyProxy(upstream, port)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()
