"""A request's body as it was meant: decompressed, within its limit, and cut where it has two parts."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request

from nenrin.core.errors import RequestError
from nenrin.serving.plane.headers import by_name

BODY_BYTES = 64 * 2**20
"""The most that a request's body may have, as it came and decompressed."""

HEAD_LENGTH = "inference-header-content-length"
"""The header that says how many bytes of JSON stand before the tensors' bytes."""

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def body_of(request: Request, limit: int) -> bytes:
    """A request's body, decompressed; it may have so many bytes, compressed and not.

    Raises:
        HTTPException: 413: it is larger; 415: it has another encoding.
        RequestError: it is not compressed as it says.
    """
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > limit:
        raise too_large(limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
    return inflated(b"".join(chunks), by_name(request.headers.items(), ", "), limit)


def inflated(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The body, decompressed as its ``Content-Encoding`` says.

    Args:
        body: as it came.
        headers: of the request, by names in lower case.
        limit: the most bytes that it may have decompressed.

    Raises:
        HTTPException: 415: another encoding; 413: it is larger.
        RequestError: it is not compressed so.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in _WINDOWS:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the encoding {encoding!r:.40} is not one of {', '.join(_WINDOWS)}",
        )
    engine = zlib.decompressobj(_WINDOWS[encoding])
    try:
        content = engine.decompress(body, limit + 1)
    except zlib.error:
        content = b""
    if len(content) > limit:
        raise too_large(limit)
    if not engine.eof or engine.unused_data:
        raise RequestError(
            f"the body is not {encoding}", hint="send it compressed so, or without Content-Encoding"
        )
    return content


def too_large(limit: int) -> HTTPException:
    """The error of a body that is larger than it may be."""
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes"
    )


def cut(body: bytes, headers: Mapping[str, str]) -> tuple[bytes, memoryview | None]:
    """The body's JSON, and the tensors' bytes behind it; None if it is JSON alone.

    Raises:
        RequestError: the header does not say where the JSON ends.
    """
    told = headers.get(HEAD_LENGTH)
    if told is None:
        return body, None
    size = int(told) if told.isascii() and told.isdigit() and len(told) < 16 else -1
    if not 0 < size <= len(body):
        raise RequestError(
            f"Inference-Header-Content-Length is {told!r:.40}, and the body has {len(body)} bytes",
            hint="send how many bytes of JSON stand before the tensors' bytes",
        )
    return body[:size], memoryview(body)[size:]
