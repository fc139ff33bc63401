"""JSON with numbers that are not finite: Python reads what is written, and all else is as it was."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import msgspec
import pytest

from nenrin.core.nonfinite import decode, encode


class Place(msgspec.Struct):
    at: float
    name: str = ""


@pytest.mark.parametrize("value", [{"a": [1, None, "é\n"]}, [], {"null": 1e300}, "NaN", None])
def test_what_json_holds_is_written_as_it_was(value: Any) -> None:
    assert encode(value) == msgspec.json.encode(value)
    assert decode(encode(value)) == decode(encode(value, indent=2)) == value


def test_what_it_does_not_hold_is_written_as_python_reads_it() -> None:
    value = {"a": [inf, -inf, None, 0.1], "b": Place(-inf, "é")}
    text = encode(value)
    assert text == '{"a":[Infinity,-Infinity,null,0.1],"b":{"at":-Infinity,"name":"é"}}'.encode()
    found = json.loads(text)
    assert found == decode(text) == json.loads(encode(value, indent=2))
    assert str(decode(encode([nan]))) == "[nan]"
    assert decode(encode(value["b"]), msgspec.json.Decoder(Place)) == value["b"]


def test_a_hook_makes_plain_what_else_there_is() -> None:
    assert encode([{1, 2} - {2}, inf], list) == b"[[1],Infinity]"


@pytest.mark.parametrize("text", [b"", b"[NaN", b"[NaN, 1e400]", b"[1e400]", b'[NaN, "\\ud83d"]'])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, ValueError)):
        decode(text)
