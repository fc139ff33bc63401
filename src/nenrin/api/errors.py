"""Every error of every route in one JSON shape, with the status of its class."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from nenrin.api.wire import encode, encode_exactly, error_body, unexpected
from nenrin.core.errors import NenrinError, NotFoundError, RequestError, UnavailableError


class Json(Response):
    """A JSON answer of plain values and records."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The bytes of ``content``."""
        return encode(content)


class ExactJson(Json):
    """The same of what is logged, in which NaN and infinities stay what they are."""

    def render(self, content: object) -> bytes:
        """The bytes of ``content``."""
        return encode_exactly(content)


def answer_errors(app: FastAPI, log: Path) -> None:
    """Give ``app`` the one error shape; errors that nobody foresaw point at the file ``log``."""

    def foreseen(_: Request, error: Exception) -> Response:
        assert isinstance(error, NenrinError)
        return _answer(error, error.status)

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(_of_status(request, error), error.status_code, error.headers)

    def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(_of_validation(error), 422)

    def gone(*_: object) -> Response:
        return Response(status_code=400)  # which nobody reads

    def unforeseen(_: Request, error: Exception) -> Response:
        return _answer(unexpected(error, log), 500)

    app.add_exception_handler(NenrinError, foreseen)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, unforeseen)


def _answer(error: NenrinError, status: int, headers: object = None) -> Response:
    response = Json(error_body(error), status_code=status)
    response.headers.update(dict(headers or {}))  # type: ignore[call-overload]
    if isinstance(error, UnavailableError):
        response.headers.setdefault("Retry-After", "1")
    return response


def _of_status(request: Request, error: HTTPException) -> NenrinError:
    asked = f"{request.method} {request.url.path}"
    hint = "GET /docs lists every route"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFoundError(f"there is no {asked}", hint=hint)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return RequestError(f"{asked} is not allowed here", hint=hint)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        hint = "send less at a time"
    return RequestError(str(error.detail), where=asked, hint=hint)


def _of_validation(error: RequestValidationError) -> NenrinError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return RequestError(
        f"{place}: {first['msg'].lower()}",
        where=place,
        hint="GET /docs shows what this route takes",
    )
