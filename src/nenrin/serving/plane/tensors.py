"""Tensors of the Open Inference Protocol, version 2: what fits a datatype, and its bytes.

Bytes are as the binary tensor extension and gRPC have them: little-endian, row-major, and of BYTES
each element behind its length in four bytes. A request's tensors hold one value a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from nenrin.core.errors import RequestError

NUMBERS = {
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
"""How numpy calls the protocol's numbers."""
WHOLE = frozenset(name for name in NUMBERS if "INT" in name)
REAL = frozenset(name for name in NUMBERS if "FP" in name)
DATATYPES = frozenset({*NUMBERS, "BOOL", "BYTES"})

_LENGTH = 4  # bytes before an element of BYTES
_MOST_DIMENSIONS = 8
_ASCII = 128
_JSON: dict[str, set[type]] = {
    **{name: {int, float, type(None)} for name in NUMBERS},
    "BOOL": {bool, type(None)},
    "BYTES": {str, type(None)},
}
_CALLED = {"BOOL": "true or false", "BYTES": "a text"}


def rows_of(name: str, shape: Sequence[int]) -> int:
    """How many rows a tensor has, by its shape: ``[rows]`` or ``[rows, 1]``.

    Raises:
        RequestError: it has not one value a row.
    """
    is_column = 0 < len(shape) <= _MOST_DIMENSIONS and all(size == 1 for size in shape[1:])
    if not is_column or shape[0] < 0:
        raise RequestError(
            f"input {name!r} has the shape {list(shape)!s:.60}",
            hint="send one value a row: shape [rows] or [rows, 1]",
            where=name,
        )
    return shape[0]


def known(name: str, datatype: str) -> str:
    """The datatype, if the protocol has it.

    Raises:
        RequestError: it has not.
    """
    if datatype not in DATATYPES:
        raise RequestError(
            f"input {name!r} cannot be of datatype {datatype!r:.40}",
            hint=f"the datatypes are {', '.join(sorted(DATATYPES))}",
            where=name,
        )
    return datatype


def listed(name: str, datatype: str, shape: Sequence[int], data: list[Any]) -> list[Any]:
    """One value a row from JSON data, flat or nested as its shape says; null is a missing value.

    Values are what the datatype makes of them: 0.1 as FP32 is 0.10000000149011612.

    Raises:
        RequestError: shape, datatype and data do not agree.
    """
    rows = rows_of(name, shape)
    values = _flat(data, shape)
    if values is None or len(values) != rows:
        raise RequestError(
            f"input {name!r} has the shape {list(shape)} and {len(values or data)} values",
            hint="send one value a row: shape [rows] or [rows, 1], and data as it says",
            where=name,
        )
    kinds = set(map(type, values))
    if not kinds <= _JSON[known(name, datatype)]:
        place = next(n for n, value in enumerate(values) if type(value) not in _JSON[datatype])
        raise _unfit(name, datatype, place, values[place])
    return _numbers(name, datatype, values, kinds) if datatype in NUMBERS else values


def unpacked(name: str, datatype: str, shape: Sequence[int], raw: bytes | memoryview) -> list[Any]:
    """One value a row from a tensor's bytes.

    Raises:
        RequestError: shape, datatype and bytes do not agree.
    """
    rows = rows_of(name, shape)
    if known(name, datatype) == "BYTES":
        return _texts(name, rows, bytes(raw))
    dtype = np.dtype(NUMBERS.get(datatype, "u1"))
    if len(raw) != rows * dtype.itemsize:
        raise RequestError(
            f"input {name!r} has {len(raw)} bytes, and {rows} values of {datatype} have "
            f"{rows * dtype.itemsize}",
            hint="send the values one after the other, little-endian",
            where=name,
        )
    array = np.frombuffer(raw, dtype)
    if datatype != "BOOL":
        plain: list[Any] = array.tolist()
        return plain
    if (array > 1).any():
        raise RequestError(f"input {name!r} has bytes that are no BOOL", hint="send 0 or 1 each")
    return [bool(value) for value in array]


