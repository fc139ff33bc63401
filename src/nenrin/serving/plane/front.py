"""The HTTP front end: uvicorn's, with a short way for what is asked most.

A *hot* request is answered in the turn of the loop in which it is whole, or once its model has, without an
ASGI scope, task or message. Only plain ones are: a body of known length, nothing under way on the
connection, nothing to wait for. All else goes through the app, by uvicorn's own code, so that both ways see
the same bytes by the same parser.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Protocol

from starlette.responses import Response

from nenrin.serving.plane.heads import ODD, Heads
from nenrin.serving.plane.silence import SilenceProtocol

_END = b"\r\n\r\n"
_LONGEST_HEAD = 2_048


class Hot(Protocol):
    """Answers hot requests."""

    @property
    def ending(self) -> bool:
        """Whether connections are to be closed after their answers."""
        ...

    def takes(self, url: bytes, headers: dict[bytes, bytes]) -> Any | None:
        """What a POST is for, if it is to be answered here; None: the app answers it."""
        ...

    def ready(self, target: Any) -> bool:
        """Whether a request for what :meth:`takes` said before can be answered here now."""
        ...

    def answer(self, exchange: Exchange) -> None:
        """Have a whole request answered, now or later, by ``exchange.respond``."""
        ...


class _Nobody:
    """Nobody waits for what comes after a hot request."""

    def set(self) -> None:
        """Wake nobody."""


class Exchange:
    """A hot request and its answer. To uvicorn it is the cycle that is under way.

    Attributes:
        target: what :meth:`Hot.takes` said.
        headers: by lower-case names, each once.
        body: the whole body.
        started: when it was whole, by the log's timer, as who answers it says.
    """

    __slots__ = (
        "_chunks",
        "_protocol",
        "disconnected",
        "headers",
        "keep_alive",
        "response_complete",
        "started",
        "target",
    )

    message_event = _Nobody()

    def __init__(
        self,
        protocol: FrontProtocol,
        target: Any,
        headers: dict[bytes, bytes],
        keep_alive: bool,
        body: list[bytes],
    ) -> None:
        self._protocol = protocol
        self._chunks = body
        self.target = target
        self.headers = headers
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.started = 0.0

    @property
    def body(self) -> bytes:
        """The request's body."""
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def add(self, body: bytes) -> None:
        """A further part of the body."""
        self._chunks.append(body)

    def respond(self, body: bytes) -> None:
        """Write JSON, once; an answer that nobody waits for goes nowhere."""
        if not self._is_over():
            head = b"content-length: %d\r\ncontent-type: application/json\r\n" % len(body)
            self._protocol.finish(self, 200, head, body)

    def send(self, response: Response) -> None:
        """Write any whole response, once."""
        if not self._is_over():
            head = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
            self._protocol.finish(self, response.status_code, head, bytes(response.body))

    def _is_over(self) -> bool:
        over = self.response_complete or self.disconnected
        self.response_complete = True
        return over


class FrontProtocol(SilenceProtocol):
    """One connection."""

    hot: Hot
    heads: Heads
    _exchange: Exchange | None = None
    _begun = False

    def data_received(self, data: bytes) -> None:
        """Some bytes are there: of one whole request the connection's own parser need not know."""
        cycle: Any = self.cycle
        if not self._begun and (cycle is None or cycle.response_complete):
            end = data.find(_END, 0, _LONGEST_HEAD) + len(_END)
            if len(_END) <= end < len(data) and self._may_answer():
                start = data[:end]
                head = self.heads.known.get(start) or self.heads.read(start, data)
                if (
                    head is not None
                    and len(data) - end == head.length
                    and self.hot.ready(head.target)
                ):
                    self._unset_keepalive_if_required()
                    exchange = Exchange(self, head.target, head.headers, True, [data[end:]])
                    self.cycle = exchange  # type: ignore[assignment]
                    self.hot.answer(exchange)
                    return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins: a scope is made when it turns out to need one."""
        self._begun = True
        self.head_begins()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._exchange = None

    def on_headers_complete(self) -> None:
        """The head is there: choose the way."""
        self.head_ends()
        headers = dict(self.headers)
        target = self.hot.takes(self.url, headers) if self._is_plain(headers) else None
        if target is None:
            self._through_the_app()
            return
        exchange = Exchange(self, target, headers, self.parser.should_keep_alive(), [])
        self._exchange = self.cycle = exchange  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Some of the body is there."""
        if self._exchange is None:
            super().on_body(body)
        else:
            self._exchange.add(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._begun = False
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            super().on_message_complete()
        else:
            self.hot.answer(exchange)

    def _may_answer(self) -> bool:
        return not (self.flow.write_paused or self.transport.is_closing())

    def finish(self, exchange: Exchange, status: int, head: bytes, body: bytes) -> None:
        """Write an exchange's answer; what was pipelined behind it comes next."""
        if self.transport.is_closing():
            return
        closing = not exchange.keep_alive or self.hot.ending
        self.transport.write(
            b"%b%b%b\r\n%b"
            % (
                _head(status, self.server_state.default_headers),
                head,
                b"connection: close\r\n" if closing else b"",
                body,
            )
        )
        if closing:
            self.transport.close()
        self.on_response_complete()

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the request may be hot: nothing before it waits, and nothing about it is odd."""
        cycle: Any = self.cycle
        return (
            (cycle is None or cycle.response_complete)
            and len(headers) == len(self.headers)  # one that comes twice is read by the app
            and b"content-length" in headers
            and ODD.isdisjoint(headers)
            and self._may_answer()
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
        )

    def _through_the_app(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers[:] = headers  # the list that the scope holds
        super().on_headers_complete()


_heads: dict[int, tuple[Any, bytes]] = {}


def _head(status: int, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The status line and uvicorn's own headers, whose list is another one each second."""
    known = _heads.get(status)
    if known is not None and known[0] is default_headers:
        return known[1]
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()]
    lines += [b"%b: %b\r\n" % header for header in default_headers]
    _heads[status] = default_headers, b"".join(lines)
    return _heads[status][1]


def protocol_for(hot: Hot) -> type[FrontProtocol]:
    """uvicorn's ``http=``: connections whose hot requests ``hot`` answers."""
    return type("HotProtocol", (FrontProtocol,), {"hot": hot, "heads": Heads(hot.takes)})
