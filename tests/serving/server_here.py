"""A plane in a thread of this process, asked over sockets."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import uvicorn

from nenrin.core.calendar import SimulatedCalendar
from nenrin.core.timer import SystemTimer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.front import Exchange, FrontProtocol, protocol_for
from nenrin.serving.plane.listening import listen
from nenrin.serving.plane.memory import Room
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.ports import Loader, RouteReader
from tests.serving.fakes import FakeLoader


class Server:
    """A plane in a thread: with hot requests, or with the app alone; ``taken`` counts the hot ones.

    ``heads`` are those that its front end remembers.
    """

    def __init__(
        self,
        folder: Path,
        routes: RouteReader,
        *,
        hot: bool = True,
        token: str | None = None,
        keep_alive: int = 5,
        loader: Loader | None = None,
        room: Room | None = None,
    ) -> None:
        calendar = SimulatedCalendar(1_380_000_000_000_000)
        table = RouteTable(routes, loader or FakeLoader(), calendar, SystemTimer(), room=room)
        table.refresh()
        self.table = table
        control = ControlProxy(folder / "control.sock")
        plane = Plane(table, LiveLog(folder / "predictions"), control, SystemTimer())
        self.drain = plane.drain
        self.taken = 0
        answers = plane.hot(token)
        takes, answer = answers.takes, answers.answer

        def counted(exchange: Exchange) -> None:
            self.taken += 1
            answer(exchange)

        answers.takes = takes if hot else lambda *_: None  # type: ignore[method-assign]
        answers.answer = counted  # type: ignore[method-assign]
        protocol: type[FrontProtocol] = protocol_for(answers)
        self.heads = protocol.heads.known
        config = uvicorn.Config(
            self.drain.over(plane.app(token)),
            http=protocol,
            log_config=None,
            server_header=False,
            timeout_keep_alive=keep_alive,
        )
        self._server = uvicorn.Server(config)
        self._listener = listen("127.0.0.1", 0)
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def ask(self, *pieces: bytes, half_closed: bool = False) -> bytes:
        """Everything that comes back on one connection until the server is silent or closes it."""
        with socket.create_connection(self.address) as client:
            for piece in pieces:
                client.sendall(piece)
            if half_closed:
                client.shutdown(socket.SHUT_WR)
            return told(client, b"".join(pieces).count(b" HTTP/1.1\r\n"))


def told(client: socket.socket, requests: int = 1) -> bytes:
    """What comes until the server closes or, having said something, is silent: long, if one lacks."""
    client.settimeout(60)
    found = b""
    try:
        while chunk := client.recv(65536):
            found += chunk
            client.settimeout(0.15 if found.count(b"HTTP/1.1 ") >= requests else 2.0)
    except TimeoutError:
        found += b"<open>"
    return found
