"""One tensor that holds all columns of a request, where all of them are numbers: [rows, columns]."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from nenrin.core.errors import RequestError
from nenrin.serving.plane import tensors
from nenrin.serving.plane.rows import RowReader
from nenrin.training.records import Records

_LEAST = 2  # columns; one alone is a tensor of its own name


def is_matrix(shape: list[int], inputs: int, reader: RowReader) -> bool:
    """Whether a request's tensor of this shape, one of so many, holds all columns."""
    wide = len(reader.numbers)
    return inputs == 1 and wide >= _LEAST and shape[1:] == [wide]


def listed(name: str, datatype: str, shape: list[int], data: list[Any], of: RowReader) -> Records:
    """The rows of JSON data, flat or one list a row.

    Raises:
        RequestError: shape, datatype and data do not agree.
    """
    rows, wide = shape[0], shape[1]
    _check(name, datatype, of)
    if data and all(type(row) is list and len(row) == wide for row in data):
        data = list(chain.from_iterable(data))
    if len(data) != rows * wide:
        raise RequestError(
            f"input {name!r} has the shape {shape} and {len(data)} values",
            hint=f"send {wide} values a row: {', '.join(of.numbers)}",
            where=name,
        )
    values = tensors.listed(name, datatype, [rows * wide], data)
    return of.block(np.array(values, np.float64).reshape(rows, wide))


def unpacked(
    name: str, datatype: str, shape: list[int], raw: bytes | memoryview, of: RowReader
) -> Records:
    """The rows of a tensor's bytes, row after row.

    Raises:
        RequestError: shape, datatype and bytes do not agree.
    """
    _check(name, datatype, of)
    dtype = np.dtype(tensors.NUMBERS[datatype])
    if shape[0] < 0 or len(raw) != shape[0] * shape[1] * dtype.itemsize:
        raise RequestError(
            f"input {name!r} has {len(raw)} bytes, and {shape} values of {datatype} have "
            f"{max(shape[0], 0) * shape[1] * dtype.itemsize}",
            hint="send the values row after row, little-endian",
            where=name,
        )
    return of.block(np.frombuffer(raw, dtype).reshape(shape).astype(np.float64))


def _check(name: str, datatype: str, of: RowReader) -> None:
    if tensors.known(name, datatype) not in tensors.NUMBERS:
        raise RequestError(
            f"input {name!r} cannot be of datatype {datatype!r}",
            hint=f"send numbers, such as FP64: {', '.join(of.numbers)}",
            where=name,
        )
