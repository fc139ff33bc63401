"""Ending without a dropped request.

A connection that the kernel has accepted may have a request on its way. So the server first stops
listening, then answers what still comes for a moment, asking clients to close, and only then closes
the connections that are idle.
"""

from __future__ import annotations

import asyncio
import socket

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
    """A server whose shutdown begins with a moment of grace."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what is on its way, finish what is under way, end."""
        for server in self.servers:
            server.close()
        self._drain.begun = True
        await asyncio.sleep(GRACE_SECONDS)
        await super().shutdown(sockets)
