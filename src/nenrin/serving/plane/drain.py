"""Ending without a dropped request.

A connection that the kernel has accepted may have a request on its way. So the server first stops
listening, then answers what still comes for a moment, asking clients to close, and only then closes
the connections that are idle.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext

import msgspec
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GRACE_SECONDS = 0.3


class Drain(msgspec.Struct):
    """Whether the end has begun: from then on every answer closes its connection."""

    begun: bool = False

    def over(self, app: ASGIApp) -> ASGIApp:
        """The app, whose responses say ``Connection: close`` from then on."""

        async def draining(scope: Scope, receive: Receive, send: Send) -> None:
            async def closing(message: Message) -> None:
                if self.begun and message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
                await send(message)

            await app(scope, receive, closing)

        return draining


class DrainingServer(uvicorn.Server):
    """A server whose shutdown begins with a moment of grace.

    Args:
        config, drain: what it serves, and how that ends.
        door: entered once it listens, left before it listens no more.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Drain,
        door: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._door = door
        self._open = ExitStack()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, listen, then open the door."""
        await super().startup(sockets)
        self._open.enter_context(self._door())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what is on its way, finish what is under way, end."""
        self._open.close()
        for server in self.servers:
            server.close()
        self._drain.begun = True
        await asyncio.sleep(GRACE_SECONDS)
        await super().shutdown(sockets)
