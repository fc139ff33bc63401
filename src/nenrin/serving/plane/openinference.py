"""The Open Inference Protocol, version 2, over REST and JSON.

Specification: kserve/open-inference-protocol, ``specification/protocol/inference_rest.md``. Inputs
are named by request columns, one value a row. The binary tensor extension is not offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version as installed
from itertools import chain
from typing import Any

import msgspec

from nenrin.core.errors import RequestError
from nenrin.serving.plane.answering import Answers, Asked
from nenrin.serving.plane.decoding import decoded
from nenrin.serving.plane.table import Served
from nenrin.serving.signature import DATATYPES, Kind, RequestSignature

_WHOLE = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
_REAL = {"FP16", "FP32", "FP64"}
_TAKES: dict[Kind, set[str]] = {
    "number": _REAL | _WHOLE,
    "integer": _WHOLE | _REAL,
    "boolean": {"BOOL"} | _WHOLE,
    "string": {"BYTES"},
    "datetime": {"BYTES"},
    "date": {"BYTES"},
}


class Tensor(msgspec.Struct):
    """One input: a column of the request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct):
    """One output that the client asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct):
    """The body of ``POST /v2/models/NAME/infer``."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] | None = None


_decoder = msgspec.json.Decoder(InferRequest)


def read(body: bytes, served: Served) -> Asked:
    """The request of a body.

    Raises:
        RequestError: the body is not a request of the protocol, or does not fit the signature.
    """
    hint = f"GET /v2/models/{served.deployment.name} shows the inputs"
    request = decoded(body, _decoder, "the body is not an inference request", hint)
    columns = {tensor.name: _values(tensor) for tensor in request.inputs}
    if len(columns) < len(request.inputs):
        raise RequestError("an input comes twice", hint="send every input once")
    rows = served.reader.columns(columns, strict=True)
    kinds = {field.name: field.kind for field in served.deployment.request.fields}
    for tensor in request.inputs:
        if tensor.datatype not in _TAKES[kinds[tensor.name]]:
            raise RequestError(
                f"input {tensor.name!r} cannot be of datatype {tensor.datatype!r}",
                hint=f"send it as {DATATYPES[kinds[tensor.name]]}",
                where=tensor.name,
            )
    outputs = _outputs(served.deployment.request)
    for wanted in request.outputs or []:
        if wanted.name not in outputs:
            raise RequestError(
                f"there is no output {wanted.name!r}",
                hint=f"the outputs are {', '.join(outputs)}",
                where=wanted.name,
            )
    return Asked(rows, partial(write, request, served))


def write(request: InferRequest, served: Served, answers: Answers) -> dict[str, Any]:
    """The response: the answers, and row by row who gave them under which prediction id."""
    data: list[list[Any]] = [answers.values, answers.versions, answers.ids]
    outputs = _outputs(served.deployment.request)
    wanted = {each.name for each in request.outputs or []} or set(outputs)
    body: dict[str, Any] = {"model_name": served.deployment.name}
    if len(set(answers.versions)) == 1:
        body["model_version"] = answers.versions[0]
        body["parameters"] = {"version": answers.versions[0]}
    if request.id is not None:
        body["id"] = request.id
    body["outputs"] = [
        {"name": name, "datatype": datatype, "shape": [len(values)], "data": values}
        for (name, datatype), values in zip(outputs.items(), data, strict=True)
        if name in wanted
    ]
    return body


def _outputs(signature: RequestSignature) -> dict[str, str]:
    """Datatypes of the outputs, in their order."""
    return {signature.output: signature.datatype, "version": "BYTES", "prediction_id": "BYTES"}


def server_metadata() -> dict[str, Any]:
    """The body of ``GET /v2``."""
    return {"name": "nenrin", "version": installed("nenrin"), "extensions": []}


def model_metadata(served: Served) -> dict[str, Any]:
    """The body of ``GET /v2/models/NAME``: the request signature, and an example that works."""
    deployment = served.deployment
    signature = deployment.request
    return {
        "name": deployment.name,
        "versions": [runtime.version for runtime in served.runtimes],
        "platform": "nenrin",
        "inputs": [
            {
                "name": field.name,
                "datatype": DATATYPES[field.kind],
                "shape": [-1],
                "parameters": {"kind": field.kind, "required": field.required},
            }
            for field in signature.fields
        ],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1]}
            for name, datatype in _outputs(signature).items()
        ],
        "parameters": {
            "zone": signature.zone or "UTC",
            "frozen": deployment.frozen,
            "forms": served.forms,
            "example": signature.example(deployment.name, deployment.example)["body"],
        },
    }


def _values(tensor: Tensor) -> Sequence[Any]:
    """One value a row, from data that is flat or nested one a row."""
    data = tensor.data
    if data and isinstance(data[0], list) and all(isinstance(each, list) for each in data):
        data = list(chain.from_iterable(data))
    rows = tensor.shape[0] if tensor.shape else -1
    if tensor.shape not in ([rows], [rows, 1]) or len(data) != rows:
        raise RequestError(
            f"input {tensor.name!r} has the shape {tensor.shape} and {len(data)} values",
            hint="send one value a row: shape [rows] or [rows, 1]",
            where=tensor.name,
        )
    return data
