"""Reading the JSON of a request's body, whatever it is."""

from __future__ import annotations

import json
import re
from typing import TypeVar

import msgspec

from nenrin.core import nonfinite
from nenrin.core.errors import RequestError

T = TypeVar("T")

_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")
_LOOKED_INTO = 2**20  # bytes: a larger body would hold up the event loop
_HALF = "a text has half a surrogate pair, which is no character"


def decoded(body: bytes, decoder: msgspec.json.Decoder[T], problem: str, hint: str) -> T:
    """The value of a body; ``NaN``, ``Infinity`` and ``-Infinity`` are numbers, as clients write them.

    Raises:
        RequestError: ``problem``, with what is wrong with the body.
    """
    if not body:
        raise RequestError("the request has no body", hint=hint)
    try:
        return nonfinite.decode(body, decoder)
    except (msgspec.DecodeError, ValueError) as error:
        halves = len(body) <= _LOOKED_INTO and _HALVES.search(body)
        why = _HALF if halves and _has_half_a_pair(body) else error
        raise RequestError(f"{problem}: {why}", hint=hint) from None
    except RecursionError:
        raise RequestError(f"{problem}: it is nested too deeply", hint=hint) from None


def _has_half_a_pair(body: bytes) -> bool:
    """Whether that is what is wrong: msgspec has several words for it, one of them that input is missing."""
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False
