"""The endpoints, asked in process."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from nenrin.core.calendar import SimulatedCalendar
from nenrin.core.timer import SystemTimer
from nenrin.serving.livelog import LiveLog
from nenrin.serving.masks import LogRules
from nenrin.serving.plane import app as plane_app
from nenrin.serving.plane.app import Plane
from nenrin.serving.plane.proxy import ControlProxy
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.segments import read_predictions
from tests.serving.fakes import EXAMPLE, FakeLoader, ListedRoutes, deployment

INPUTS = deployment("v0.25").request.example("delay", EXAMPLE)["body"]["inputs"]
INFER = "/v2/models/delay/infer"


class Setting:
    """A plane over routes that the test changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.routes = ListedRoutes(deployment("v0.25", features="s1"))
        self.table = RouteTable(
            self.routes, FakeLoader(), SimulatedCalendar(1_380_000_000_000_000), SystemTimer()
        )

    def client(self, token: str | None = None) -> TestClient:
        control = ControlProxy(self.folder / "control.sock")
        log = LiveLog(self.folder / "predictions")
        self.plane = Plane(self.table, log, control, SystemTimer())
        return TestClient(
            self.plane.app(token), base_url="http://127.0.0.1", raise_server_exceptions=False
        )


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


@pytest.fixture
def client(setting: Setting) -> Iterator[TestClient]:
    setting.table.refresh()
    with setting.client() as client:
        yield client


def changed(column: str, **other: Any) -> dict[str, Any]:
    inputs = [{**tensor, **other} if tensor["name"] == column else tensor for tensor in INPUTS]
    return {"inputs": inputs}


def test_infer(client: TestClient) -> None:
    body = client.post(INFER, json={"id": "mine", "inputs": INPUTS}).json()
    prediction = body["outputs"][2]["data"][0]
    assert prediction.startswith("prediction-")
    assert body == {
        "model_name": "delay",
        "model_version": "v0.25",
        "parameters": {"version": "v0.25"},
        "id": "mine",
        "outputs": [
            {"name": "probability", "datatype": "FP64", "shape": [1], "data": [0.25]},
            {"name": "version", "datatype": "BYTES", "shape": [1], "data": ["v0.25"]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [1], "data": [prediction]},
        ],
    }


