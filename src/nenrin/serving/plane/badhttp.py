"""What is said to bytes that are no HTTP: they reach no app."""

from __future__ import annotations

from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nenrin.core.errors import RequestError
from nenrin.serving.plane.errors import body


class JsonErrorsProtocol(HttpToolsProtocol):
    """uvicorn's protocol; its 400 is JSON, as every other error is."""

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
        error = RequestError(msg.rstrip("."), hint="send a request of HTTP/1.1")
        content = msgspec.json.encode(body(error))
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()
