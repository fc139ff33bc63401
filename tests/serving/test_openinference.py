"""Version 2 over REST: every datatype, tensors in bytes, and what is refused."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from nenrin.serving.plane import app as plane_app
from nenrin.serving.plane.bodies import HEAD_LENGTH
from nenrin.serving.plane.tensors import packed, unpacked
from tests.serving.kinds import INFER, ROW, KindsPlane, inputs


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> KindsPlane:
    return KindsPlane(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def client(kinds: KindsPlane) -> Iterator[TestClient]:
    with kinds.client() as client:
        yield client


def sent(tensors: list[dict[str, Any]], rest: bytes, **other: Any) -> dict[str, Any]:
    """The arguments of a request with bytes behind its JSON."""
    head = json.dumps({"inputs": tensors, **other}).encode()
    return {"content": head + rest, "headers": {HEAD_LENGTH: str(len(head))}}


def in_bytes(name: str, datatype: str, raw: bytes, rows: int = 1) -> dict[str, Any]:
    parameters = {"binary_data_size": len(raw)}
    return {"name": name, "datatype": datatype, "shape": [rows], "parameters": parameters}


def test_a_row_of_every_kind(kinds: KindsPlane, client: TestClient) -> None:
    answer = client.post(INFER, json={"inputs": inputs()})
    assert answer.json()["outputs"][0]["data"] == [3.0]
    assert kinds.asked == [{**ROW, "d": date(2024, 2, 29)}]


@pytest.mark.parametrize(
    ("column", "datatype", "value", "read"),
    [
        ("a", "FP32", 0.1, float(np.float32(0.1))),
        ("a", "UINT8", 7, 7.0),
        ("n", "FP64", 7.0, 7),
        ("n", "INT8", -7, -7),
        ("b", "UINT8", 1, True),
        ("s", "BYTES", "", ""),
    ],
)
def test_columns_take_the_datatypes_that_hold_them(
    kinds: KindsPlane, client: TestClient, column: str, datatype: str, value: Any, read: Any
) -> None:
    changed = inputs(**{column: {"datatype": datatype, "data": [value]}})
    assert client.post(INFER, json={"inputs": changed}).status_code == 200
    assert kinds.asked[0][column] == read
    assert type(kinds.asked[0][column]) is type(read)


def test_null_is_missing_and_nan_is_not_a_number(kinds: KindsPlane, client: TestClient) -> None:
    nothing = inputs(a={"data": [None]}, s={"data": [None]})
    assert client.post(INFER, json={"inputs": nothing}).json()["outputs"][0]["data"] == [-1.0]
    body = json.dumps({"inputs": inputs(a={"data": [math.nan]})})
    assert "NaN" in body
    assert client.post(INFER, content=body).json()["outputs"][0]["data"] == [-2.0]
    assert math.isnan(kinds.asked[0]["a"])
    for token, told in (("Infinity", -3.0), ("-Infinity", -4.0)):
        answer = client.post(INFER, content=body.replace("NaN", token))
        assert answer.json()["outputs"][0]["data"] == [told]


def test_tensors_in_bytes_both_ways(kinds: KindsPlane, client: TestClient) -> None:
    parts = {
        "a": ("FP64", packed("FP64", [0.1, math.nan])),
        "n": ("INT64", packed("INT64", [-1, 2**62])),
        "b": ("BOOL", b"\1\0"),
        "s": ("BYTES", packed("BYTES", ["é", ""])),
    }
    tensors = [in_bytes(name, datatype, raw, 2) for name, (datatype, raw) in parts.items()]
    tensors.append({"name": "d", "datatype": "BYTES", "shape": [2], "data": ["2024-02-29"] * 2})
    asked = sent(
        tensors,
        b"".join(raw for _, raw in parts.values()),
        parameters={"binary_data_output": True},
        outputs=[
            {"name": "prediction"},
            {"name": "version", "parameters": {"binary_data": False}},
            {"name": "prediction_id", "parameters": {"binary_data": True}},
        ],
    )
    answer = client.post(INFER, **asked)
    assert answer.headers["content-type"] == "application/octet-stream"
    size = int(answer.headers[HEAD_LENGTH])
    first, second, third = json.loads(answer.content[:size])["outputs"]
    assert second["data"] == ["version-1", "version-1"]
    middle = size + first["parameters"]["binary_data_size"]
    assert unpacked("p", "FP64", [2], answer.content[size:middle]) == [0.2, -2.0]
    assert len(unpacked("p", "BYTES", third["shape"], answer.content[middle:])) == 2
    assert [(row["n"], row["b"], row["s"]) for row in kinds.asked] == [
        (-1, True, "é"),
        (2**62, False, ""),
    ]


EIGHT = packed("FP64", [1.0])


@pytest.mark.parametrize(
    ("head", "rest", "length", "says"),
    [
        ([in_bytes("a", "FP64", EIGHT)], EIGHT, "0", "is '0'"),
        ([in_bytes("a", "FP64", EIGHT)], EIGHT, "-1", "is '-1'"),
        ([in_bytes("a", "FP64", EIGHT)], EIGHT, "9" * 30, "and the body has"),
        ([in_bytes("a", "FP64", EIGHT)], EIGHT, "many", "is 'many'"),
        ([in_bytes("a", "FP64", EIGHT)], EIGHT, None, "not an inference request"),
        ([in_bytes("a", "FP64", EIGHT)], b"", "", "and 0 bytes are left"),
        ([in_bytes("a", "FP64", EIGHT)], EIGHT + b"x", "", "1 bytes behind the JSON"),
        ([in_bytes("a", "FP64", b"four")], b"four", "", "has 4 bytes, and 1 values of FP64 have 8"),
        ([in_bytes("s", "BYTES", b"\xff" * 8)], b"\xff" * 8, "", "has not the bytes of 1 texts"),
        ([{**in_bytes("a", "FP64", EIGHT), "data": [1.0]}], EIGHT, "", "binary_data_size 8"),
        ([{**in_bytes("a", "FP64", EIGHT), "shape": [1, 8]}], EIGHT, "", "has the shape [1, 8]"),
        (
            [{**in_bytes("a", "FP64", EIGHT), "parameters": {"binary_data_size": True}}],
            EIGHT,
            "",
            "binary_data_size True",
        ),
        (
            [{**in_bytes("a", "FP64", EIGHT), "parameters": {"binary_data_size": -8}}],
            EIGHT,
            "",
            "binary_data_size -8",
        ),
    ],
)
def test_bytes_that_do_not_fit_are_refused(
    client: TestClient, head: list[dict[str, Any]], rest: bytes, length: str | None, says: str
) -> None:
    asked = sent([*head, *(each for each in inputs() if each["name"] != head[0]["name"])], rest)
    if length is None:
        del asked["headers"][HEAD_LENGTH]
    elif length:
        asked["headers"][HEAD_LENGTH] = length
    answer = client.post(INFER, **asked)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"a": {"datatype": "INT8", "data": [300]}}, "row 0: 300 is not a number of INT8"),
        ({"n": {"datatype": "INT32", "data": [1.5]}}, "row 0: 1.5 is not a number of INT32"),
        ({"n": {"datatype": "UINT64", "data": [2**63]}}, "not a whole number of 64 bits"),
        ({"n": {"datatype": "FP64", "data": [1.5]}}, "not a whole number of 64 bits"),
        ({"b": {"datatype": "INT8", "data": [2]}}, "2 is not true or false"),
        ({"s": {"datatype": "BYTES", "data": [1]}}, "1 is not a text"),
        ({"s": {"datatype": "FP64", "data": [1]}}, "cannot be of datatype 'FP64'"),
        ({"d": {"data": ["2023-02-29"]}}, "is not a date"),
        ({"a": {"data": None}}, "has no data"),
        ({"a": {"datatype": "fp64"}}, "cannot be of datatype 'fp64'"),
        ({"a": {"shape": [1.5]}}, "Expected `int`"),
        ({"a": {"shape": [2]}}, "the shape [2] and 1 values"),
        ({"a": {"shape": [2], "data": [1, 2]}}, "different lengths"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    client: TestClient, changed: dict[str, Any], says: str
) -> None:
    answer = client.post(INFER, json={"inputs": inputs(**changed)})
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_what_is_not_offered_is_refused(client: TestClient) -> None:
    assert client.get("/v2").json()["extensions"] == [
        "binary_tensor_data",
        "model_repository",
        "statistics",
    ]
    for name in ("classification", "shared_memory_region"):
        wanted = [{"name": "prediction", "parameters": {name: 1}}]
        answer = client.post(INFER, json={"inputs": inputs(), "outputs": wanted})
        assert answer.status_code == 400
        assert answer.json()["error"] == f"{name} is not offered"


def test_compressed_bodies(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"inputs": inputs()}).encode()

    def asked(content: bytes, encoding: str) -> Any:
        return client.post(INFER, content=content, headers={"content-encoding": encoding})

    assert asked(gzip.compress(body), "gzip").status_code == 200
    assert asked(zlib.compress(body), "deflate").status_code == 200
    assert asked(body, "identity").status_code == 200
    for content in (body, gzip.compress(body)[:-4], gzip.compress(body) + b"more", b""):
        assert asked(content, "gzip").json()["error"] == "the body is not gzip"
    assert asked(body, "br").status_code == 415
    monkeypatch.setattr(plane_app, "BODY_BYTES", 1000)
    assert asked(gzip.compress(b" " * 100_000), "gzip").status_code == 413
