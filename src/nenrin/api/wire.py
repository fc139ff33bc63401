"""What goes over the wire: JSON of plain values and records, and errors in their one shape."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from nenrin.core import nonfinite
from nenrin.core.errors import NenrinError

ACTOR = "X-Nenrin-Actor"
LONGEST_ACTOR = 100  # characters


def actor() -> str:
    """The user of this process, as the header ``X-Nenrin-Actor`` has it: percent-encoded."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        name = f"uid {os.getuid()}"
    return quote(name[:LONGEST_ACTOR])


def encode(value: Any) -> bytes:
    """Plain values, frozen records and instants as JSON; NaN and infinities become ``null``."""
    return msgspec.json.encode(value, enc_hook=_plain)


def encode_exactly(value: Any, indent: int | None = None) -> bytes:
    """The same with ``NaN`` and ``Infinity`` as they are, which is no JSON, though Python reads it."""
    return nonfinite.encode(value, _plain, indent=indent)


def decode(data: bytes | str) -> Any:
    """The plain value of JSON; NaN and infinities are numbers."""
    return nonfinite.decode(data.encode() if isinstance(data, str) else data)


def error_body(error: NenrinError) -> dict[str, Any]:
    """The one JSON shape of every error: ``{"error": {code, message, where, hint}}``."""
    return {"error": error.as_dict()}


def unexpected(error: BaseException, log: Path) -> NenrinError:
    """What a caller is told about an error that nobody foresaw; its traceback is in ``log``."""
    return NenrinError(
        f"something unexpected happened ({type(error).__name__}: {error})",
        where=str(log),
        hint="the details are in that file; please report them with the command that you ran",
    )


def error_from(shape: dict[str, Any]) -> NenrinError:
    """The error that another process described, as the class that has its code."""
    code = shape.get("code", "")
    # the first is the one that has the code, those after it inherit it
    kind = next((kind for kind in _kinds(NenrinError) if kind.code == code), NenrinError)
    return kind(
        shape.get("message", "the answer says nothing about its error"),
        hint=shape.get("hint", ""),
        where=shape.get("where", ""),
    )


def _kinds(root: type[NenrinError]) -> Iterator[type[NenrinError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
