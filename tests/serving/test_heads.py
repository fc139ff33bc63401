"""One parser reads the pieces that are one whole request each, and no other piece confuses it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nenrin.serving.plane.heads import Heads

TAKEN = b"/v2/models/m/infer"
BODY = b'{"inputs": []}'


def post(*headers: bytes, url: bytes = TAKEN, body: bytes = BODY) -> bytes:
    lines = [b"POST %b HTTP/1.1" % url, b"Host: h", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def takes(url: bytes, headers: dict[bytes, bytes]) -> Any | None:
    return "target" if url == TAKEN and headers.get(b"host") == b"h" else None


def read(heads: Heads, data: bytes) -> dict[bytes, bytes] | None:
    """The headers of a piece that was read."""
    found = heads.read(data[: data.find(b"\r\n\r\n") + 4], data)
    if found is None:
        return None
    assert (found.target, found.length) == ("target", len(data) - data.index(b"\r\n\r\n") - 4)
    return found.headers


WHOLE = [
    post(),
    post(b"X-Test: 1"),
    post(b"Connection: keep-alive", body=b"x" * 10_000),
    post(body=b"a\r\n\r\nb"),
]
OTHER = [
    post(b"Connection: close"),
    post(b"Expect: 100-continue"),
    post(b"Content-Length: 3"),
    post(url=b"/metrics"),
    post(body=b""),
    post().replace(b"Host: h", b"Host: other"),
    post().replace(b"HTTP/1.1", b"HTTP/1.0\r\nConnection: keep-alive"),
    post().replace(b"POST ", b"PUT "),
    post().replace(b" HTTP", b"  HTTP"),
    post(b"Upgrade: websocket", b"Connection: Upgrade"),
    post(b"Transfer-Encoding: chunked").replace(b"Content-Length: 14\r\n", b"")[: -len(BODY)]
    + b"3\r\nabc\r\n0\r\n\r\n",
    post() + b"\r\n",
    b"\r\n" + post(),
    post() + b"G",
    post() + post(),
    post()[:-1],
    post()[:30],
    b"no http\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\nabc",
]


@pytest.mark.parametrize("data", OTHER)
def test_what_is_not_one_whole_hot_request_is_left(data: bytes) -> None:
    heads = Heads(takes)
    assert read(heads, data) is None
    assert read(heads, post()) is not None


def test_nothing_is_left_over_from_one_piece_to_the_next() -> None:
    chosen, heads = random.Random(1), Heads(takes)
    pieces = [*WHOLE, *OTHER]
    for _ in range(2_000):
        data = chosen.choice(pieces)
        if chosen.random() < 0.3:
            place = chosen.randrange(len(data))
            data = data[:place] + bytes([chosen.randrange(256)]) + data[place + 1 :]
        assert read(heads, data) == read(Heads(takes), data)


def test_a_header_that_comes_twice_is_left() -> None:
    heads = Heads(takes)
    assert read(heads, post(b"X-A: 1", b"x-a: 2")) is None
    assert read(heads, post(b"X-A: 1")) is not None
    for _ in range(3):  # what is blank behind a request is nobody's body
        assert read(heads, post(b"xx: 1", b"xx: 2", body=b"") + b"\r\n") is None
    assert not heads.known


def test_a_head_is_remembered_when_it_comes_again() -> None:
    heads = Heads(takes)
    for place in range(3_000):
        read(heads, post(b"X-Request-Id: %d" % place))
    assert not heads.known
    for _ in range(2):
        read(heads, post())
    assert [*heads.known] == [post()[: -len(BODY)]]
