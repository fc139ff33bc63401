"""Ending without a dropped request.

A connection that the kernel has accepted may have a request on its way. So the server first stops
listening, then answers what still comes for a moment, asking clients to close, and only then closes
the connections that are idle.
"""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GRACE_SECONDS = 0.3


class Draining:
    """Adds ``Connection: close`` to every response once ``begun`` is set."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI exchange."""

        async def closing(message: Message) -> None:
            if self.begun and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, closing)


class DrainingServer(uvicorn.Server):
    """A server whose shutdown begins with a moment of grace."""

    def __init__(self, config: uvicorn.Config, draining: Draining) -> None:
        super().__init__(config)
        self._draining = draining

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what is on its way, finish what is under way, end."""
        for server in self.servers:
            server.close()
        self._draining.begun = True
        await asyncio.sleep(GRACE_SECONDS)
        await super().shutdown(sockets)
