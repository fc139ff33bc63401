"""Who may ask: holders of the token, or, where there is none, this machine alone."""

from __future__ import annotations

import hmac
import re
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from nenrin.core.errors import RequestError, UnauthorizedError
from nenrin.serving.plane.doors import DOORS, Doors

OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})
"""What load balancers ask; it tells nothing about the data."""


class Guard:
    """Lets requests through to the app.

    Args:
        app: what is guarded.
        token: asked of every request as ``Authorization: Bearer``. Without one, only requests that
            name this machine as their host are taken: a web page that has its own name point at
            127.0.0.1 (DNS rebinding) is refused.
        doors: which paths need neither.
    """

    def __init__(self, app: ASGIApp, token: str | None, doors: Doors = DOORS) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else None
        self._open = OPEN_PATHS | doors.health | (doors.predict if doors.open else frozenset())
        self._local = not doors.open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI exchange."""
        if scope["type"] == "http" and scope["path"] not in self._open:
            self._check(dict(scope["headers"]))
        await self._app(scope, receive, send)

    def _check(self, headers: dict[bytes, bytes]) -> None:
        if self._expected is None and self._local:
            host = headers.get(b"host", b"")
            if not _names_this_machine(host):
                raise RequestError(
                    f"the host {host.decode('latin-1')!r} is not this machine",
                    hint="ask 127.0.0.1 or localhost, or set NENRIN_TOKEN to serve other names",
                )
            return
        given = headers.get(b"authorization", b"")
        if self._expected is None:
            raise UnauthorizedError(
                "without a token, only health and predictions are answered here",
                hint="set NENRIN_TOKEN where it is served, and send it",
            )
        if not hmac.compare_digest(given, self._expected):
            raise UnauthorizedError(
                "the token is wrong" if given else "the request has no token",
                hint="send the header Authorization: Bearer and the value of NENRIN_TOKEN",
            )


@lru_cache(1024)
def _names_this_machine(host: bytes) -> bool:
    """Whether a Host header, its port left off, is a loopback name or address."""
    name = re.sub(r":\d*$", "", host.decode("latin-1")).strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
