"""Bodies of ``POST /invocations``, with the predictions that MLflow 3.17.2 gave for them.

Its scoring server served a model that answers as :class:`tests.serving.kinds.Telling` does, with the
columns of ``SIGNATURE``; where it needs other bodies, or takes fewer than the plane, it says so here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from nenrin.serving.plane.doors import Doors
from nenrin.serving.signature import RequestSignature
from tests.serving.fakes import deployment
from tests.serving.kinds import INFER, ROW, KindsPlane

JSON = "application/json"
CSV = "text/csv"

ALIKE: list[tuple[str, str, list[float]]] = [
    (
        JSON,
        '{"dataframe_split": {"columns": ["s", "a", "n", "b", "d"], "index": [4, 7], "data":'
        ' [["x", 1, 3, true, "2024-02-29"], ["y", 2.5, 4, false, "2024-03-01"]]}}',
        [2.0, 5.0],
    ),
    (
        JSON,
        '{"dataframe_records": [{"a": 1, "n": 3, "b": true, "s": "x", "d": "2024-02-29"},'
        ' {"d": "2024-02-29", "s": "x", "b": false, "n": 3, "a": 2, "more": {"x": [1]}}]}',
        [2.0, 4.0],
    ),
    (
        JSON,
        '{"dataframe_records": [{"a": NaN, "n": 3, "b": true, "s": "x", "d": "2024-02-29"},'
        ' {"a": Infinity, "n": 3, "b": true, "s": "x", "d": "2024-02-29"},'
        ' {"a": -Infinity, "n": 3, "b": true, "s": "x", "d": "2024-02-29"}]}',
        [-2.0, -3.0, -4.0],
    ),
    (
        JSON,
        '{"instances": [{"a": 1, "n": 3, "b": true, "s": "x", "d": "2024-02-29"}]}',
        [2.0],
    ),
    (
        JSON,
        '{"instances": {"a": [1, 2], "n": [3, 3], "b": [true, true], "s": ["x", "x"],'
        ' "d": ["2024-02-29", "2024-02-29"]}}',
        [2.0, 4.0],
    ),
    (
        JSON,
        '{"inputs": {"a": [1, 2], "n": [3, 3], "b": [true, true], "s": ["x", "x"],'
        ' "d": ["2024-02-29", "2024-02-29"]}, "params": {"temperature": 1}}',
        [2.0, 4.0],
    ),
    (JSON, '{"inputs": {"a": 1, "n": 3, "b": true, "s": "x", "d": "2024-02-29"}}', [2.0]),
    (JSON, '{"inputs": [{"a": 1, "n": 3, "b": true, "s": "x", "d": "2024-02-29"}]}', [2.0]),
    (
        f"{JSON}; charset=utf-8",
        '{"inputs": [{"a": 1, "n": 3, "b": true, "s": "x", "d": "2024-02-29"}]}',
        [2.0],
    ),
    (CSV, "a,n,b,s,d\n1,3,True,x,2024-02-29\n2.5,3,false,y,2024-02-29\n", [2.0, 5.0]),
    (CSV, 's,a,n,b,d\r\n"x,""y""",1,3,TRUE,2024-02-29\r\n\r\nz,1e1,3,True,2024-02-29', [2.0, 20.0]),
    (CSV, "a,n,b,s,d\ninf,3,True,x,2024-02-29\n-Infinity,3,True,x,2024-02-29\n", [-3.0, -4.0]),
    (f"{CSV}; charset=utf-8", "more,a,n,b,s,d\n,1,3,True,x,2024-02-29\n", [2.0]),
]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> KindsPlane:
    return KindsPlane(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module")
def client(kinds: KindsPlane) -> Iterator[TestClient]:
    with kinds.client() as client:
        yield client


def ask(client: TestClient, body: str | bytes, media: str = JSON) -> Any:
    headers = {"content-type": media} if media else {}
    return client.post("/invocations", content=body, headers=headers)


@pytest.mark.parametrize(("media", "body", "predictions"), ALIKE)
def test_what_mlflow_answers(
    client: TestClient, media: str, body: str, predictions: list[float]
) -> None:
    answer = ask(client, body, media)
    assert answer.status_code == 200
    assert answer.json()["predictions"] == predictions


def test_more_forms_than_mlflow_takes(client: TestClient) -> None:
    record = json.dumps(ROW)
    ones = json.dumps({name: [[value]] for name, value in ROW.items()})
    for body in (record, f"[{record}]", f'{{"inputs": {ones}}}', f'{{"instances": {ones}}}'):
        assert ask(client, body).json()["predictions"] == [3.0], body
    for media in ("", "application/x-www-form-urlencoded", "application/octet-stream"):
        assert ask(client, record, media).status_code == 200, media


def test_cells_of_csv(kinds: KindsPlane, client: TestClient) -> None:
    body = "\ufeffa,n,b,s,d,id\n1,3.0,1,NA,2024-02-29,k\n,,,é,,null\nNaN,-2,0.0,1,2024-02-29\n"
    assert ask(client, body, CSV).json()["predictions"] == [2.0, -1.0, -1.0]
    assert [[row[name] for name in "anbs"] for row in kinds.asked] == [
        [1.0, 3, True, None],
        [None, None, None, "é"],
        [None, -2, False, "1"],
    ]
    assert [row["id"] for row in kinds.asked] == ["k", None, None]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no names of columns"),
        (b"a,n,b,s,d\n", "no rows"),
        (b"a,n,b,s\n1,3,True,x\n", "lacks the column 'd'"),
        (b"a,a\n1,2\n", "the column 'a' comes twice"),
        (b"a,n,b,s,d\n1,3,True,x,2024-02-29,more\n", "row 0 has more than 5 cells"),
        (b"a,n,b,s,d\nfar,3,True,x,2024-02-29\n", "'far' is not a number"),
        (b"a,n,b,s,d\n-1e400,3,True,x,2024-02-29\n", "'-1e400' is not a number"),
        (b"a,n,b,s,d\n1,3.5,True,x,2024-02-29\n", "not a whole number"),
        (b"a,n,b,s,d\n1,inf,True,x,2024-02-29\n", "not a whole number"),
        (b"a,n,b,s,d\n1,3,maybe,x,2024-02-29\n", "not true or false"),
        (b"a,n,b,s,d\n1,3,True,x,29.2.2024\n", "not a date"),
        (b"a\n\xff\n", "is not CSV"),
        (b'a\n"1', "is not CSV"),
        (b"a\n" + b"1" * 200_000, "is not CSV"),
        (b"a\n1\0\n", ""),
        (b"\r\r\n", "no names of columns"),
    ],
)
def test_bad_csv(client: TestClient, body: bytes, says: str) -> None:
    answer = ask(client, body, CSV)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    "media", ["text/xml", "application/x-parquet", "multipart/form-data", f"{JSON}; charset=utf-16"]
)
def test_other_content_types_are_refused(client: TestClient, media: str) -> None:
    answer = ask(client, json.dumps(ROW), media)
    assert answer.status_code == 415
    assert "is not application/json or text/csv" in answer.json()["error"]
    assert "send application/json" in answer.json()["hint"]


