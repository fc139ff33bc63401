"""Passes on to the control process what the plane does not answer: API, pages, live events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from nenrin.core.errors import RequestError, UnavailableError

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers that speak of one connection only (RFC 9110, section 7.6.1)."""


class ControlProxy:
    """An ASGI app that asks the control process over its Unix socket and streams both ways.

    Connections are not kept: to open one on this machine costs nothing, and none can be stale when
    the control process comes back.
    """

    def __init__(self, socket: Path) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(socket), limits=limits),
            base_url="http://control",
            timeout=httpx2.Timeout(None, connect=2.0),
            trust_env=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI exchange."""
        if scope["type"] == "http":
            response = await self._ask(Request(scope, receive))
            await response(scope, receive, send)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    def _url(self, request: Request) -> httpx2.URL:
        target = _target(request)
        try:
            return self._client.base_url.copy_with(raw_path=target)
        except httpx2.InvalidURL as error:
            raise RequestError(
                f"{target[:60].decode('latin-1')!r} is not a path: {error}",
                hint="GET /docs says what can be asked",
            ) from None

    async def _ask(self, request: Request) -> Response:
        client = f"{request.client.host}" if request.client else ""
        passed = self._client.build_request(
            request.method,
            self._url(request),
            headers=[
                *_end_to_end(request.headers.raw),
                (b"x-forwarded-for", client.encode()),
                (b"x-forwarded-proto", request.url.scheme.encode()),
            ],
            content=request.stream() if _has_body(request) else None,
        )
        try:
            answer = await self._client.send(passed, stream=True)
        except httpx2.TransportError as error:
            raise UnavailableError(
                "the control process does not answer",
                hint="predictions are still served; start it with `nenrin up`, then try again",
                where=request.url.path,
            ) from error
        response = StreamingResponse(_chunks(answer), status_code=answer.status_code)
        response.raw_headers = _end_to_end(answer.headers.raw)
        return response


async def _chunks(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _target(request: Request) -> bytes:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return path + b"?" + query if query else path


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    lowered = [(name.lower(), value) for name, value in headers]
    named = {
        each.strip().lower()
        for name, value in lowered
        if name == b"connection"
        for each in value.split(b",")
    }
    return [(name, value) for name, value in lowered if name not in _HOP_BY_HOP | named]
