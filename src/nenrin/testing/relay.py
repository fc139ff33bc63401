"""Passes on, byte by byte, what comes to one address to a server that has another one."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

Address = tuple[str, int]
"""Host and port."""

_CHUNK = 2**16


class Relay(ThreadingTCPServer):
    """Listens where it was made, and speaks to the server from where it was started.

    These are two network namespaces where it is made within the block of a host
    (:mod:`nenrin.testing.hosts`).

    Args:
        host: where to listen, on a free port.
        server: where the server listens.

    Attributes:
        address: where the relay does.
    """

    daemon_threads = True

    def __init__(self, host: str, server: Address) -> None:
        super().__init__((host, 0), _Pair)
        self.to = server
        self.address: Address = (host, int(self.server_address[1]))
        self.refuses = False
        self.open: set[socket.socket] = set()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="relay", daemon=True
        )

    def start(self) -> None:
        """Pass on."""
        self._thread.start()

    def refuse(self, refuses: bool) -> None:
        """Close what is open and what comes; or take it again."""
        self.refuses = refuses
        for connection in list(self.open) if refuses else ():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Close everything."""
        self.refuse(True)
        self.shutdown()
        self._thread.join()
        self.server_close()

    def verify_request(self, *_: object) -> bool:
        """Whether a connection that has come is taken."""
        return not self.refuses

    def handle_error(self, *_: object) -> None:
        """Either end may go away: that is what this is for."""


class _Pair(BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with socket.create_connection(self.server.to) as there, selectors.DefaultSelector() as both:
            both.register(self.request, selectors.EVENT_READ, there)
            both.register(there, selectors.EVENT_READ, self.request)
            self.server.open |= {self.request, there}
            try:
                while all(_moved(key.fileobj, key.data) for key, _ in both.select()):
                    pass
            finally:
                self.server.open -= {self.request, there}


def _moved(one: object, other: socket.socket) -> bool:
    """Whether there was something to pass on."""
    assert isinstance(one, socket.socket)
    data = one.recv(_CHUNK)
    other.sendall(data)
    return bool(data)