def test_no_body_is_called_so(client: TestClient) -> None:
    for path in ("/invocations", INFER):
        answer = client.post(path)
        assert (answer.status_code, answer.json()["error"]) == (400, "the request has no body")


def test_a_list_of_values_is_the_only_column(tmp_path: Path, client: TestClient) -> None:
    assert ask(client, '{"instances": [1, 2]}').status_code == 400
    kinds = KindsPlane(tmp_path)
    alone = RequestSignature.of({"a": pl.Float64()}, known={"id": pl.String()}, key=("id",))
    kinds.routes.listed = [deployment("version-2", name="one", request=alone, example={"a": 1.0})]
    kinds.table.refresh()
    with kinds.client() as client:
        for body in ('{"instances": [1, 2]}', '{"inputs": [[1], [2]]}'):
            assert ask(client, body).json()["predictions"] == [2.0, 4.0]


def test_rows_may_be_lists_in_the_order_of_the_signature(
    kinds: KindsPlane, client: TestClient
) -> None:
    rows = [[1.5, 3, True, "x", "2024-02-29"], [None, 4, False, None, None]]
    for form in ("instances", "inputs"):
        assert ask(client, json.dumps({form: rows})).json()["predictions"] == [3.0, -1.0]
        assert [[row[name] for name in "nbs"] for row in kinds.asked] == [
            [3, True, "x"],
            [4, False, None],
        ]
    short = ask(client, json.dumps({"instances": [rows[0], rows[1][:4]]}))
    assert short.status_code == 400
    assert short.json()["error"] == "row 1 has 4 values, and a row needs 5"
    assert "a, n, b, s, d, in this order" in short.json()["hint"]
    mixed = ask(client, json.dumps({"instances": [rows[0], ROW]}))
    assert (mixed.status_code, mixed.json()["error"]) == (400, "row 0 is not an object")


def test_custom_attributes_of_sagemaker_come_back(client: TestClient) -> None:
    name = "X-Amzn-SageMaker-Custom-Attributes"
    answer = client.post("/invocations", json=ROW, headers={name: "trace=7"})
    assert answer.headers[name] == "trace=7"
    assert name not in client.post("/invocations", json=ROW).headers


def test_health(client: TestClient) -> None:
    assert client.get("/ping").text == client.get("/health").text == "\n"
    assert client.get("/version").status_code == 200


def test_as_vertex_ai_asks(tmp_path: Path) -> None:
    kinds = KindsPlane(tmp_path)
    paths = {"health": frozenset({"/v1/health"}), "predict": frozenset({"/v1/m:predict"})}
    with kinds.client(doors=Doors(open=True, **paths)) as client:
        client.headers["host"] = "model.internal"
        assert client.get("/v1/health").status_code == 200
        asked = {"instances": [ROW, {**ROW, "a": 2}], "parameters": {"confidence": 0.5}}
        assert client.post("/v1/m:predict", json=asked).json()["predictions"] == [3.0, 4.0]
        assert client.post("/invocations", json=asked).status_code == 401
        assert client.get("/v2/models/kinds").status_code == 401
    with KindsPlane(tmp_path / "other").client("a long enough token", Doors(open=True)) as client:
        assert client.post("/invocations", json=ROW).status_code == 200
        assert client.get("/v2/models/kinds").status_code == 401
        bearer = {"authorization": "Bearer a long enough token"}
        assert client.get("/v2/models/kinds", headers=bearer).status_code == 200
