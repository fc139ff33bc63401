"""JSON with the numbers that it has no words for, as Python and clients write them: ``NaN``, ``-Infinity``.

msgspec writes null in their place and reads none of them, so that a text that has one is written and read by
Python's own module, which is slower.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_ANY = msgspec.json.Decoder()
_BETWEEN = ((",", ": "), (",", ":"))


def encode(
    value: Any, hook: Callable[[Any], Any] | None = None, *, indent: int | None = None
) -> bytes:
    """Plain values and records as JSON, with NaN and infinities; ``hook`` makes plain what else there is."""
    written = msgspec.json.encode(value, enc_hook=hook)
    if b"null" in written:
        plain = msgspec.to_builtins(value, enc_hook=hook)
        spelled = json.dumps(
            plain, ensure_ascii=False, separators=_BETWEEN[indent is None], indent=indent
        )
        if "NaN" in spelled or "Infinity" in spelled:
            return spelled.encode()
    return written if indent is None else msgspec.json.format(written, indent=indent)


def decode(text: bytes, decoder: msgspec.json.Decoder[T] = _ANY) -> T:
    """The value of such JSON.

    Raises:
        msgspec.DecodeError: it is not JSON, or not of the decoder's type.
        ValueError: likewise.
        RecursionError: it is nested too deeply.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"NaN" not in text and b"Infinity" not in text:
            raise
        content = json.loads(text, parse_float=_number)
        json.dumps(content, ensure_ascii=False).encode()  # it takes half a surrogate pair too
        return msgspec.convert(content, decoder.type)


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("Number out of range")
    return number
