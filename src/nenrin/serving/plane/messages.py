"""The messages of the Open Inference Protocol over gRPC, made from the table below.

Names and numbers are those of the protocol (and of Triton's extensions), for they are what is sent.
The classes live in a pool of their own: a client's generated ones may be loaded beside them.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from nenrin.core.errors import MissingExtraError

PACKAGE = "inference"

# message: fields "name number type"; "*" behind the type: repeated; "map NAME": text to that message
_MESSAGES = """
ServerLiveRequest:
ServerLiveResponse: live 1 bool
ServerReadyRequest:
ServerReadyResponse: ready 1 bool
ModelReadyRequest: name 1 string, version 2 string
ModelReadyResponse: ready 1 bool
ServerMetadataRequest:
ServerMetadataResponse: name 1 string, version 2 string, extensions 3 string*
ModelMetadataRequest: name 1 string, version 2 string
TensorMetadata: name 1 string, datatype 2 string, shape 3 int64*
ModelMetadataResponse: name 1 string, versions 2 string*, platform 3 string, inputs 4 TensorMetadata*, \
outputs 5 TensorMetadata*
InferParameter: bool_param 1 bool, int64_param 2 int64, string_param 3 string, double_param 4 double, \
uint64_param 5 uint64
InferTensorContents: bool_contents 1 bool*, int_contents 2 int32*, int64_contents 3 int64*, \
uint_contents 4 uint32*, uint64_contents 5 uint64*, fp32_contents 6 float*, fp64_contents 7 double*, \
bytes_contents 8 bytes*
InferTensor: name 1 string, datatype 2 string, shape 3 int64*, parameters 4 map InferParameter, \
contents 5 InferTensorContents
InferOutput: name 1 string, parameters 2 map InferParameter
ModelInferRequest: model_name 1 string, model_version 2 string, id 3 string, \
parameters 4 map InferParameter, inputs 5 InferTensor*, outputs 6 InferOutput*, raw_input_contents 7 bytes*
ModelInferResponse: model_name 1 string, model_version 2 string, id 3 string, \
parameters 4 map InferParameter, outputs 5 InferTensor*, raw_output_contents 6 bytes*
RepositoryIndexRequest: repository_name 1 string, ready 2 bool
ModelIndex: name 1 string, version 2 string, state 3 string, reason 4 string
RepositoryIndexResponse: models 1 ModelIndex*
ModelRepositoryParameter: bool_param 1 bool, int64_param 2 int64, string_param 3 string, bytes_param 4 bytes
RepositoryModelLoadRequest: repository_name 1 string, model_name 2 string, \
parameters 3 map ModelRepositoryParameter
RepositoryModelLoadResponse:
RepositoryModelUnloadRequest: repository_name 1 string, model_name 2 string, \
parameters 3 map ModelRepositoryParameter
RepositoryModelUnloadResponse:
ModelStatisticsRequest: name 1 string, version 2 string
StatisticDuration: count 1 uint64, ns 2 uint64
InferStatistics: success 1 StatisticDuration, fail 2 StatisticDuration, queue 3 StatisticDuration, \
compute_input 4 StatisticDuration, compute_infer 5 StatisticDuration, compute_output 6 StatisticDuration, \
cache_hit 7 StatisticDuration, cache_miss 8 StatisticDuration
InferBatchStatistics: batch_size 1 uint64, compute_input 2 StatisticDuration, \
compute_infer 3 StatisticDuration, compute_output 4 StatisticDuration
ModelStatistics: name 1 string, version 2 string, last_inference 3 uint64, inference_count 4 uint64, \
execution_count 5 uint64, inference_stats 6 InferStatistics, batch_stats 7 InferBatchStatistics*
ModelStatisticsResponse: model_stats 1 ModelStatistics*
"""
_CHOICES = {"InferParameter", "ModelRepositoryParameter"}  # of their fields at most one is set


@cache
def messages() -> SimpleNamespace:
    """The message classes by name.

    Raises:
        MissingExtraError: grpcio or protobuf is not installed.
    """
    for needed in ("grpc", "google.protobuf"):
        try:
            import_module(needed)
        except ImportError:
            raise MissingExtraError.of(needed, "grpc") from None
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="nenrin/inference.proto", package=PACKAGE, syntax="proto3"
    )
    for line in _MESSAGES.strip().splitlines():
        name, _, fields = line.partition(":")
        _describe(file.message_type.add(name=name), fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    described = pool.FindFileByName(file.name).message_types_by_name
    return SimpleNamespace(
        **{name: message_factory.GetMessageClass(each) for name, each in described.items()}
    )


def _describe(message: Any, fields: str) -> None:
    """Add the fields of a line to a message's description."""
    if message.name in _CHOICES:
        message.oneof_decl.add(name="parameter_choice")
    for text in filter(None, fields.split(",")):
        name, number, *words = text.split()
        kind, repeated = words[-1].rstrip("*"), words[-1].endswith("*")
        if words[0] == "map":
            kind, repeated = _entry(message, name, kind), True
        field = message.field.add(name=name, number=int(number))
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        _of_kind(field, kind)
        if message.name in _CHOICES:
            field.oneof_index = 0


def _entry(message: Any, name: str, kind: str) -> str:
    """A map's entries are a message inside, which protobuf knows by its name and its option."""
    entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    for number, (part, of) in enumerate((("key", "string"), ("value", kind)), 1):
        field = entry.field.add(name=part, number=number)
        field.label = field.LABEL_OPTIONAL
        _of_kind(field, of)
    return f"{message.name}.{entry.name}"


def _of_kind(field: Any, kind: str) -> None:
    if kind[0].isupper():
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = field.Type.Value(f"TYPE_{kind.upper()}")
