"""A model behind a URL that speaks the Open Inference Protocol, version 2.

Protocol: https://github.com/kserve/open-inference-protocol (REST). What is kept of it is its address
and its metadata as they were when it was registered; its answers are its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import (
    ProjectError,
    RemoteError,
    RemoteRefusedError,
    RemoteTimeoutError,
)
from nenrin.training.columns import ColumnSpec
from nenrin.training.runtimes.opened import Opened, flat, likely

REQUEST_ROWS = 1_000
"""Rows of one request, as many as the plane takes in a batch."""

_TEXT = 300
_REFUSALS = frozenset({400, 413, 422})  # of what it was sent, not of who asks or how often
_WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")


@cache
def _types() -> Mapping[str, type[pl.DataType]]:
    return {
        "BYTES": pl.String,
        "BOOL": pl.Boolean,
        **dict.fromkeys(("FP16", "FP32", "FP64"), pl.Float64),
        **dict.fromkeys(_WHOLE, pl.Int64),
    }


class Tensor(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input or an output as the metadata names it."""

    name: str
    datatype: str = "FP64"
    shape: tuple[int, ...] = (-1,)
    parameters: dict[str, Any] = {}

    @property
    def optional(self) -> bool:
        """Whether a request may leave it out, as nenrin's own metadata says."""
        return self.parameters.get("required") is False


class Metadata(msgspec.Struct, frozen=True):
    """The body of ``GET /v2/models/NAME``, as far as it is used."""

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a remote model.

    Attributes:
        url: ``http://host/v2/models/NAME``, with ``/versions/V`` where one is meant.
        timeout: seconds that each request has.
        inputs: those that are sent; none for one matrix whose name the server does not say.
        output: the one that is the answer; empty for the first.
    """

    url: str
    timeout: float
    inputs: tuple[Tensor, ...]
    output: str

    @property
    def matrix(self) -> bool:
        """Whether all columns go into one input."""
        return not self.inputs or (len(self.inputs) == 1 and len(self.inputs[0].shape) == 2)


class Remote:
    """The address and the metadata, as JSON."""

    name = "remote"
    library = "httpx2"
    runs_code = False
    keeps_classes = True

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Remote models."""
        del columns, container
        return isinstance(model, RemoteModel)

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """The address."""
        del project
        return msgspec.json.encode(model.address)

    def loads(self, data: bytes) -> Any:
        """A :class:`RemoteModel`; nobody is asked yet."""
        return RemoteModel(msgspec.json.decode(data, type=Address))


