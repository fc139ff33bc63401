"""The protocol over gRPC, asked with messages of our own: what is answered, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx2
import msgspec
import polars as pl
import pytest

from nenrin.core.errors import RemoteError, StepError
from nenrin.serving.plane import grpc_service
from nenrin.serving.plane.messages import messages
from nenrin.serving.plane.tensors import packed, unpacked
from nenrin.serving.segments import read_predictions
from nenrin.serving.signature import RequestSignature
from tests.serving.fakes import deployment
from tests.serving.kinds import INFER as HTTP
from tests.serving.kinds import ROW, SIGNATURE, KindsPlane, inputs
from tests.serving.plane_here import listening

grpc = pytest.importorskip("grpc")
TOKEN = "a long enough token"


class Stub:
    """Calls by name."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def bytes(self, name: str, sent: bytes, token: str = TOKEN) -> bytes:
        call = self._channel.unary_unary(f"/inference.GRPCInferenceService/{name}")
        answer: bytes = call(
            sent, metadata=[("authorization", f"Bearer {token}")] if token else [], timeout=120
        )
        return answer

    def __call__(self, name: str, token: str = TOKEN, /, **fields: Any) -> Any:
        sent = getattr(messages(), f"{name}Request")(**fields).SerializeToString()
        return getattr(messages(), f"{name}Response").FromString(self.bytes(name, sent, token))

    def refused(self, name: str, token: str = TOKEN, /, **fields: Any) -> tuple[str, str]:
        with pytest.raises(grpc.RpcError) as refused:
            self(name, token, **fields)
        return refused.value.code().name, refused.value.details()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> KindsPlane:
    return KindsPlane(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def ask(kinds: KindsPlane) -> Iterator[Stub]:
    with listening(kinds, TOKEN) as here, grpc.insecure_channel(here.grpc) as channel:
        yield Stub(channel)


def tensor(name: str, datatype: str, rows: int = 1, **contents: Any) -> dict[str, Any]:
    made = {"name": name, "datatype": datatype, "shape": [rows]}
    return {**made, "contents": contents} if contents else made


TYPED = [
    tensor("id", "BYTES", bytes_contents=[b"k1"]),
    tensor("a", "FP64", fp64_contents=[1.5]),
    tensor("n", "INT64", int64_contents=[3]),
    tensor("b", "BOOL", bool_contents=[True]),
    tensor("s", "BYTES", bytes_contents=["é,x".encode()]),
    tensor("d", "BYTES", bytes_contents=[b"2024-02-29"]),
]


def changed(place: int, **other: Any) -> list[dict[str, Any]]:
    return [{**each, **other} if n == place else each for n, each in enumerate(TYPED)]


def test_health_and_metadata(ask: Stub) -> None:
    assert ask("ServerLive", "").live
    assert ask("ServerReady", "").ready
    assert ask("ModelReady", name="kinds").ready
    server = ask("ServerMetadata")
    assert (server.name, "statistics" in server.extensions) == ("nenrin", True)
    model = ask("ModelMetadata", name="kinds", version="version-1")
    assert list(model.versions) == ["version-1"]
    assert [(each.name, each.datatype, list(each.shape)) for each in model.inputs][:2] == [
        ("id", "BYTES", [-1]),
        ("a", "FP64", [-1]),
    ]
    assert [each.name for each in model.outputs] == ["prediction", "version", "prediction_id"]


def test_typed_contents(ask: Stub, kinds: KindsPlane) -> None:
    told = ask("ModelInfer", model_name="kinds", id="mine", inputs=TYPED)
    assert (told.id, told.model_name, told.model_version) == ("mine", "kinds", "version-1")
    assert told.parameters["version"].string_param == "version-1"
    prediction, version, identity = told.outputs
    assert list(prediction.contents.fp64_contents) == [3.0]
    assert list(version.contents.bytes_contents) == [b"version-1"]
    assert not told.raw_output_contents
    assert kinds.asked == [{**ROW, "d": date(2024, 2, 29)}]
    assert identity.contents.bytes_contents[0].decode().startswith("prediction-")


def test_raw_contents(ask: Stub, kinds: KindsPlane) -> None:
    parts: list[tuple[str, str, list[Any]]] = [
        ("a", "FP32", [0.5, 1.0]),
        ("n", "UINT8", [1, 255]),
        ("b", "UINT8", [1, 0]),
        ("s", "BYTES", ["é", ""]),
        ("d", "BYTES", ["2024-02-29", "2024-03-01"]),
    ]
    told = ask(
        "ModelInfer",
        model_name="kinds",
        inputs=[tensor(name, datatype, 2) for name, datatype, _ in parts],
        raw_input_contents=[packed(datatype, values) for _, datatype, values in parts],
        outputs=[{"name": "version"}, {"name": "prediction"}],
    )
    assert [each.name for each in told.outputs] == ["prediction", "version"]
    assert unpacked("p", "FP64", [2], told.raw_output_contents[0]) == [1.0, 2.0]
    assert unpacked("v", "BYTES", [2], told.raw_output_contents[1]) == ["version-1"] * 2
    assert [(row["n"], row["s"], row["id"]) for row in kinds.asked] == [
        (1, "é", None),
        (255, "", None),
    ]


def test_one_tensor_of_all_columns_where_they_are_numbers(tmp_path: Any) -> None:
    kinds = KindsPlane(tmp_path)
    needed = {"a": pl.Float64(), "c": pl.Float64()}
    numbers = RequestSignature.of(needed, known=needed, key=(), output="prediction")
    example = {"a": 1.0, "c": 2.0}
    kinds.routes.listed = [deployment("v1", name="kinds", request=numbers, example=example)]
    kinds.table.refresh()
    values = [0.5, 1.0, -2.0, math.inf]
    with listening(kinds) as here, grpc.insecure_channel(here.grpc) as channel:
        ask = Stub(channel)
        told = {
            "typed": ({"contents": {"fp64_contents": values}}, {}),
            "raw": ({}, {"raw_input_contents": [packed("FP64", values)]}),
        }
        for contents, raw in told.values():
            rows = {"name": "all", "datatype": "FP64", "shape": [2, 2], **contents}
            ask("ModelInfer", model_name="kinds", inputs=[rows], **raw)
            assert kinds.asked == [{"a": 0.5, "c": 1.0}, {"a": -2.0, "c": math.inf}]
            wrong = ask.refused(
                "ModelInfer", model_name="kinds", inputs=[{**rows, "shape": [3, 2]}]
            )
            assert wrong[0] == "INVALID_ARGUMENT"
        unknown = {"inputs": [rows], "outputs": [{"name": "p"}], **raw}
        assert "no output 'p'" in ask.refused("ModelInfer", model_name="kinds", **unknown)[1]


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"model_name": "none", "inputs": TYPED}, "NOT_FOUND", "there is no deployment 'none'"),
        ({"model_version": "v9", "inputs": TYPED}, "NOT_FOUND", "does not serve version 'v9'"),
        ({"model_name": ""}, "INVALID_ARGUMENT", "names no model; deployments here: kinds"),
        ({}, "INVALID_ARGUMENT", "lacks the column"),
        ({"inputs": changed(1, shape=[2])}, "INVALID_ARGUMENT", "the shape [2] and 1 values"),
        ({"inputs": changed(1, shape=[])}, "INVALID_ARGUMENT", "has the shape []"),
        ({"inputs": changed(1, shape=[1, 3])}, "INVALID_ARGUMENT", "has the shape [1, 3]"),
        ({"inputs": changed(1, datatype="FP65")}, "INVALID_ARGUMENT", "datatype 'FP65'"),
        ({"inputs": changed(1, datatype="FP32")}, "INVALID_ARGUMENT", "has fp64_contents"),
        ({"inputs": changed(1, datatype="FP16", contents={})}, "INVALID_ARGUMENT", "no raw"),
        ({"inputs": changed(1, name="x")}, "INVALID_ARGUMENT", "lacks the column 'a'"),
        ({"inputs": [*TYPED, TYPED[0]]}, "INVALID_ARGUMENT", "comes twice"),
        (
            {"inputs": changed(2, datatype="INT8", contents={"int_contents": [300]})},
            "INVALID_ARGUMENT",
            "300 is not a number of INT8",
        ),
        (
            {"inputs": changed(4, contents={"bytes_contents": [b"\xff"]})},
            "INVALID_ARGUMENT",
            "not UTF-8",
        ),
        ({"inputs": TYPED, "outputs": [{"name": "p"}]}, "INVALID_ARGUMENT", "no output 'p'"),
        (
            {"inputs": TYPED, "raw_input_contents": [b""]},
            "INVALID_ARGUMENT",
            "6 inputs and 1 raw_input_contents",
        ),
        ({"inputs": TYPED, "raw_input_contents": [b""] * 6}, "INVALID_ARGUMENT", "has contents"),
        (
            {"inputs": [tensor("a", "FP64")], "raw_input_contents": [b"four"]},
            "INVALID_ARGUMENT",
            "has 4 bytes",
        ),
    ],
)
def test_what_is_wrong_is_told(ask: Stub, fields: dict[str, Any], code: str, says: str) -> None:
    told = ask.refused("ModelInfer", **{"model_name": "kinds", **fields})
    assert told[0] == code
    assert says in told[1]


