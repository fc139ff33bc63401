"""Who may ask: holders of the token, or, where there is none, this machine alone."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from nenrin.core.errors import RequestError, UnauthorizedError

OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready", "/ping"})
"""What load balancers ask; it tells nothing about the data."""


class Guard:
    """Lets requests through to the app.

    Args:
        app: what is guarded.
        token: asked of every request as ``Authorization: Bearer``. Without one, only requests that
            name this machine as their host are taken: a web page that has its own name point at
            127.0.0.1 (DNS rebinding) is refused.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI exchange."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            self._check(HTTPConnection(scope))
        await self._app(scope, receive, send)

    def _check(self, request: HTTPConnection) -> None:
        if self._expected is None:
            host = request.url.hostname or ""
            if not _is_loopback(host):
                raise RequestError(
                    f"the host {host!r} is not this machine",
                    hint="ask 127.0.0.1 or localhost, or set NENRIN_TOKEN to serve other names",
                )
            return
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._expected):
            raise UnauthorizedError(
                "the token is wrong" if given else "the request has no token",
                hint="send the header Authorization: Bearer and the value of NENRIN_TOKEN",
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
