"""What is said of a body that is no JSON."""

from __future__ import annotations

import msgspec
import pytest

from nenrin.core.errors import RequestError
from nenrin.serving.plane.decoding import decoded

HALF = "the body is wrong: a text has half a surrogate pair"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"s": "\\ud83d"}', HALF),
        (b'{"s": "\\ud83d and more", "t": 1}', HALF),
        (b'{"s": "\\ude00"}', HALF),
        (b'{"a": NaN, "s": "\\ud83d"}', HALF),
        (b'{"s": "\\ud83d\\ude00"', "truncated"),
        (b'{"s": "\\ud83d', "truncated"),
        (b'{"a": NaN, "b": 1e400}', "out of range"),
        (b'{"b": 1e400}', "out of range"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        decoded(body, msgspec.json.Decoder(), "the body is wrong", "send JSON")