def test_bytes_that_are_no_message(ask: Stub) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ask.bytes("ModelInfer", b"\xff\xff\xff")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_loading_is_unavailable(ask: Stub, kinds: KindsPlane) -> None:
    was, kinds.table.problems = kinds.table.problems, {"other": "it is loading"}
    kinds.table._retry_at = math.inf  # else the routes are read again, and that is forgotten
    try:
        assert ask.refused("ModelReady", name="other")[0] == "UNAVAILABLE"
        assert ask.refused("ModelInfer", model_name="other")[0] == "UNAVAILABLE"
    finally:
        kinds.table.problems, kinds.table._retry_at = was, 0.0


def test_a_server_that_fails_behind_a_model_is_unavailable() -> None:
    for error, code in ((RemoteError("it refuses"), "UNAVAILABLE"), (StepError("no"), "INTERNAL")):
        status, _ = grpc_service._told(error)
        assert grpc_service._CODES.get(status, "INTERNAL") == code


def test_it_is_not_ready_once_its_end_has_begun(ask: Stub, kinds: KindsPlane) -> None:
    kinds.plane.drain.begun = True
    try:
        assert not ask("ServerReady", "").ready
    finally:
        kinds.plane.drain.begun = False
    assert ask("ServerReady", "").ready


def test_what_was_let_go_answers_when_it_is_asked(tmp_path: Any) -> None:
    kinds = KindsPlane(tmp_path)
    with listening(kinds) as here, grpc.insecure_channel(here.grpc) as channel:
        ask = Stub(channel)
        kinds.table.rest("kinds")
        assert ask("ModelReady", name="kinds", version="version-1").ready
        assert ask.refused("ModelReady", name="kinds", version="v9")[0] == "NOT_FOUND"
        assert not ask("ModelStatistics", name="kinds").model_stats
        assert "kinds" in kinds.table.resting
        assert list(ask("ModelMetadata", name="kinds").versions) == ["version-1"]
        assert "kinds" in kinds.table.served


