"""Rows sent as CSV, as ``pandas.DataFrame.to_csv`` writes them: names in the first line.

A cell is read as its column's kind. What pandas reads as missing is missing here: an empty cell, NA,
NaN, null and the like.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from nenrin.core.errors import RequestError
from nenrin.serving.signature import Kind, RequestSignature

MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""What ``pandas.read_csv`` reads as missing unless it is told otherwise."""

_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def columns(body: bytes, signature: RequestSignature) -> dict[str, list[Any]]:
    """One list of values a named column, of texts where nobody reads it.

    Raises:
        RequestError: the body is not CSV in UTF-8, names a column twice, or a row is too long.
    """
    names, rows = _table(body)
    kinds = {field.name: field.kind for field in signature.fields}
    cells = zip_longest(*rows, fillvalue="") if rows else ([] for _ in names)
    named: dict[str, list[Any]] = {name: [""] * len(rows) for name in names}
    named.update((name, list(column)) for name, column in zip(names, cells, strict=False))
    return {
        name: [_value(cell, kinds.get(name, "string")) for cell in column]
        for name, column in named.items()
    }


def once(names: Sequence[str]) -> None:
    """Refuse a column that comes twice.

    Raises:
        RequestError: one does.
    """
    known: set[str] = set()
    for name in names:
        if name in known:
            raise RequestError(
                f"the column {name!r} comes twice", hint="send every column once", where=name
            )
        known.add(name)


def _table(body: bytes) -> tuple[list[str], list[list[str]]]:
    hint = "send the names in the first line, then one line a row, in UTF-8"
    try:
        text = body.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except (ValueError, csv.Error) as error:
        raise RequestError(f"the body is not CSV: {error}", hint=hint) from None
    if not lines:
        raise RequestError("the body has no names of columns", hint=hint)
    names, rows = lines[0], lines[1:]
    once(names)
    for number, row in enumerate(rows):
        if len(row) > len(names):
            raise RequestError(f"row {number} has more than {len(names)} cells", hint=hint)
    return names, rows


def _value(cell: str, kind: Kind) -> Any:
    """A cell's value; what does not fit stays a text, which the reader refuses."""
    if cell in MISSING:
        return None
    try:
        return _READERS.get(kind, str)(cell)
    except (ValueError, KeyError):
        return cell


def _truth(cell: str) -> bool:
    return _TRUTH[cell.lower()]


def real(cell: str) -> float:
    """The number that a cell spells.

    Raises:
        ValueError: it is none, or larger than 64 bits hold, as JSON refuses it too.
    """
    value = float(cell)
    if math.isinf(value) and "inf" not in cell.lower():
        raise ValueError(f"{cell} is out of range")
    return value


def _whole(cell: str) -> int | float:
    try:
        return int(cell)
    except ValueError:
        return real(cell)


_READERS: dict[Kind, Callable[[str], Any]] = {
    "number": real,
    "integer": _whole,
    "boolean": _truth,
}
