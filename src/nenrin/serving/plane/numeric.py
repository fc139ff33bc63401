"""The short way of version 2: a request of plain FP64 tensors, for rows that are numbers alone.

It reads what :mod:`nenrin.serving.plane.openinference` would have read, and writes what that would have
written. Whatever is not plain, or not right, is left to that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from nenrin.serving.plane.answering import Answers
from nenrin.serving.plane.served import Served
from nenrin.training.records import Records

_DATATYPE = "FP64"
_MATRIX = 2  # axes


class _Tensor(msgspec.Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: list[float | None]
    parameters: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct, gc=False):
    """``parameters`` and ``outputs`` are kept as text: with one of them a request is not plain.

    So with ``parameters`` of a tensor.
    """

    inputs: list[_Tensor]
    id: str | None = None
    parameters: msgspec.Raw = msgspec.Raw()
    outputs: msgspec.Raw = msgspec.Raw()


_decoder = msgspec.json.Decoder(_Request)
_encode = msgspec.json.Encoder().encode


def read(body: bytes, served: Served) -> tuple[Records, str | None] | None:
    """The rows of a plain request and its id; None: it is not one."""
    names = served.reader.numbers
    if not names:
        return None
    try:
        request = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if request.parameters or request.outputs or any(each.parameters for each in request.inputs):
        return None
    block = _block(request.inputs, names)
    return None if block is None else (served.reader.block(block), request.id)


def _block(inputs: list[_Tensor], names: tuple[str, ...]) -> np.ndarray | None:
    """The numbers, float64 (rows, names): from one tensor of all columns, or from one a column."""
    first = inputs[0] if inputs else None
    if first is None or not first.data or not first.shape:
        return None
    rows, wide = first.shape[0], len(names)
    if len(inputs) == 1 and first.shape == [rows, wide]:
        plain = first.datatype == _DATATYPE and len(first.data) == rows * wide
        named = wide > 1 or first.name == names[0]
        return _array(first.data).reshape(rows, wide) if plain and named else None
    if len(inputs) != wide:
        return None
    data = {tensor.name: tensor.data for tensor in inputs}
    for tensor in inputs:
        shape = tensor.shape
        if (
            tensor.datatype != _DATATYPE
            or len(tensor.data) != rows
            or shape[0] != rows
            or (len(shape) > 1 and shape != [rows, 1])
        ):
            return None
    if data.keys() != set(names):
        return None
    return np.array([data[name] for name in names], np.float64).T


def _array(values: list[float | None]) -> np.ndarray:
    try:
        return np.fromiter(values, np.float64, len(values))
    except TypeError:  # a null among them
        return np.array(values, np.float64)


def written(served: Served, answers: Answers, *, given: str | None = None) -> bytes:
    """The response's body; ``given`` is the request's id."""
    version = answers.versions[0]
    rows = len(answers.values)
    if answers.versions.count(version) < rows:
        version = ""
    head, between, said, tail = _frame(
        served.deployment.name, version, served.deployment.request.output,
        served.deployment.request.datatype, rows,
    )  # fmt: skip
    named = b"" if given is None else b'"id":%b,' % _encode(given)
    values, ids = _encode(answers.values), _encode(answers.ids)
    versions = b"" if version else _encode(answers.versions)
    return b"".join((head, named, between, values, said, versions, tail, ids, b"}]}"))


@lru_cache(1024)
def _frame(
    name: str, version: str, output: str, datatype: str, rows: int
) -> tuple[bytes, bytes, bytes, bytes]:
    """What stands around the values, the versions (with them, where there is one) and the ids."""
    encoded: Any = _encode
    told = encoded(version)
    head = b'{"model_name":%b,' % encoded(name)
    said = encoded([version] * rows) if version else b""
    if version:
        head += b'"model_version":%b,"parameters":{"version":%b},' % (told, told)
    tensor = b'{"name":%b,"datatype":%b,"shape":[%d],"data":'
    return (
        head,
        b'"outputs":[' + tensor % (encoded(output), encoded(datatype), rows),
        b"}," + tensor % (b'"version"', b'"BYTES"', rows) + said,
        b"}," + tensor % (b'"prediction_id"', b'"BYTES"', rows),
    )
