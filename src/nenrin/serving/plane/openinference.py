"""The Open Inference Protocol, version 2: requests and answers, whatever carries them.

Specification: kserve/open-inference-protocol, ``specification/protocol/inference_rest.md``, and
Triton's extension of binary tensors. Inputs are named by request columns, one value a row. The body
of a REST request is read here; gRPC makes the same :class:`InferRequest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version as installed
from typing import Any

import msgspec
from starlette.responses import Response

from nenrin.core.errors import RequestError
from nenrin.serving.plane import matrices, tensors
from nenrin.serving.plane.answering import Answers, Asked
from nenrin.serving.plane.bodies import HEAD_LENGTH, cut
from nenrin.serving.plane.decoding import decoded
from nenrin.serving.plane.matrices import is_matrix
from nenrin.serving.plane.served import Served
from nenrin.serving.signature import DATATYPES, Kind, RequestSignature
from nenrin.training.records import Records

EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics")

_NUMBERS = tensors.REAL | tensors.WHOLE
TAKES: dict[Kind, frozenset[str]] = {
    "number": _NUMBERS,
    "integer": _NUMBERS,
    "boolean": tensors.WHOLE | {"BOOL"},
    "string": frozenset({"BYTES"}),
    "datetime": frozenset({"BYTES"}),
    "date": frozenset({"BYTES"}),
}
"""The datatypes that a column of each kind may be sent as."""
_NOT_OFFERED = ("classification", "shared_memory_region")


class Tensor(msgspec.Struct):
    """One input: a column of the request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
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
_NO_HEADERS: Mapping[str, str] = {}


def read(body: bytes, served: Served, headers: Mapping[str, str] = _NO_HEADERS) -> Asked:
    """The request of a body.

    Args:
        body: JSON; behind it the bytes of tensors, where the headers say so.
        served: the deployment that is asked.
        headers: of the request, by names in lower case.

    Raises:
        RequestError: the body is not a request of the protocol, or does not fit the signature.
    """
    hint = f"GET /v2/models/{served.deployment.name} shows the inputs"
    head, rest = cut(body, headers)
    request = decoded(head, _decoder, "the body is not an inference request", hint)
    first = request.inputs[0] if request.inputs else None
    if first is not None and is_matrix(first.shape, len(request.inputs), served.reader):
        rows = checked(request, _matrix(first, rest, served), served)
    else:
        rows = checked(request, _columns(request.inputs, rest), served)
    return Asked(rows, partial(_write, request, served))


def checked(
    request: InferRequest, given: Records | Mapping[str, list[Any]], served: Served
) -> Records:
    """The rows of a request whose tensors were read: as rows, or to columns, one value a row.

    Raises:
        RequestError: a tensor comes twice, does not fit the signature, or is asked for and not there.
    """
    rows = given if isinstance(given, Records) else _rows(request, given, served)
    for wanted in request.outputs or ():
        _check_output(wanted, served)
    return rows


def _rows(request: InferRequest, columns: Mapping[str, list[Any]], served: Served) -> Records:
    if len(columns) < len(request.inputs):
        raise RequestError("an input comes twice", hint="send every input once")
    kinds = {field.name: field.kind for field in served.deployment.request.fields}
    for tensor in request.inputs:
        kind = kinds.get(tensor.name)
        if kind is not None and tensor.datatype not in TAKES[kind]:
            raise RequestError(
                f"input {tensor.name!r} cannot be of datatype {tensor.datatype!r}",
                hint=f"send it as {DATATYPES[kind]}",
                where=tensor.name,
            )
    return served.reader.columns(columns, strict=True)


def outputs(
    request: InferRequest, served: Served, answers: Answers
) -> list[tuple[Wanted, str, list[Any]]]:
    """What was asked for, in the signature's order: how, its datatype, one value a row."""
    data: list[list[Any]] = [answers.values, answers.versions, answers.ids]
    asked = {each.name: each for each in request.outputs or ()}
    return [
        (asked.get(name) or Wanted(name), datatype, values)
        for (name, datatype), values in zip(
            _outputs(served.deployment.request).items(), data, strict=True
        )
        if name in asked or not asked
    ]


def version_of(answers: Answers) -> str | None:
    """The version that answered, where it was one for all rows."""
    return answers.versions[0] if len(set(answers.versions)) == 1 else None


