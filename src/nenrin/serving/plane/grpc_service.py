"""The Open Inference Protocol over gRPC: ``inference.GRPCInferenceService``.

It runs on the plane's event loop, and answers through the same :meth:`~nenrin.serving.plane.app.Plane.ask`
as HTTP does: the same checks, versions, log and counts. What goes wrong is a status with the text that
HTTP has under ``error``.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from starlette.exceptions import HTTPException

from nenrin.core.errors import (
    ConflictError,
    NenrinError,
    RequestError,
    UnauthorizedError,
)
from nenrin.serving.plane import matrices, openinference, tensors
from nenrin.serving.plane.answering import Answers, Asked
from nenrin.serving.plane.deadlines import TIMEOUT
from nenrin.serving.plane.headers import by_name
from nenrin.serving.plane.matrices import is_matrix
from nenrin.serving.plane.messages import PACKAGE, messages
from nenrin.serving.plane.repository import ModelRepository
from nenrin.serving.plane.rows import RowReader
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.plane.targets import VERSION
from nenrin.training.records import Records

if TYPE_CHECKING:
    import grpc

MESSAGE_BYTES = 64 * 2**20
GRACE_SECONDS = 5.0

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    422: "INVALID_ARGUMENT",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TENSOR = ("name", "datatype", "shape")
_OPEN = frozenset({"ServerLive", "ServerReady"})
_CONTENTS = {
    "BOOL": "bool_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    "INT64": "int64_contents",
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the typed contents of a datatype are; FP16 has only raw ones."""

_Headers = Mapping[str, str]
_Call = Callable[[Any, _Headers], Awaitable[Any]]

_logger = logging.getLogger(__name__)


class Asking(Protocol):
    """What the service needs of the plane."""

    repository: ModelRepository

    @property
    def unready(self) -> NenrinError | None:
        """Why no more requests should be sent; None: every deployment answers."""

    async def ask(
        self,
        protocol: str,
        name: str | None,
        version: str | None,
        read: Callable[[Served], Asked],
        timeout: str | None,
        headers: Mapping[str, str],
    ) -> Any:
        """Answer a request of any protocol, log it and count it."""


