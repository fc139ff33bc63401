"""Reading the JSON of a request's body, whatever it is."""

from __future__ import annotations

import json
from typing import TypeVar

import msgspec

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
        try:
            return decoder.decode(body)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if b"NaN" not in body and b"Infinity" not in body:
                raise
            content = json.loads(body)
            json.dumps(content, ensure_ascii=False).encode()  # it takes half a surrogate pair too
            return msgspec.convert(content, decoder.type)
    except (msgspec.DecodeError, ValueError) as error:
        raise RequestError(f"{problem}: {error}", hint=hint) from None
    except RecursionError:
        raise RequestError(f"{problem}: it is nested too deeply", hint=hint) from None
