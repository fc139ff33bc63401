"""The short way of version 2: requests of plain FP64 tensors, for rows that are numbers alone.

It reads what :mod:`nenrin.serving.plane.openinference` would have read, and writes what that would have
written, for all requests of a turn at once. Whatever is not plain, or not right, is left to that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from nenrin.serving.plane.answering import Answers
from nenrin.serving.plane.served import Served
from nenrin.training.records import Records

_DATATYPE = "FP64"


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


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.Encoder().encode


class Plain(msgspec.Struct, frozen=True):
    """Plain requests.

    Attributes:
        places: of them among all.
        sizes: how many rows each has.
        rows: of all of them, one request after the other.
        given: their ids.
    """

    places: list[int]
    sizes: list[int]
    rows: Records
    given: list[str | None]


def read(bodies: Sequence[bytes], served: Served) -> Plain | None:
    """Those of some requests that are plain; None: there is none."""
    names = served.reader.numbers
    if not names:
        return None
    places: list[int] = []
    sizes: list[int] = []
    given: list[str | None] = []
    values: list[Sequence[float | None]] = []
    for place, body in enumerate(bodies):
        try:
            request = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if request.parameters or request.outputs:
            continue
        data = _data(request.inputs, names)
        if data is not None:
            places.append(place)
            sizes.append(len(data) // len(names))
            given.append(request.id)
            values.append(data)
    if not places:
        return None
    block = _block(values).reshape(-1, len(names))
    return Plain(places, sizes, served.reader.block(block), given)


def _data(inputs: list[_Tensor], names: tuple[str, ...]) -> Sequence[float | None] | None:
    """The numbers, row after row: from one tensor of all columns, or from one a column."""
    first = inputs[0] if inputs else None
    if first is None or not first.data or not first.shape:
        return None
    rows, wide = first.shape[0], len(names)
    if len(inputs) == 1 and first.shape == [rows, wide]:
        plain = first.datatype == _DATATYPE and len(first.data) == rows * wide
        named = wide > 1 or first.name == names[0]
        return first.data if plain and named and not first.parameters else None
    if len(inputs) != wide:
        return None
    data = {tensor.name: tensor.data for tensor in inputs}
    for tensor in inputs:
        shape = tensor.shape
        if (
            tensor.datatype != _DATATYPE
            or len(tensor.data) != rows
            or not shape
            or shape[0] != rows
            or (len(shape) > 1 and shape != [rows, 1])
            or tensor.parameters
        ):
            return None
    if data.keys() != set(names):
        return None
    return [*chain.from_iterable(zip(*(data[name] for name in names), strict=True))]


def _block(values: Sequence[Sequence[float | None]]) -> np.ndarray:
    """All of them: packed in a third of the time that numpy takes to read lists."""
    try:
        packed = bytearray().join([_packer(len(each))(*each) for each in values])
    except struct.error:  # a null among them
        return np.concatenate([np.array(each, np.float64) for each in values])
    return np.frombuffer(packed, np.float64)


@lru_cache(64)
def _packer(size: int) -> Callable[..., bytes]:
    return struct.Struct(f"{size}d").pack


class Writing(msgspec.Struct, frozen=True):
    """Writes the answers to plain requests. Attributes: who was asked, and the requests' ids."""

    served: Served
    given: Sequence[str | None]

    def part(self, places: Sequence[int]) -> Writing:
        """What writes the answers to some of them."""
        return Writing(self.served, [self.given[place] for place in places])

    def written(self, answers: Answers, sizes: Sequence[int]) -> list[bytes]:
        """The body of each response; ``sizes`` are the numbers of their rows."""
        version = answers.versions[0]
        if answers.versions.count(version) < len(answers.versions):
            version = ""
        deployment = self.served.deployment
        name, request = deployment.name, deployment.request
        frames = {
            rows: _frame(name, version, request.output, request.datatype, rows) for rows in {*sizes}
        }
        found: list[bytes] = []
        start = 0
        for rows, given in zip(sizes, self.given, strict=True):
            end = start + rows
            head, between, said, tail = frames[rows]
            named = b"" if given is None else b'"id":%b,' % _encode(given)
            versions = b"" if version else _encode(answers.versions[start:end])
            values, ids = _encode(answers.values[start:end]), _encode(answers.ids[start:end])
            found.append(
                b"".join((head, named, between, values, said, versions, tail, ids, b"}]}"))
            )
            start = end
        return found


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
