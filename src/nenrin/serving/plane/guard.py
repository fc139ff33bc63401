"""Who may ask: holders of the token, or, where there is none, this machine alone."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from nenrin.core.errors import NenrinError, RequestError, UnauthorizedError

OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready", "/ping"})
"""What load balancers ask; it tells nothing about the data."""


class Guard:
    """Says who may ask.

    Args:
        token: asked of every request as ``Authorization: Bearer``. Without one, only requests that
            name this machine as their host are taken: a web page that has its own name point at
            127.0.0.1 (DNS rebinding) is refused.
    """

    def __init__(self, token: str | None) -> None:
        self._expected = f"Bearer {token}".encode() if token else None

    def allows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request with these headers is taken."""
        if self._expected is None:
            return _names_this_machine(headers.get(b"host", b""))
        return hmac.compare_digest(headers.get(b"authorization", b""), self._expected)

    def before(self, app: ASGIApp) -> ASGIApp:
        """The app, which then is asked by those alone."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
                headers = dict(scope["headers"])
                if not self.allows(headers):
                    raise self._refusal(headers)
            await app(scope, receive, send)

        return guarded

    def _refusal(self, headers: Mapping[bytes, bytes]) -> NenrinError:
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