def test_infer_many_rows_nested_and_chosen_outputs(client: TestClient) -> None:
    inputs = [
        {"name": "distance", "datatype": "FP32", "shape": [2, 1], "data": [[1.0], [2]]},
        {"name": "sched_dep", "datatype": "BYTES", "shape": [2], "data": [None, None]},
        {"name": "origin", "datatype": "BYTES", "shape": [2], "data": ["EWR", "JFK"]},
    ]
    asked = {"inputs": inputs, "outputs": [{"name": "probability"}]}
    body = client.post(INFER, json=asked).json()
    assert body["outputs"] == [
        {"name": "probability", "datatype": "FP64", "shape": [2], "data": [0.25, 0.25]}
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "has no body"),
        (b"{", "not an inference request"),
        (b"[]", "Expected `object`"),
        (b'{"id": "\xff"}', "not an inference request"),
        (b'{"parameters": {"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"unknown": ' + b"[" * 100_000, "nested too deeply"),
        ({}, "missing required field `inputs`"),
        ({"inputs": []}, "lacks the column 'sched_dep'"),
        ({"inputs": [*INPUTS, INPUTS[0]]}, "an input comes twice"),
        (changed("origin", name="orgin"), "lacks the column 'origin'"),
        ({"inputs": [*INPUTS, {**INPUTS[0], "name": "tail"}]}, "there is no input 'tail'"),
        (changed("distance", datatype="BYTES", data=["1"]), "cannot be of datatype 'BYTES'"),
        (changed("distance", datatype="FP65"), "cannot be of datatype 'FP65'"),
        (changed("distance", data=["far"]), "row 0: 'far' is not a number of FP64"),
        (changed("distance", shape=[2]), r"the shape [2] and 1 values"),
        (changed("distance", shape=[1, 2], data=[1, 2]), r"has the shape [1, 2]"),
        (changed("distance", shape=[], data=[1]), r"has the shape []"),
        (changed("distance", shape=[2], data=[1, 2]), "different lengths: [1, 2]"),
        (changed("distance", shape="1"), "Expected `array`"),
        ({"inputs": INPUTS, "outputs": [{"name": "p"}]}, "there is no output 'p'"),
    ],
)
def test_infer_says_what_is_wrong(client: TestClient, body: Any, says: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post(INFER, content=content)
    assert response.status_code == 400
    assert says in response.json()["error"]
    assert response.json()["code"] == "request"
    assert response.json()["hint"]


@pytest.mark.parametrize("depth", [50, 500, 900, 990, 1000, 1100])
def test_a_nested_value_is_refused_at_any_depth(client: TestClient, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    row = json.dumps({**EXAMPLE, "origin": "here"}).encode().replace(b'"here"', nested)
    tensor = json.dumps(changed("origin", data="here")).encode().replace(b'"here"', nested)
    for path, body in (("/invocations", row), (INFER, tensor)):
        assert client.post(path, content=body).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        [EXAMPLE],
        EXAMPLE,
        {"dataframe_records": [EXAMPLE]},
        {"dataframe_split": {"columns": [*EXAMPLE], "data": [[*EXAMPLE.values()]], "index": [0]}},
        {"instances": [EXAMPLE]},
        {"inputs": [EXAMPLE]},
        {"inputs": EXAMPLE},
        {"inputs": {name: [value] for name, value in EXAMPLE.items()}, "params": {}},
        {"dataframe_records": [{**EXAMPLE, "arr_delay": 20}]},
    ],
)
def test_invocations(client: TestClient, body: Any) -> None:
    answer = client.post("/invocations", json=body).json()
    assert answer["predictions"] == [0.25]
    assert answer["versions"] == ["v0.25"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not json", "is not JSON"),
        (b"3", "neither an object nor a list"),
        (b'["\xff"]', "is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[]", "no rows"),
        ([3], "row 0 is not an object"),
        ({}, "lacks the column"),
        ({"dataframe_split": [1]}, "needs columns and data"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "row 0 of dataframe_split"),
        ({"dataframe_split": {"columns": [[1]], "data": [[1]]}}, "columns are not names"),
        ({"dataframe_split": {"columns": [*EXAMPLE], "data": []}}, "no rows"),
        ({"dataframe_records": EXAMPLE}, "not a list"),
        ({"instances": [1], "inputs": [1]}, "instances and inputs"),
        ({"inputs": 3}, "neither columns nor records"),
        ({"instances": 3}, "neither columns nor records"),
        ({"inputs": {"origin": ["EWR"], "distance": 3}}, "some of the inputs are lists"),
        ([{**EXAMPLE, "sched_dep": "2013-03-10T02:30"}], "not a time that exists"),
    ],
)
def test_invocations_say_what_is_wrong(client: TestClient, body: Any, says: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post("/invocations", content=content)
    assert response.status_code == 400
    assert says in response.json()["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "name", "shape", "datatype", "data", "origin", "distance"])
            | st.sampled_from(["dataframe_split", "columns", "dataframe_records", "instances"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(body=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_body_is_an_error_of_ours(client: TestClient, body: Any) -> None:
    for path in (INFER, "/invocations"):
        response = client.post(path, content=json.dumps(body).encode())
        assert response.status_code in (200, 400)
        assert "Traceback" not in response.text


def test_a_model_that_refuses_a_row_says_so_without_a_traceback(client: TestClient) -> None:
    response = client.post("/invocations", json={**EXAMPLE, "origin": "broken"})
    assert response.status_code == 422
    assert response.json()["code"] == "row"
    assert response.json()["error"] == "version v0.25 refuses a row: no such origin"


def test_health_while_loading_and_after(setting: Setting) -> None:
    client = setting.client()  # no lifespan: nothing is loaded
    assert client.get("/v2/health/live").json() == {"live": True}
    ready = client.get("/v2/health/ready")
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
    assert ready.json()["ready"] is False
    assert client.get("/v2/models/delay/ready").status_code == 503
    for path in ("/ping", "/health"):
        told = client.get(path)
        assert (told.status_code, told.headers["retry-after"]) == (503, "1")
        assert told.json()["error"] == ready.json()["error"]
    setting.table.refresh()
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/delay/ready").json() == {"name": "delay", "ready": True}
    assert client.get("/ping").text == "\n"
    setting.plane.drain.begun = True
    for path in ("/ping", "/v2/health/ready"):
        told = client.get(path)
        assert (told.status_code, told.json()["error"]) == (503, "this server is ending")
    assert client.get("/v2/health/live").status_code == 200


def test_metadata(client: TestClient) -> None:
    server = client.get("/v2").json()
    assert server["name"] == "nenrin"
    assert client.get("/version").text == server["version"]
    model = client.get("/v2/models/delay").json()
    assert model["versions"] == ["v0.25"]
    assert model["parameters"]["frozen"] is False
    assert [(each["name"], each["datatype"]) for each in model["inputs"]] == [
        ("flight_id", "BYTES"),
        ("sched_dep", "BYTES"),
        ("distance", "FP64"),
        ("origin", "BYTES"),
    ]
    assert client.post(INFER, json=model["parameters"]["example"]).status_code == 200


def test_versions_by_path(client: TestClient) -> None:
    pinned = "/v2/models/delay/versions/v0.25"
    assert client.get(pinned).json()["name"] == "delay"
    assert client.get(f"{pinned}/ready").json()["ready"]
    answer = client.post(f"{pinned}/infer", json={"inputs": INPUTS})
    assert answer.json()["model_version"] == "v0.25"
    missing = client.post("/v2/models/delay/versions/v9/infer", json={"inputs": INPUTS})
    assert missing.status_code == 404
    assert missing.json()["hint"] == "versions served: v0.25"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", INFER, 405),
        ("POST", "/v2/models/none/infer", 404),
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/nowhere", 404),
        ("POST", "/v2/health/live", 405),
        ("DELETE", "/invocations", 405),
        ("GET", "/api/anything", 503),
    ],
)
def test_errors_have_one_shape(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    shape = response.json()
    told = shape["error"] if path.startswith("/api/") else shape
    assert told.keys() - {"error"} == {"code", "message", "where", "hint"}
    assert told["hint"]
    assert ("retry-after" in response.headers) == (status == 503)


def test_a_body_has_a_limit(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_app, "BODY_BYTES", 10)
    response = client.post("/invocations", json=EXAMPLE)
    assert response.status_code == 413
    assert response.json()["error"] == "the body is larger than 10 bytes"
    pieces = client.post(
        "/invocations", content=iter([b"x" * 6, b"x" * 6])
    )  # its length is not told
    assert pieces.status_code == 413


def test_requests_stick_to_a_version_by_key(setting: Setting) -> None:
    setting.routes.listed = [deployment("v0.25", "v0.75", weights=[50, 50], features="s1")]
    rows = [{**EXAMPLE, "flight_id": f"UA-{number}"} for number in range(40)]
    setting.table.refresh()
    with setting.client() as client:
        together = client.post("/invocations", json=rows).json()
        alone = [client.post("/invocations", json=row).json()["versions"][0] for row in rows]
        unkeyed = [{**EXAMPLE, "flight_id": None, "distance": float(n)} for n in range(40)]
        again = [client.post("/invocations", json=unkeyed).json()["versions"] for _ in range(2)]
        mixed = client.post(INFER, json=_infer(rows)).json()
    assert together["versions"] == alone
    assert together["predictions"] == [float(version[1:]) for version in alone]
    assert 5 < alone.count("v0.75") < 35
    assert again[0] == again[1]
    assert len(set(again[0])) == 2
    assert "model_version" not in mixed
    assert mixed["outputs"][1]["data"] == alone


def _infer(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "inputs": [
            {**tensor, "shape": [len(rows)], "data": [row[tensor["name"]] for row in rows]}
            for tensor in INPUTS
        ]
    }


def test_a_challenger_that_fails_leaves_its_rows_to_the_champion(setting: Setting) -> None:
    setting.routes.listed = [deployment("v0.25", "v0.75", weights=[0, 100], features="s1")]
    setting.table.refresh()
    challenger = setting.table.get("delay").runtimes[1]
    challenger._answerer.answer_rows = lambda rows: []  # type: ignore[method-assign]
    with setting.client() as client:
        assert client.post("/invocations", json=EXAMPLE).json()["versions"] == ["v0.25"]
        pinned = client.post("/v2/models/delay/versions/v0.75/infer", json={"inputs": INPUTS})
    assert pinned.status_code == 500


def test_routes_are_followed(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_app, "POLL_SECONDS", 0.01)
    with setting.client() as client:
        # what comes before the first look waits for it
        assert client.post("/invocations", json=EXAMPLE).json()["versions"] == ["v0.25"]
        setting.routes.listed = [deployment("v0.75")]
        for _ in range(500):
            version = client.post("/invocations", json=EXAMPLE).json()["versions"][0]
            if version == "v0.75":
                break
    assert version == "v0.75"


def test_predictions_are_logged(setting: Setting) -> None:
    end = 1_372_717_900_000_000
    setting.routes.stands_at = end
    with setting.client() as client:
        ids = client.post("/invocations", json=[EXAMPLE, {**EXAMPLE, "sched_dep": None}]).json()
    first, second = read_predictions(setting.folder / "predictions")
    assert [first.id, second.id] == ids["ids"]
    assert (first.number, second.number) == (1, 2)
    assert (first.key, first.version, first.variant, first.answer) == ("UA-1", "v0.25", 0, 0.25)
    assert (first.asked, second.asked, second.at) == (1_372_717_800_000_000, end, end)
    assert first.row["distance"] == 1400.0
    assert second.features["asked"] == end


def test_a_durable_answer_leaves_once_it_is_written(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.routes.listed = [deployment("v0.25", log=LogRules(durable=True))]
    setting.table.refresh()

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with setting.client() as client:
        answer = client.post("/invocations", json=EXAMPLE)
        written = [each.id for each in read_predictions(setting.folder / "predictions")]
        assert answer.json()["ids"] == written
        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            refused = client.post(INFER, json={"inputs": INPUTS})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "No space left on device" in refused.json()["error"]
        assert client.post("/invocations", json=EXAMPLE).status_code == 200
        metrics = client.get("/metrics").text.splitlines()
    assert "nenrin_prediction_log_dropped_total 1.0" in metrics
    assert "nenrin_prediction_log_waiting 0.0" in metrics


def test_metrics(client: TestClient) -> None:
    client.post(INFER, json={"inputs": INPUTS})
    client.post("/invocations", json=[EXAMPLE, EXAMPLE])
    client.post(INFER, json={})
    client.post("/v2/models/of-a-stranger/infer", json={})
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    for line in (
        'nenrin_requests_total{deployment="delay",protocol="v2",status="200"} 1.0',
        'nenrin_requests_total{deployment="delay",protocol="v2",status="400"} 1.0',
        'nenrin_requests_total{deployment="",protocol="v2",status="404"} 1.0',
        'nenrin_predictions_total{deployment="delay",version="v0.25"} 3.0',
        'nenrin_request_seconds_count{deployment="delay"} 2.0',
        "nenrin_prediction_log_issued_total 3.0",
        "nenrin_prediction_log_lost_total 0.0",
        'nenrin_deployment_ready{deployment="delay"} 1.0',
    ):
        assert line in response.text.splitlines()


def test_a_token_is_asked_of_all_but_health(setting: Setting) -> None:
    setting.table.refresh()
    with setting.client("a long enough token") as client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "é".encode()}):
            refused = client.post(INFER, json={"inputs": INPUTS}, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert refused.json()["code"] == "unauthorized"
        assert client.get("/metrics").status_code == 401
        assert client.get("/api/deployments").status_code == 401
        assert client.get("/v2/health/ready").status_code == 200
        bearer = {"authorization": "Bearer a long enough token", "host": "models.example"}
        assert client.post(INFER, json={"inputs": INPUTS}, headers=bearer).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8321", 200),
        ("localhost:8321", 200),
        ("[::1]:8321", 200),
        ("nenrin.localhost", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
    ],
)
def test_without_a_token_only_this_machine_is_asked(
    client: TestClient, host: str, status: int
) -> None:
    assert client.get("/v2", headers={"host": host}).status_code == status


@pytest.mark.parametrize("path", ["/invocations", INFER])
def test_a_client_that_hangs_up_leaves_no_trace(
    setting: Setting, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    control = ControlProxy(setting.folder / "control.sock")
    log = LiveLog(setting.folder / "predictions")
    app = Plane(setting.table, log, control, SystemTimer()).app()
    setting.table.refresh()
    sent = []
    coming = [
        {"type": "http.request", "body": b"[", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    scope |= {"query_string": b"", "scheme": "http", "http_version": "1.1", "client": None}

    asyncio.run(app(scope, receive, send))
    log.close()
    assert sent == []
    assert caplog.records == []


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/nowhere"])
def test_a_client_that_leaves_before_its_answer_leaves_no_trace(
    setting: Setting, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    control = ControlProxy(setting.folder / "control.sock")
    log = LiveLog(setting.folder / "predictions")
    app = Plane(setting.table, log, control, SystemTimer()).app()

    async def send(message: Any) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")

    coming = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return coming.pop(0)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"127.0.0.1")]}
    scope |= {"query_string": b"", "scheme": "http", "http_version": "1.1", "client": None}
    asyncio.run(app(scope, receive, send))
    log.close()
    assert caplog.records == []
    assert coming == []
