"""Reading the JSON of a request's body, whatever it is."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from nenrin.core.errors import RequestError

T = TypeVar("T")


def decoded(body: bytes, decoder: msgspec.json.Decoder[T], problem: str, hint: str) -> T:
    """The value of a body.

    Raises:
        RequestError: ``problem``, with what is wrong with the body.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{problem}: {error}", hint=hint) from None
    except RecursionError:
        raise RequestError(f"{problem}: it is nested too deeply", hint=hint) from None