def _columns(inputs: list[Tensor], rest: memoryview | None) -> dict[str, list[Any]]:
    """One value a row of every tensor, from JSON or from the bytes behind it, in their order."""
    columns, behind = {}, _Behind(rest)
    for tensor in inputs:
        raw = behind.take(tensor)
        name, datatype, shape = tensor.name, tensor.datatype, tensor.shape
        columns[name] = (
            tensors.listed(name, datatype, shape, _given(tensor))
            if raw is None
            else tensors.unpacked(name, datatype, shape, raw)
        )
    behind.end()
    return columns


def _matrix(tensor: Tensor, rest: memoryview | None, served: Served) -> Records:
    """The rows of the one tensor that holds all columns."""
    behind, reader = _Behind(rest), served.reader
    raw = behind.take(tensor)
    behind.end()
    name, datatype, shape = tensor.name, tensor.datatype, tensor.shape
    if raw is None:
        return matrices.listed(name, datatype, shape, _given(tensor), reader)
    return matrices.unpacked(name, datatype, shape, raw, reader)


class _Behind:
    """The bytes behind the JSON, given out tensor by tensor."""

    def __init__(self, rest: memoryview | None) -> None:
        self._rest = memoryview(b"") if rest is None else rest

    def take(self, tensor: Tensor) -> memoryview | None:
        """A tensor's bytes; None: its data is in the JSON."""
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            return None
        left = len(self._rest)
        if type(size) is not int or not 0 <= size <= left or tensor.data is not None:
            raise RequestError(
                f"input {tensor.name!r} has the binary_data_size {size!r:.40}, and {left} bytes are left",
                hint="send its bytes behind the JSON, the header Inference-Header-Content-Length, "
                "and no data",
                where=tensor.name,
            )
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def end(self) -> None:
        """No tensor comes any more."""
        if self._rest:
            raise RequestError(
                f"{len(self._rest)} bytes behind the JSON belong to no input",
                hint="say binary_data_size of every input that is sent in bytes",
            )


def _given(tensor: Tensor) -> list[Any]:
    if tensor.data is None:
        raise RequestError(
            f"input {tensor.name!r} has no data",
            hint="send one value a row; shared memory is not offered",
            where=tensor.name,
        )
    return tensor.data


def _check_output(wanted: Wanted, served: Served) -> None:
    names = _outputs(served.deployment.request)
    if wanted.name not in names:
        raise RequestError(
            f"there is no output {wanted.name!r}",
            hint=f"the outputs are {', '.join(names)}",
            where=wanted.name,
        )
    for name in _NOT_OFFERED:
        if name in wanted.parameters:
            raise RequestError(
                f"{name} is not offered", hint="GET /v2 names the extensions", where=wanted.name
            )


def _write(request: InferRequest, served: Served, answers: Answers) -> dict[str, Any] | Response:
    """The response: the answers, and row by row who gave them under which prediction id."""
    body: dict[str, Any] = {"model_name": served.deployment.name}
    version = version_of(answers)
    if version is not None:
        body["model_version"] = version
        body["parameters"] = {"version": version}
    if request.id is not None:
        body["id"] = request.id
    binary = request.parameters.get("binary_data_output", False)
    body["outputs"], parts = [], []
    for wanted, datatype, values in outputs(request, served, answers):
        output: dict[str, Any] = {"name": wanted.name, "datatype": datatype, "shape": [len(values)]}
        if wanted.parameters.get("binary_data", binary) is True:
            parts.append(tensors.packed(datatype, values))
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            output["data"] = values
        body["outputs"].append(output)
    return _binary(body, parts) if parts else body


def _binary(body: dict[str, Any], parts: list[bytes]) -> Response:
    head = msgspec.json.encode(body)
    return Response(
        b"".join([head, *parts]),
        media_type="application/octet-stream",
        headers={HEAD_LENGTH: str(len(head))},
    )


def _outputs(signature: RequestSignature) -> dict[str, str]:
    """Datatypes of the outputs, in their order."""
    return {signature.output: signature.datatype, "version": "BYTES", "prediction_id": "BYTES"}


def server_metadata() -> dict[str, Any]:
    """The body of ``GET /v2``."""
    return {"name": "nenrin", "version": installed("nenrin"), "extensions": list(EXTENSIONS)}


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
                "parameters": {
                    "kind": field.kind,
                    "required": field.name in signature.required,
                    "looked_up": field.name in signature.looked_up,
                },
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