def packed(datatype: str, values: Sequence[Any]) -> bytes:
    """The bytes of an output's values; a missing text is an empty one."""
    if datatype in NUMBERS:
        return np.asarray(values, NUMBERS[datatype]).tobytes()
    plain = {*map(type, values)} == {str}
    texts = values if plain else ["" if value is None else str(value) for value in values]
    if texts and texts.count(texts[0]) == len(texts):  # as versions are
        text = texts[0].encode()
        return (_size(text) + text) * len(texts)
    return _of_one_size(texts) or b"".join(
        chain.from_iterable((_size(text), text) for text in map(str.encode, texts))
    )


def _of_one_size(texts: Sequence[str]) -> bytes | None:
    """The bytes of ASCII texts of one size, as ids are; None of others."""
    sizes = {*map(len, texts)}
    if len(sizes) != 1 or not max(sizes) < _ASCII:
        return None
    before = _size(texts[0]).decode()  # a size is ASCII, too: all are encoded in one go
    whole = (before + before.join(texts)).encode()
    return whole if len(whole) == len(texts) * (_LENGTH + len(texts[0])) else None


def _size(text: bytes | str) -> bytes:
    return len(text).to_bytes(_LENGTH, "little")


def _flat(data: list[Any], shape: Sequence[int]) -> list[Any] | None:
    """The data without its nesting; None if it is not nested as the shape says."""
    if list not in set(map(type, data)):
        return data
    level: list[Any] = [data]
    for size in shape:
        if not all(type(part) is list and len(part) == size for part in level):
            return None
        level = list(chain.from_iterable(level))
    return level


def _numbers(name: str, datatype: str, values: list[Any], kinds: set[type]) -> list[Any]:
    """The values, if they are numbers that the datatype holds."""
    if datatype in WHOLE:
        return _whole(name, datatype, values, kinds)
    if datatype == "FP64":
        return values
    places = [place for place, value in enumerate(values) if value is not None]
    try:
        given = np.array([values[place] for place in places], "f8")
    except OverflowError:
        far = max((value for value in values if value is not None), key=abs)
        raise _unfit(name, datatype, values.index(far), far) from None
    with np.errstate(over="ignore"):
        rounded = given.astype(NUMBERS[datatype])
    over = np.isinf(rounded) & ~np.isinf(given)
    if over.any():
        place = places[int(over.argmax())]
        raise _unfit(name, datatype, place, values[place])
    read: list[Any] = [None] * len(values)
    for place, value in zip(places, rounded.tolist(), strict=True):
        read[place] = value
    return read


def _whole(name: str, datatype: str, values: list[Any], kinds: set[type]) -> list[Any]:
    if float in kinds:
        for place, value in enumerate(values):
            if type(value) is float and not value.is_integer():
                raise _unfit(name, datatype, place, value)
        values = [int(value) if type(value) is float else value for value in values]
    limits = np.iinfo(NUMBERS[datatype])
    present = [value for value in values if value is not None] if type(None) in kinds else values
    if present and not limits.min <= min(present) <= max(present) <= limits.max:
        far = min(present) if min(present) < limits.min else max(present)
        raise _unfit(name, datatype, values.index(far), far)
    return values


def _texts(name: str, rows: int, raw: bytes) -> list[str]:
    """The texts of BYTES."""
    hint = "send each text in UTF-8, behind its length in four bytes, little-endian"
    texts: list[str] = []
    start = 0
    while len(texts) < rows and start + _LENGTH <= len(raw):
        begin = start + _LENGTH
        start = begin + int.from_bytes(raw[start:begin], "little")
        if start > len(raw):
            break
        texts.append(text_of(name, raw[begin:start]))
    if len(texts) != rows or start != len(raw):
        raise RequestError(
            f"input {name!r} has not the bytes of {rows} texts", hint=hint, where=name
        )
    return texts


def text_of(name: str, raw: bytes) -> str:
    """An element of BYTES as a text.

    Raises:
        RequestError: it is not in UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RequestError(
            f"input {name!r} has a text that is not UTF-8", hint="send texts in UTF-8", where=name
        ) from None


def _unfit(name: str, datatype: str, place: int, value: Any) -> RequestError:
    wanted = _CALLED.get(datatype, f"a number of {datatype}")
    return RequestError(
        f"input {name!r}, row {place}: {value!r:.60} is not {wanted}",
        hint=f"send values that {datatype} holds, or another datatype",
        where=name,
    )