class RemoteModel:
    """A model that another server answers for.

    Attributes:
        address: where it is.
        container: ``numpy`` for one matrix, ``polars`` for one input a column.
        n_features_in_, feature_names_in_: as far as the metadata says.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.container = "numpy" if address.matrix else "polars"
        self.feature_names_in_ = None if address.matrix else [each.name for each in address.inputs]
        if address.matrix and address.inputs and address.inputs[0].shape[1] > 0:
            self.n_features_in_ = address.inputs[0].shape[1]
        self._client = httpx2.Client(timeout=address.timeout)

    def predict(self, container: Any) -> np.ndarray:
        """What the server answers, shape (n,) or (n, classes).

        Raises:
            RemoteError: it cannot be reached, refuses, or answers what is no answer.
            RemoteTimeoutError: it did not answer in time.
        """
        parts = [
            self._part(container[start : start + REQUEST_ROWS])
            for start in range(0, len(container), REQUEST_ROWS)
        ]
        return np.concatenate(parts)

    predict_proba = predict

    def _found(self) -> Address:
        """Where it is now."""
        return self.address

    def _part(self, container: Any) -> np.ndarray:
        address = self._found()
        asks: dict[str, Any] = {"inputs": self._inputs(container)}
        if address.output:  # MLServer gives classes alone unless it is asked for probabilities
            asks["outputs"] = [{"name": address.output}]
        body = json.dumps(asks, allow_nan=False).encode()
        url = f"{address.url}/infer"
        headers = {"Content-Type": "application/json"}
        answer = asked(address, lambda: self._client.post(url, content=body, headers=headers)).get(
            "outputs"
        )
        try:
            outputs = {each["name"]: each for each in answer or []}
            chosen = outputs[address.output or next(iter(outputs))]
            numbers = np.asarray(chosen["data"], dtype=np.float64).reshape(chosen["shape"])
        except (KeyError, StopIteration, TypeError, ValueError) as error:
            raise RemoteError(
                f"{address.url} gave no numbers as {address.output or 'its first output'}: "
                f"{type(error).__name__}: {error}",
                hint="compare the server's metadata with what it answers",
                where=address.url,
            ) from error
        if len(numbers) != len(container):
            raise RemoteError(
                f"{address.url} gave {len(numbers)} answers for {len(container)} rows",
                hint="the server must answer every row, in the order of the request",
                where=address.url,
            )
        return flat(numbers)

    def _inputs(self, container: Any) -> list[dict[str, Any]]:
        n = len(container)
        if self.address.matrix:
            tensor = next(iter(self.address.inputs), Tensor("input-0"))
            shape = [n, container.shape[1]]
            values = _plain(pl.Series(container.ravel()), tensor.datatype)
            return [_sent(tensor, shape, values)]
        return [
            _sent(each, [n] if len(each.shape) < 2 else [n, 1], _plain(column, each.datatype))
            for each in self.address.inputs
            for column in (container[each.name],)
        ]


def open_remote(url: str, timeout: float, names: frozenset[str]) -> Opened:
    """The model behind a URL, after a look at its metadata.

    Args:
        url: ``http://host/v2/models/NAME``.
        timeout: seconds that each request has.
        names: of the columns that there are; an input that may be left out is sent where it is one.

    Raises:
        ProjectError: it takes tensors that no table gives.
        RemoteError, RemoteTimeoutError: it does not answer.
    """
    model = RemoteModel(described(url, timeout, names))
    return Opened(model, model.container)


def described(url: str, timeout: float, names: frozenset[str]) -> Address:
    """What is kept of the model behind a URL, as its metadata say; raises as :func:`open_remote`."""
    address = Address(url=url.rstrip("/"), timeout=timeout, inputs=(), output="")
    with httpx2.Client(timeout=timeout) as client:
        said = asked(address, lambda: client.get(address.url))
    try:
        metadata = msgspec.convert(said, Metadata)
    except msgspec.ValidationError as error:
        raise RemoteError(
            f"{url} does not describe a model: {error}",
            hint="the URL is http://HOST/v2/models/NAME of a server that speaks version 2",
            where=url,
        ) from error
    inputs = tuple(each for each in metadata.inputs if not each.optional or each.name in names)
    strange = [each.name for each in inputs if each.datatype not in _types() or len(each.shape) > 2]
    if strange:
        raise ProjectError(
            f"{url} takes {', '.join(strange)} as tensors that no table gives",
            hint="serve it with one input a column, or one matrix of shape [-1, columns]",
        )
    numeric = [each.name for each in metadata.outputs if each.datatype not in ("BYTES", "BOOL")]
    output = likely(numeric) or next(iter(numeric), "")
    return msgspec.structs.replace(address, inputs=inputs, output=output)


def asked(address: Address, ask: Callable[[], httpx2.Response]) -> dict[str, Any]:
    """The JSON object that a server answers with.

    Raises:
        RemoteTimeoutError: it took longer than the address allows.
        RemoteRefusedError: it refuses what it is sent.
        RemoteError: it cannot be reached, or does not answer with an object.
    """
    where = address.url
    try:
        answer = ask()
    except httpx2.TimeoutException as error:
        raise RemoteTimeoutError(
            f"{where} did not answer within {address.timeout:g} s",
            hint="look at that server, or give it longer: timeout=… of its declaration",
            where=where,
        ) from error
    except httpx2.HTTPError as error:
        raise RemoteError(
            f"{where} cannot be reached: {error}",
            hint="start that server; one in a container is started again by itself",
            where=where,
        ) from error
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    said = body.get("error", answer.text) if isinstance(body, dict) else answer.text
    kind = RemoteRefusedError if answer.status_code in _REFUSALS else RemoteError
    raise kind(
        f"{where} answered {answer.status_code}: {str(said)[:_TEXT]}",
        hint="its own log says more",
        where=where,
    )


def _sent(tensor: Tensor, shape: list[int], values: list[Any]) -> dict[str, Any]:
    return {"name": tensor.name, "shape": shape, "datatype": tensor.datatype, "data": values}


def _plain(column: pl.Series, datatype: str) -> list[Any]:
    """Values as JSON has them; what is missing is null."""
    values = column.cast(_types()[datatype])
    return (values.fill_nan(None) if values.dtype.is_float() else values).to_list()
