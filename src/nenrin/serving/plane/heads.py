"""Reads pieces of bytes that are one whole request each: the usual case.

Such a piece needs no parser of its connection's own: one reads them all, and calls little that is Python's.
It is uvicorn's, and so decides alone what the bytes mean. Any other piece is left to the connection.

Some clients say the same head again and again: what was parsed of it is then remembered by its bytes, which
mean the same every time, wherever a request may begin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

ODD = frozenset(
    {
        b"transfer-encoding",
        b"expect",
        b"upgrade",
        b"content-encoding",
        b"x-amzn-sagemaker-custom-attributes",
    }
)
"""Headers of requests that need more than their bytes."""

_HEADS = 1_024  # that are remembered: each length of a body makes its own
_ONCE = 256  # that came last, a number each: a power of two

Takes = Callable[[bytes, dict[bytes, bytes]], Any | None]


class Head(msgspec.Struct, gc=False):
    """A head that was parsed: what it is for, its headers, how long a body it announces."""

    target: Any
    headers: dict[bytes, bytes]
    length: int


class Heads:
    """Used by one thread, the plane's event loop.

    Args:
        takes: says what a POST to a URL, with these headers, is for; None: it is not hot.

    Attributes:
        known: heads of hot requests that came more than once, by their bytes.
    """

    def __init__(self, takes: Takes) -> None:
        self.known: dict[bytes, Head] = {}
        self._once = [0] * _ONCE
        self._takes = takes
        self._seen: list[Any] = []
        self._headers: dict[bytes, bytes] = {}
        self.on_message_begin = partial(self._seen.append, None)
        self.on_url = self.on_body = self._seen.append
        self._parser = HttpRequestParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, as the parser calls it; one that comes twice is for the app to read."""
        name = name.lower()
        if name in self._headers:
            # more pieces than a plain request has, with a body or without
            self._seen += [name, name]
        self._headers[name] = value

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._seen.append(self._parser.should_keep_alive())

    def read(self, head: bytes, data: bytes) -> Head | None:
        """The head of a piece that is one whole hot request, and leaves its connection open; else None.

        Args:
            head: what the piece begins with, to the first empty line.
            data: the piece.
        """
        seen, self._headers = self._seen, {}
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            seen.clear()
        if len(seen) != 4 or seen[0] is not None or seen[3] is not True:  # begin, URL, body, end
            seen.clear()
            self._parser = HttpRequestParser(self)
            return None
        _, url, body, _ = seen
        seen.clear()
        headers = self._headers
        if (
            len(head) + len(body) != len(data)
            or not head.startswith(b"POST %b HTTP/1.1\r\n" % url)
            or headers.get(b"content-length") != b"%d" % len(body)
            or not ODD.isdisjoint(headers)
        ):
            return None
        target = self._takes(url, headers)
        if target is None:
            return None
        found = Head(target, headers, len(body))
        self._remember(head, found)
        return found

    def _remember(self, head: bytes, found: Head) -> None:
        """Remember a head when it comes again: many carry ids, and never do."""
        number = hash(head)
        place = number % _ONCE
        if self._once[place] != number:
            self._once[place] = number
            return
        if len(self.known) >= _HEADS:
            self.known.clear()
        self.known[head] = found
