"""What is said to bytes that are no HTTP, or a head without an end: they reach no app."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nenrin.core.errors import RequestError
from nenrin.serving.plane.errors import body

HEAD_BYTES = 2**16
"""The most that a head may have: its first line and its headers, or the trailers behind chunks. As h11's."""


class JsonErrorsProtocol(HttpToolsProtocol):
    """uvicorn's protocol; its 400 is JSON, as every other error is, and a head has a limit."""

    _in_head = False
    _came: int | None = None
    """Bytes of the head, but for the piece it began in; None: that is this piece."""

    _piece = 0
    _too_long = False

    def data_received(self, data: bytes) -> None:
        """Some bytes are there. The parser keeps a header until its end, however long it is."""
        self._piece = len(data)
        super().data_received(data)
        if self._in_head:
            self._came = 0 if self._came is None else self._came + len(data)
            if self._came > HEAD_BYTES:
                self._too_long = True
                self.send_400_response("")

    def head_begins(self) -> None:
        """What is parsed from here on is kept until its end."""
        self._in_head, self._came = True, None

    def head_ends(self) -> None:
        """A head is whole.

        Raises:
            ValueError: it is too long; the parser then stops, and uvicorn calls :meth:`send_400_response`.
        """
        self._in_head = False
        if self._came is not None or self._piece > HEAD_BYTES:
            fields = sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            self._too_long = len(self.url) + fields > HEAD_BYTES
            if self._too_long:
                raise ValueError("the head is too long")

    def on_chunk_header(self) -> None:
        """A chunk begins, or, after the last one, what may be trailers."""
        self.head_begins()

    def on_body(self, body: bytes) -> None:
        """Some of the body is there."""
        self._in_head = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_head = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer, and close the connection: nobody knows where the next request would begin.

        A whole request before it is answered instead, and then the connection is closed.
        """
        cycle: Any = self.cycle
        if self.transport.is_closing():
            return
        if not (cycle is None or cycle.response_complete or getattr(cycle, "more_body", False)):
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        status = HTTPStatus.BAD_REQUEST
        error = RequestError(msg.rstrip("."), hint="send a request of HTTP/1.1")
        if self._too_long:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            wrong = f"the request's head is larger than {HEAD_BYTES} bytes"
            error = RequestError(wrong, hint="send fewer or shorter headers")
        content = msgspec.json.encode(body(error))
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()
