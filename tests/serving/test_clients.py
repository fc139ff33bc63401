"""Triton's clients, as their users call them. Others': ``python -m tests.serving.clients``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.serving.kinds import KindsPlane
from tests.serving.plane_here import PlaneHere, listening

http = pytest.importorskip("tritonclient.http", reason="pip install 'tritonclient[http]'")
grpc = pytest.importorskip("tritonclient.grpc", reason="pip install 'tritonclient[grpc]'")

VALUES = {
    "id": np.array([b"k1", b"k2", b"k3"], object),
    "a": np.array([1.5, math.nan, math.inf]),
    "n": np.array([3, -4, 2**62]),
    "b": np.array([True, False, True]),
    "s": np.array(["é,x".encode(), b"", b"z"], object),
    "d": np.array([b"2024-02-29"] * 3, object),
}
DATATYPES = {"id": "BYTES", "a": "FP64", "n": "INT64", "b": "BOOL", "s": "BYTES", "d": "BYTES"}
ANSWERS = [3.0, -2.0, -3.0]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> KindsPlane:
    return KindsPlane(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def here(kinds: KindsPlane) -> Iterator[PlaneHere]:
    with listening(kinds) as here:
        yield here


@pytest.fixture(params=["http", "grpc"])
def triton(request: pytest.FixtureRequest, here: PlaneHere) -> Iterator[Any]:
    module = {"http": http, "grpc": grpc}[request.param]
    client = module.InferenceServerClient(getattr(here, request.param))
    client.module = module
    yield client
    client.close()


def tensors(module: Any, **how: Any) -> list[Any]:
    made = []
    for name, values in VALUES.items():
        tensor = module.InferInput(name, [len(values)], DATATYPES[name])
        tensor.set_data_from_numpy(values, **how)
        made.append(tensor)
    return made


def test_health_metadata_and_repository(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("kinds")
    assert triton.is_model_ready("kinds", "version-1")
    how = {"as_json": True} if triton.module is grpc else {}
    assert "binary_tensor_data" in triton.get_server_metadata(**how)["extensions"]
    model = triton.get_model_metadata("kinds", **how)
    assert [each["datatype"] for each in model["inputs"]] == list(DATATYPES.values())
    index = triton.get_model_repository_index(**how)
    index = index if isinstance(index, list) else index["models"]
    assert [(each["name"], each["state"]) for each in index] == [("kinds", "READY")]
    triton.load_model("kinds")
    with pytest.raises(triton.module.InferenceServerException, match="not unloaded by a client"):
        triton.unload_model("kinds")
    for statistics in (
        triton.get_inference_statistics("kinds", **how),
        triton.get_inference_statistics(**how),
    ):
        assert [each["name"] for each in statistics["model_stats"]] == ["kinds"]


def test_tensors_in_bytes(triton: Any, kinds: KindsPlane) -> None:
    wanted = [triton.module.InferRequestedOutput(name) for name in ("prediction", "version")]
    answer = triton.infer("kinds", tensors(triton.module), request_id="mine", outputs=wanted)
    assert answer.as_numpy("prediction").tolist() == ANSWERS
    assert answer.as_numpy("version").tolist() == [b"version-1"] * 3
    assert answer.as_numpy("prediction_id") is None
    assert [row["n"] for row in kinds.asked] == [3, -4, 2**62]
    assert [row["s"] for row in kinds.asked] == ["é,x", "", "z"]
    everything = triton.infer("kinds", tensors(triton.module), model_version="version-1")
    assert everything.as_numpy("prediction").tolist() == ANSWERS
    assert everything.as_numpy("prediction_id").shape == (3,)


def test_triton_in_json(here: PlaneHere, kinds: KindsPlane) -> None:
    client = http.InferenceServerClient(here.http)
    wanted = [http.InferRequestedOutput(name, binary_data=False) for name in ("prediction",)]
    for how in ({}, {"request_compression_algorithm": "gzip"}):
        answer = client.infer("kinds", tensors(http, binary_data=False), outputs=wanted, **how)
        assert answer.as_numpy("prediction").tolist() == ANSWERS
    client.close()
    assert math.isnan(kinds.asked[1]["a"])


@pytest.mark.parametrize(
    ("name", "values", "datatype", "says"),
    [
        ("a", np.array([1, 2, 3], "f4"), "FP32", ""),
        ("n", np.array([300, 2, 3], "i2"), "INT16", ""),
        ("b", np.array([2, 0, 1], "u1"), "UINT8", "2 is not true or false"),
        ("b", np.array([0, 0, 1], "f4"), "FP32", "cannot be of datatype 'FP32'"),
        ("a", np.array([1, 2], "f8"), "FP64", "different lengths"),
        ("a", np.array([[1, 2, 3]], "f8"), "FP64", "has the shape [1, 3]"),
        ("d", np.array([b"\xff"] * 3, object), "BYTES", "not UTF-8"),
    ],
)
def test_errors_reach_the_clients(
    triton: Any, name: str, values: Any, datatype: str, says: str
) -> None:
    tensor = triton.module.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    inputs = [tensor, *(each for each in tensors(triton.module) if each.name() != name)]
    if not says:
        assert len(triton.infer("kinds", inputs).as_numpy("prediction")) == 3
        return
    with pytest.raises(triton.module.InferenceServerException) as refused:
        triton.infer("kinds", inputs)
    assert says in refused.value.message()
    assert refused.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_unknown_names_are_not_found(triton: Any) -> None:
    with pytest.raises(triton.module.InferenceServerException, match="there is no deployment"):
        triton.infer("none", tensors(triton.module))
    with pytest.raises(triton.module.InferenceServerException, match="does not serve version"):
        triton.infer("kinds", tensors(triton.module), model_version="v9")


def test_while_loading(here: PlaneHere, kinds: KindsPlane) -> None:
    seen, kinds.table._seen = kinds.table._seen, None
    looking = kinds.table.refresh
    kinds.table.refresh = lambda: None  # type: ignore[method-assign]
    try:
        with http.InferenceServerClient(here.http) as client:
            kinds.table._seen = None
            assert client.is_server_live()
            assert not client.is_server_ready()
        with grpc.InferenceServerClient(here.grpc) as client:
            assert not client.is_server_ready()
    finally:
        kinds.table._seen = seen
        kinds.table.refresh = looking  # type: ignore[method-assign]