class InferenceService:
    """The calls of the protocol.

    Args:
        plane: answers.
        table: what is served.
        token: asked of every call but those for health, as ``authorization: Bearer``.
    """

    def __init__(self, plane: Asking, table: RouteTable, token: str | None = None) -> None:
        self._plane = plane
        self._table = table
        self._expected = f"Bearer {token}".encode() if token else None
        self._messages = messages()

    def handler(self) -> grpc.GenericRpcHandler:
        """The service as grpcio takes it; requests are parsed here, so that bad bytes are told apart."""
        import grpc

        calls: dict[str, _Call] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ServerMetadata": self._server,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model,
            "ModelInfer": self._infer,
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }
        return grpc.method_handlers_generic_handler(
            f"{PACKAGE}.GRPCInferenceService",
            {
                name: grpc.unary_unary_rpc_method_handler(partial(self._call, name, call))
                for name, call in calls.items()
            },
        )

    async def _call(self, name: str, call: _Call, sent: bytes, context: Any) -> bytes:
        """One call, from bytes to bytes."""
        import grpc

        try:
            headers = _headers(context)
            if name not in _OPEN:
                self._check(headers)
            asked = _parsed(getattr(self._messages, f"{name}Request"), sent)
            answer = await call(asked, headers)
            plain: bytes = answer.SerializeToString()
        except (NenrinError, HTTPException) as error:
            status, text = _told(error)
            code = grpc.StatusCode[_CODES.get(status, "INTERNAL")]
        except Exception:
            _logger.exception("gRPC %s", name)
            code, text = grpc.StatusCode.INTERNAL, "something unexpected happened in the data plane"
        else:
            return plain
        await context.abort(code, text)
        raise AssertionError  # abort has raised

    def _check(self, headers: _Headers) -> None:
        if self._expected is None:
            return
        given = headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), self._expected):
            raise UnauthorizedError(
                "the token is wrong" if given else "the call has no token",
                hint="send the metadata authorization: Bearer and the value of NENRIN_TOKEN",
            )

    async def _live(self, _asked: Any, _headers: _Headers) -> Any:
        return self._messages.ServerLiveResponse(live=True)

    async def _ready(self, _asked: Any, _headers: _Headers) -> Any:
        return self._messages.ServerReadyResponse(ready=self._plane.unready is None)

    async def _server(self, _asked: Any, _headers: _Headers) -> Any:
        return self._messages.ServerMetadataResponse(**openinference.server_metadata())

    async def _model_ready(self, asked: Any, _headers: _Headers) -> Any:
        self._plane.repository.check(self._named(asked.name), asked.version)
        return self._messages.ModelReadyResponse(ready=True)

    async def _model(self, asked: Any, _headers: _Headers) -> Any:
        name = self._named(asked.name)
        served = await self._plane.repository.opened(name, asked.version)
        told = openinference.model_metadata(served)
        tensor = self._messages.TensorMetadata
        columns = {
            place: [tensor(**{name: each[name] for name in _TENSOR}) for each in told[place]]
            for place in ("inputs", "outputs")
        }
        known = {name: told[name] for name in ("name", "versions", "platform")}
        return self._messages.ModelMetadataResponse(**known, **columns)

    async def _infer(self, asked: Any, headers: _Headers) -> Any:
        return await self._plane.ask(
            "grpc",
            self._named(asked.model_name),
            asked.model_version or headers.get(VERSION.decode()),
            partial(self._read, asked),
            headers.get(TIMEOUT.decode()),
            headers,
        )

    async def _statistics(self, asked: Any, _headers: _Headers) -> Any:
        told = self._plane.repository.statistics(asked.name, asked.version)
        return self._messages.ModelStatisticsResponse(model_stats=told)

    async def _index(self, asked: Any, _headers: _Headers) -> Any:
        models = self._plane.repository.index(ready=asked.ready)
        return self._messages.RepositoryIndexResponse(models=models)

    async def _load(self, asked: Any, _headers: _Headers) -> Any:
        await self._plane.repository.load(asked.model_name, dict(asked.parameters))
        return self._messages.RepositoryModelLoadResponse()

    async def _unload(self, asked: Any, _headers: _Headers) -> Any:
        await self._plane.repository.unload(asked.model_name)
        return self._messages.RepositoryModelUnloadResponse()

    def _named(self, name: str) -> str:
        """The name of a model.

        Raises:
            RequestError: there is none, though models are deployed.
        """
        names = ", ".join(sorted({*self._table.served, *self._table.resting}))
        if name or not names:
            return name
        raise RequestError("the request names no model", hint=f"deployments here: {names}")

    def _read(self, asked: Any, served: Served) -> Asked:
        """The request of a message, as :func:`nenrin.serving.plane.openinference.read` of a body."""
        request = openinference.InferRequest(
            inputs=[
                openinference.Tensor(each.name, list(each.shape), each.datatype)
                for each in asked.inputs
            ],
            outputs=[
                openinference.Wanted(each.name, _parameters(each.parameters))
                for each in asked.outputs
            ],
        )
        inputs, reader = request.inputs, served.reader
        wide = bool(inputs) and is_matrix(inputs[0].shape, len(inputs), reader)
        rows = openinference.checked(
            request, _matrix(asked, reader) if wide else _columns(asked), served
        )
        return Asked(rows, partial(self._write, request, asked, served))

    def _write(
        self, request: openinference.InferRequest, asked: Any, served: Served, answers: Answers
    ) -> Any:
        """The answer, in raw contents where the request had them."""
        version = openinference.version_of(answers)
        told = self._messages.ModelInferResponse(
            model_name=served.deployment.name, model_version=version or "", id=asked.id
        )
        if version is not None:
            told.parameters["version"].string_param = version
        for wanted, datatype, values in openinference.outputs(request, served, answers):
            output = told.outputs.add(name=wanted.name, datatype=datatype, shape=[len(values)])
            if asked.raw_input_contents:
                told.raw_output_contents.append(tensors.packed(datatype, values))
            else:
                plain = [str(v).encode() for v in values] if datatype == "BYTES" else values
                getattr(output.contents, _CONTENTS[datatype]).extend(plain)
        return told


