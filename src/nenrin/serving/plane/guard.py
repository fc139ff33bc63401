"""Who may ask: holders of the token, or, where there is none, this machine alone."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from nenrin.core.errors import NenrinError, RequestError, UnauthorizedError
from nenrin.serving.plane.doors import DOORS, Doors
from nenrin.serving.plane.headers import by_name

OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})
"""What load balancers ask; it tells nothing about the data."""

_LONGEST_HOST = 255  # bytes; they are remembered


class Guard:
    """Says who may ask.

    Args:
        token: asked of every request as ``Authorization: Bearer``. Without one, only requests that
            name this machine as their host are taken: a web page that has its own name point at
            127.0.0.1 (DNS rebinding) is refused.
        doors: which paths need neither.
    """

    def __init__(self, token: str | None, doors: Doors = DOORS) -> None:
        self._expected = f"Bearer {token}".encode() if token else None
        self._open = OPEN_PATHS | doors.health | (doors.predict if doors.open else frozenset())
        self._local = not doors.open

    def allows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request for a path, with these headers, is taken."""
        if path in self._open:
            return True
        if self._expected is None:
            host = headers.get(b"host", b"")
            return self._local and len(host) <= _LONGEST_HOST and _names_this_machine(host)
        return hmac.compare_digest(headers.get(b"authorization", b""), self._expected)

    def before(self, app: ASGIApp) -> ASGIApp:
        """The app, which then is asked by those alone."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                headers: dict[bytes, bytes] = by_name(scope["headers"], b", ")
                if not self.allows(scope["path"], headers):
                    raise self._refusal(headers)
            await app(scope, receive, send)

        return guarded

    def _refusal(self, headers: Mapping[bytes, bytes]) -> NenrinError:
        if self._expected is None and not self._local:
            return UnauthorizedError(
                "without a token, only health and predictions are answered here",
                hint="set NENRIN_TOKEN where it is served, and send it",
            )
        if self._expected is None:
            host = headers.get(b"host", b"").decode("latin-1")
            return RequestError(
                f"the host {host!r} is not this machine",
                hint="ask 127.0.0.1 or localhost, or set NENRIN_TOKEN to serve other names",
            )
        return UnauthorizedError(
            "the token is wrong" if headers.get(b"authorization") else "the request has no token",
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
