"""Every error of the plane as JSON: ``{"error": text, "code", "message", "where", "hint"}``.

Version 2 wants the text under ``error``; the other members are those of every nenrin error. What the
API would have answered has the API's shape: ``{"error": {"code", "message", "where", "hint"}}``. No
traceback leaves the process.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nenrin.core.errors import (
    NenrinError,
    NoRoomError,
    NotFoundError,
    RequestError,
    UnauthorizedError,
    UnavailableError,
)

API = "/api/"
_HINTS: dict[int, str] = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "send fewer rows at a time",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "send application/json or text/csv in UTF-8, as it is or with the "
    "Content-Encoding gzip or deflate",
}
_CLOSED = "the handler is closed"
_LEFT = "http.disconnect"

_logger = logging.getLogger(__name__)


class Json(Response):
    """A JSON answer of plain values."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of ``content``."""
        return msgspec.json.encode(content)


class ErrorsAsJson:
    """Answers what the app raises, unless the answer has begun or the client has hung up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            try:
                await send(message)
            except RuntimeError as error:
                if _CLOSED not in str(error):
                    raise
                while (await receive())["type"] != _LEFT:
                    pass  # uvloop knows already that the client has left, uvicorn will in a moment
                raise ClientDisconnect from None

        scope["app"] = self  # Starlette then raises its own 404 and 405, instead of writing text
        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:  # nobody waits for an answer, and nothing is wrong here
            return
        except Exception as error:
            response = answer(error, scope["method"], scope["path"])
            if begun:
                raise
            with suppress(ClientDisconnect):
                await response(scope, receive, watched)


def answer(error: Exception, method: str, path: str) -> Response:
    """The response for an error; one that nobody foresaw is logged."""
    if not isinstance(error, NenrinError | HTTPException):
        _logger.error("%s %s", method, path, exc_info=error)
    known = _known(error, f"{method} {path}")
    status = error.status_code if isinstance(error, HTTPException) else known.status
    shape = {"error": known.as_dict()} if path.startswith(API) else body(known)
    response = Json(shape, status_code=status)
    if isinstance(known, UnavailableError) and not isinstance(known, NoRoomError):
        response.headers["Retry-After"] = "1"
    if isinstance(known, UnauthorizedError):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


def status_of(error: Exception) -> int:
    """The status of an error; of one that nobody foresaw 500."""
    if isinstance(error, NenrinError):
        return error.status
    if isinstance(error, HTTPException):
        return error.status_code
    return HTTPStatus.INTERNAL_SERVER_ERROR.value


def body(error: NenrinError) -> dict[str, str]:
    """The JSON shape of an error of the plane's own."""
    return {**error.as_dict(), "error": error.message}


def _known(error: Exception, asked: str) -> NenrinError:
    if isinstance(error, NenrinError):
        return error
    if not isinstance(error, HTTPException):
        return NenrinError(
            "something unexpected happened in the data plane",
            where=asked,
            hint="its log has the details; please report them with the request",
        )
    hint = "GET /v2 and GET /docs say what can be asked"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFoundError(f"there is no {asked}", where=asked, hint=hint)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return RequestError(f"{asked} is not allowed here", where=asked, hint=hint)
    fitting = _HINTS.get(error.status_code, hint)
    return RequestError(str(error.detail), where=asked, hint=fitting)