@asynccontextmanager
async def serving_grpc(service: InferenceService, host: str, port: int) -> AsyncIterator[int]:
    """Serve the service; in the end, what is under way is finished. Gives the port.

    Args:
        service: what is served.
        host: the address to listen at.
        port: 0: any free one.

    Raises:
        ConflictError: it cannot listen there.
    """
    import grpc

    server = grpc.aio.server(
        handlers=[service.handler()],
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", -1),
        ],
    )
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        raise ConflictError(
            f"gRPC cannot listen on {address}",
            hint=f"nenrin up --grpc-port {port + 1}",
            where=address,
        ) from None
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(GRACE_SECONDS)


def _headers(context: Any) -> _Headers:
    """The metadata of a call, which stands for the headers of HTTP; what is bytes stands for none."""
    sent = context.invocation_metadata() or ()
    return by_name(((name, told) for name, told in sent if isinstance(told, str)), ", ")


def _parsed(kind: Any, sent: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(sent)
    except DecodeError as error:
        raise RequestError(
            f"the message is not one of {kind.DESCRIPTOR.full_name}: {error}",
            hint="use a client of the Open Inference Protocol",
        ) from None


def _told(error: NenrinError | HTTPException) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    return error.status, f"{error.message}; {error.hint}" if error.hint else error.message


def _columns(asked: Any) -> dict[str, list[Any]]:
    """One value a row of every tensor: all in raw contents, or each in typed ones."""
    raw = _raw(asked)
    return {
        tensor.name: tensors.listed(
            tensor.name, tensor.datatype, list(tensor.shape), _typed(tensor)
        )
        if raw is None
        else tensors.unpacked(tensor.name, tensor.datatype, tensor.shape, raw[place])
        for place, tensor in enumerate(asked.inputs)
    }


def _matrix(asked: Any, reader: RowReader) -> Records:
    """The rows of the one tensor that holds all columns."""
    [tensor], raw = asked.inputs, _raw(asked)
    name, datatype, shape = tensor.name, tensor.datatype, list(tensor.shape)
    if raw is None:
        return matrices.listed(name, datatype, shape, _typed(tensor), reader)
    return matrices.unpacked(name, datatype, shape, raw[0], reader)


def _raw(asked: Any) -> Sequence[bytes] | None:
    """The raw contents of all tensors; None: each has typed ones."""
    raw: Sequence[bytes] = asked.raw_input_contents
    if not raw:
        return None
    if len(raw) != len(asked.inputs):
        raise RequestError(
            f"there are {len(asked.inputs)} inputs and {len(raw)} raw_input_contents",
            hint="send all inputs in raw contents, in their order, or none",
        )
    for tensor in asked.inputs:
        if tensor.contents.ListFields():  # MLServer sends an empty message
            raise RequestError(
                f"input {tensor.name!r} has contents, and there are raw_input_contents too",
                hint="send one of them",
                where=tensor.name,
            )
    return raw


def _typed(tensor: Any) -> list[Any]:
    """The values of typed contents, which must be those of the datatype and no others."""
    datatype = tensors.known(tensor.name, tensor.datatype)
    field = _CONTENTS.get(datatype)
    others = [each.name for each, _ in tensor.contents.ListFields() if each.name != field]
    if field is None or others:
        raise RequestError(
            f"input {tensor.name!r} of datatype {datatype} has {' and '.join(others) or 'no raw contents'}",
            hint=f"send {field}" if field else "send raw_input_contents",
            where=tensor.name,
        )
    values = list(getattr(tensor.contents, field))
    if datatype == "BYTES":
        values = [tensors.text_of(tensor.name, value) for value in values]
    return values


def _parameters(told: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, parameter in told.items():
        chosen = parameter.WhichOneof("parameter_choice")
        found[name] = getattr(parameter, chosen) if chosen else None
    return found
