"""Messages with something broken in them, from a seed: the same one gives the same messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Draw = np.random.Generator

_PIECES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\xff\xfe",
        b" ",
        b"\t",
        b":",
        b",",
        b'"',
        b"{",
        b"}",
        b"[" * 50,
    ),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n"),
    *(b"Inference-Header-Content-Length: 10\r\n", b"Content-Encoding: gzip\r\n", b"HTTP/1.0"),
    *(b"Content-Type: text/csv\r\n", b"Upgrade: h2c\r\n", b"Connection: close\r\n", b"0\r\n\r\n"),
    *(b"Expect: 100-continue\r\n", b"Host: a\r\n", b"PUT", b"/v2/models/kinds", b"?deployment=x"),
    *(b"NaN", b"Infinity", b"null", b"true", b"1e999", b"-1", b"9" * 40, b"0.1", b"[]", b"{}"),
    *(b'"BYTES"', b'"INT8"', b'"shape":[0]', b'"binary_data_size":8', b"FFFFFFFF\r\n", b"%00"),
]


def _flip(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    message[int(draw.integers(len(message)))] ^= 1 << int(draw.integers(8))


def _insert(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    place = int(draw.integers(len(message)))
    message[place:place] = _PIECES[int(draw.integers(len(_PIECES)))]


def _replace(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    start, end = _slice(draw, len(message), 8)
    message[start:end] = _PIECES[int(draw.integers(len(_PIECES)))]


def _noise(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    start, end = _slice(draw, len(message), 16)
    message[start:end] = draw.bytes(end - start)


def _drop(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    start, end = _slice(draw, len(message), 64)
    del message[start:end]


def _repeat(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    start, end = _slice(draw, len(message), 64)
    message[end:end] = message[start:end]


def _cut(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    del message[int(draw.integers(1, len(message) + 1)) :]


def _splice(draw: Draw, message: bytearray, others: Sequence[bytes]) -> None:
    other = others[int(draw.integers(len(others)))]
    start, end = _slice(draw, len(other), 200)
    place = int(draw.integers(len(message)))
    message[place:place] = other[start:end]


def _digits(draw: Draw, message: bytearray, _: Sequence[bytes]) -> None:
    places = [place for place, byte in enumerate(message) if 48 <= byte <= 57]
    if places:
        message[places[int(draw.integers(len(places)))]] = 48 + int(draw.integers(10))


_KINDS: list[Callable[[Draw, bytearray, Sequence[bytes]], None]] = [
    *(_flip, _insert, _insert, _replace, _noise, _drop, _repeat, _cut, _splice, _digits, _digits)
]


def mutated(draw: Draw, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with one to four things done to it."""
    message = bytearray(seeds[int(draw.integers(len(seeds)))])
    for _ in range(int(draw.integers(1, 5))):
        if message:
            _KINDS[int(draw.integers(len(_KINDS)))](draw, message, seeds)
    return bytes(message)


def pieces(draw: Draw, message: bytes) -> list[bytes]:
    """The message in one to three parts, as a network may bring it."""
    places = sorted(int(draw.integers(len(message) + 1)) for _ in range(int(draw.integers(3))))
    ends = [*places, len(message)]
    return [message[start:end] for start, end in zip([0, *places], ends, strict=True)]


def _slice(draw: Draw, length: int, most: int) -> tuple[int, int]:
    start = int(draw.integers(length))
    return start, min(length, start + 1 + int(draw.integers(most)))
