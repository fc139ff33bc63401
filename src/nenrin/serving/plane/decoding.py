"""Reading the JSON of a request's body, whatever it is."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from nenrin.core import nonfinite
from nenrin.core.errors import RequestError

T = TypeVar("T")


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
        raise RequestError(f"{problem}: {error}", hint=hint) from None
    except RecursionError:
        raise RequestError(f"{problem}: it is nested too deeply", hint=hint) from None