def test_a_token_is_asked_of_all_but_health(ask: Stub) -> None:
    for token in ("", "wrong"):
        assert ask.refused("ModelInfer", token, model_name="kinds")[0] == "UNAUTHENTICATED"
        assert ask.refused("RepositoryIndex", token)[0] == "UNAUTHENTICATED"


def test_repository_and_statistics(ask: Stub) -> None:
    (model,) = ask("RepositoryIndex").models
    assert (model.name, model.version, model.state) == ("kinds", "version-1", "READY")
    ask("RepositoryModelLoad", model_name="kinds")
    assert ask.refused("RepositoryModelLoad", model_name="none")[0] == "NOT_FOUND"
    assert ask.refused("RepositoryModelUnload", model_name="kinds")[0] == "FAILED_PRECONDITION"
    (before,) = ask("ModelStatistics", name="kinds").model_stats
    ask("ModelInfer", model_name="kinds", inputs=TYPED)
    (after,) = ask("ModelStatistics", name="kinds", version="version-1").model_stats
    assert after.inference_count == before.inference_count + 1
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert ask.refused("ModelStatistics", name="none")[0] == "NOT_FOUND"


def test_metadata_are_heeded_as_the_headers_of_http(tmp_path: Any) -> None:
    kinds = KindsPlane(tmp_path)
    signature = msgspec.structs.replace(SIGNATURE, sticky="X-User")
    kinds.routes.listed = [
        deployment("v1", "v2", weights=[50, 50], name="kinds", request=signature, example=ROW)
    ]
    kinds.table.refresh()
    sent = messages().ModelInferRequest(model_name="kinds", inputs=TYPED).SerializeToString()

    with listening(kinds) as here, grpc.insecure_channel(here.grpc) as channel:

        def answers(*more: tuple[str, str], **headers: str) -> str:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            metadata = [(name.replace("_", "-"), told) for name, told in headers.items()]
            metadata += more
            answer = call(sent, metadata=metadata, timeout=120)
            version: str = messages().ModelInferResponse.FromString(answer).model_version
            return version

        for version in ("v1", "v2"):
            assert answers(x_nenrin_version=version) == version
        router = kinds.table.get("kinds").router
        dealt = {f"u{user}": ("v1", "v2")[router.pick(f"u{user}")] for user in range(8)}
        assert len({*dealt.values()}) == 2
        assert {user: answers(x_user=user) for user in dealt} == dealt
        both = f"u{2**20}, u7"  # as a proxy may join them
        headers = [("X-User", f"u{2**20}"), ("X-User", "u7")]
        url = f"http://{here.http}{HTTP}"
        told = httpx2.post(url, json={"inputs": inputs()}, headers=headers, timeout=120).json()
        assert answers(("x-user", "u7"), x_user=f"u{2**20}") == told["model_version"]
        assert told["model_version"] == ("v1", "v2")[router.pick(both)]
        assert answers(x_request_timeout_ms="20000") == answers()
        for name, wrong, code in (
            ("x_nenrin_version", "v7", "NOT_FOUND"),
            ("x_request_timeout_ms", "soon", "INVALID_ARGUMENT"),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                answers(**{name: wrong})
            assert refused.value.code().name == code


def test_predictions_are_logged_as_those_of_http(tmp_path: Any) -> None:
    kinds = KindsPlane(tmp_path)
    with listening(kinds) as here, grpc.insecure_channel(here.grpc) as channel:
        told = Stub(channel)("ModelInfer", model_name="kinds", inputs=TYPED)
        metrics = kinds.plane._metrics.text().decode()
    assert 'nenrin_requests_total{deployment="kinds",protocol="grpc",status="200"} 1.0' in metrics
    (logged,) = read_predictions(tmp_path / "predictions")
    assert [logged.id.encode()] == list(told.outputs[2].contents.bytes_contents)
    assert logged.answer == 3.0
