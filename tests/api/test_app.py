"""The control application: its routes, its one error shape, its pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from nenrin.api.app import create_app
from nenrin.core.errors import RefusedError
from nenrin.core.settings import Settings
from nenrin.serving.plane.bodies import BODY_BYTES
from tests.api.fakes import FakePlatform, project_error

ERROR_KEYS = {"code", "message", "where", "hint"}


@pytest.fixture
def platform(tmp_path: Path) -> FakePlatform:
    return FakePlatform(Settings(folder=tmp_path))


@pytest.fixture
def http(platform: FakePlatform) -> Iterator[TestClient]:
    with TestClient(create_app(platform), raise_server_exceptions=False) as client:
        yield client


def _events(text: str) -> list[tuple[str, object]]:
    told = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        told.append((fields["event"], json.loads(fields["data"])))
    return told


def test_every_get_route_without_a_name_answers(http: TestClient) -> None:
    paths = [path for path, verbs in http.get("/openapi.json").json()["paths"].items()]
    ours = [path for path in paths if path.startswith("/api") and "{" not in path]
    assert len(ours) >= 9
    for path in ours:
        assert http.get(path).status_code in (200, 405), path


def test_which_predictions_are_checked(http: TestClient, platform: FakePlatform) -> None:
    asked = {"deployment": "delay", "from": "2026-01-01", "sample": "0", "grace": "5m"}
    assert http.get("/api/predictions/check", params=asked).status_code == 200
    [(environment, which)] = platform.replayed
    assert (environment, which.deployment, which.sample) == ("dev", "delay", 0)
    assert (which.since, which.until) == (1_767_225_600_000_000, None)
    assert which.grace == 300_000_000
    wrong = http.get("/api/predictions/check", params={"until": "soon"})
    assert wrong.status_code == 400
    assert "until 'soon' is neither a date nor an instant" in wrong.json()["error"]["message"]


def test_the_environment_of_the_settings_unless_named(http: TestClient) -> None:
    assert http.get("/api/status").json()["environment"] == "dev"
    assert http.get("/api/status?environment=prod").json()["environment"] == "prod"


def test_newest_version_of_every_dataset(http: TestClient) -> None:
    listed = http.get("/api/data").json()
    assert [(one["dataset"], one["number"]) for one in listed] == [("flights", 2), ("weather", 1)]


def test_an_unknown_dataset_is_not_found(http: TestClient) -> None:
    for path in ("/api/data/trains", "/api/data/trains/profile"):
        answer = http.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["where"] == "trains"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("GET", "/elsewhere", 404, "not_found"),
        ("PUT", "/api/status", 405, "request"),
        ("GET", "/api/status?environment=..%2Fprod", 400, "request"),
        ("GET", "/api/models/version-9", 404, "not_found"),
        ("GET", "/api/work/work-9", 404, "not_found"),
        ("GET", "/api/work/work-9/events", 404, "not_found"),
        ("GET", "/api/backtests/newest", 404, "not_found"),
        ("POST", "/api/backtests", 422, "request"),
        ("PUT", "/api/data/flights?form=xml", 422, "request"),
    ],
)
def test_one_error_shape(http: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == ERROR_KEYS
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["hint"]


def test_a_405_says_what_is_allowed(http: TestClient) -> None:
    assert http.put("/api/status").headers["allow"] == "GET"


def test_errors_of_the_rooms_keep_their_status(http: TestClient, platform: FakePlatform) -> None:
    refused = http.post("/api/deployments/delay/promote", json={"version": "version-1"})
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "refused"
    platform.projects.error = project_error()
    wrong = http.get("/api/plan")
    assert wrong.status_code == 422
    assert wrong.json()["error"]["where"] == "project.py:4"


def test_an_unforeseen_error_shows_no_traceback(http: TestClient, platform: FakePlatform) -> None:
    platform.projects.error = KeyError("carrier")
    answer = http.get("/api/plan")
    assert answer.status_code == 500
    assert set(answer.json()["error"]) == ERROR_KEYS
    assert "Traceback" not in answer.text
    assert answer.json()["error"]["where"].endswith("nenrin.log")


def test_a_body_of_a_wrong_shape_names_the_field(http: TestClient) -> None:
    answer = http.post("/api/backtests", json={"form": "2013-04-01"})
    assert answer.status_code == 422
    assert "body.form" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"from": "yesterday"}, "'yesterday' is not a date"),
        ({"without": ["zz"]}, "'zz' is no part"),
        ({"inject": ["flood:2013-01-01"]}, "'flood:2013-01-01' is not a fault"),
    ],
)
def test_a_backtest_that_cannot_be_is_refused_at_once(
    http: TestClient, asked: dict[str, object], said: str
) -> None:
    answer = http.post("/api/backtests", json=asked)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert http.get("/api/work").json() == []


@pytest.mark.parametrize(
    "verb", ["run", "apply", "data/flights/load", "deployments/delay/rollback"]
)
@pytest.mark.parametrize("body", ["{bad", "[]", "3", '{"environment":"prod"}', "[" * 100_000])
@pytest.mark.parametrize("form", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_read_is_refused(
    http: TestClient, verb: str, body: str, form: str
) -> None:
    answer = http.post(f"/api/{verb}", content=body, headers={"content-type": form})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["code"] == "request"
    assert http.get("/api/work").json() == []


def test_a_body_that_is_too_large_is_refused(http: TestClient) -> None:
    sent = {"recipes": [" " * BODY_BYTES]}
    response = http.post("/api/backtests", json=sent)
    assert response.status_code == 413
    assert response.json()["error"]["message"] == f"the body is larger than {BODY_BYTES} bytes"


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"content": b""}])
def test_no_body_or_an_empty_one_is_right(http: TestClient, options: dict[str, object]) -> None:
    assert http.post("/api/run", **options).status_code == 202  # type: ignore[arg-type]


def test_a_parameter_that_no_route_takes_is_refused(http: TestClient) -> None:
    answer = http.post("/api/run?enviroment=prod")
    assert answer.status_code == 400
    assert "takes no parameter 'enviroment'" in answer.json()["error"]["message"]
    assert "environment" in answer.json()["error"]["hint"]
    assert http.get("/api/work").json() == []
    assert http.get("/api/status?environment=prod").status_code == 200


def test_nothing_is_applied_on_a_store_that_lies(http: TestClient, platform: FakePlatform) -> None:
    platform.lies = RefusedError("it took a second create", hint="use another store")
    name = http.post("/api/apply").json()["work"]
    http.get(f"/api/work/{name}/events")
    told = http.get(f"/api/work/{name}").json()
    assert (told["state"], told["error"]["code"]) == ("failed", "refused")
    assert not platform.projects.started.is_set()


def test_work_that_failed_has_its_error(http: TestClient) -> None:
    name = http.post("/api/data/trains/load").json()["work"]
    http.get(f"/api/work/{name}/events")
    told = http.get(f"/api/work/{name}").json()
    assert told["state"] == "failed"
    assert set(told["error"]) == ERROR_KEYS
    assert "trains" in told["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"sec-fetch-site": "same-origin", "origin": "http://testserver"}, 202),
        ({"sec-fetch-site": "none"}, 202),
        ({"sec-fetch-site": "cross-site"}, 409),
        ({"sec-fetch-site": "same-site"}, 409),
        ({"origin": "http://testserver"}, 202),
        ({"origin": "https://elsewhere.example"}, 409),
        ({"origin": "null"}, 409),
    ],
)
def test_a_page_of_another_site_changes_nothing(
    http: TestClient, headers: dict[str, str], status: int
) -> None:
    assert http.post("/api/run", headers=headers).status_code == status
    assert http.get("/api/status", headers=headers).status_code == 200


def test_work_streams_progress_and_its_result(http: TestClient) -> None:
    started = http.post("/api/run")
    assert started.status_code == 202
    name = started.json()["work"]
    told = _events(http.get(f"/api/work/{name}/events").text)
    assert told[-1][0] == "result"
    assert told[-1][1]["deployments"][0]["evaluation"]["others"]["roc_auc"] is None
    assert ("progress", {"stage": "load flights", "done": 2, "total": 2, "note": ""}) in told
    assert http.get(f"/api/work/{name}").json()["state"] == "done"


def test_a_client_that_was_cut_off_goes_on_where_it_was(http: TestClient) -> None:
    name = http.post("/api/run").json()["work"]
    first = http.get(f"/api/work/{name}/events").text
    last = [line for line in first.splitlines() if line.startswith("id: ")][-1].split()[1]
    again = http.get(f"/api/work/{name}/events", headers={"Last-Event-ID": str(int(last) - 1)})
    assert [kind for kind, _ in _events(again.text)] == ["result"]


def test_work_is_cancelled(http: TestClient, platform: FakePlatform) -> None:
    platform.projects.gate.clear()
    name = http.post("/api/run").json()["work"]
    assert platform.projects.started.wait(120)
    assert http.delete(f"/api/work/{name}").status_code == 202
    assert _events(http.get(f"/api/work/{name}/events").text)[-1] == ("cancelled", {})


def test_a_loader_is_called(http: TestClient, platform: FakePlatform) -> None:
    name = http.post("/api/data/flights/load").json()["work"]
    assert _events(http.get(f"/api/work/{name}/events").text)[-1][0] == "result"
    assert platform.data.loads == [("dev", "the dataset flights", 7, None)]


def test_rows_are_uploaded_and_nothing_of_them_stays(
    http: TestClient, platform: FakePlatform, tmp_path: Path
) -> None:
    name = http.put("/api/data/flights?form=csv", content=b"a,b\n1,2\n").json()["work"]
    assert _events(http.get(f"/api/work/{name}/events").text)[-1][0] == "result"
    assert platform.data.loads == [("dev", "the dataset flights", 7, b"a,b\n1,2\n")]
    assert not list(tmp_path.glob(".nenrin/scratch-*"))


def test_a_load_of_something_undeclared_says_what_is_declared(http: TestClient) -> None:
    name = http.post("/api/data/trains/load").json()["work"]
    kind, data = _events(http.get(f"/api/work/{name}/events").text)[-1]
    assert kind == "error"
    assert "flights" in data["error"]["hint"]  # type: ignore[index]


def test_a_backtest_and_what_follows(
    http: TestClient, platform: FakePlatform, tmp_path: Path
) -> None:
    asked = {"from": "2013-04-01", "inject": ["scrambled_fit:2013-04-08"]}
    name = http.post("/api/backtests", json=asked).json()["work"]
    report = _events(http.get(f"/api/work/{name}/events").text)[-1][1]
    assert platform.loop.asked[0] == (
        "backtest",
        {
            "from_": "2013-04-01",
            "until": None,
            "inject": ["scrambled_fit:2013-04-08"],
            "without": [],
            "policies": [],
            "matrix": False,
            "workers": None,
        },
    )
    assert http.get("/api/backtests/newest").json() == report
    assert http.get("/api/backtests/b0").json()["id"] == "b0"
    exported = http.get("/api/backtests/newest/predictions")
    assert exported.content == b"PAR1" * 1000
    assert json.loads(exported.headers["nenrin-export"])["rows"] == 1000
    assert not list(tmp_path.glob(".nenrin/scratch-*"))
    assert http.post("/api/backtests/b1/adopt", json={"into": "dev"}).json()["champion"]
    assert platform.loop.asked[-1] == ("adopt", ("b1", "dev"))


def test_the_docs_need_no_network(http: TestClient) -> None:
    page = http.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype html>", "")
    for path in http.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "/v2/models/delay/infer" in page.text
    assert "<pre>{&quot;inputs&quot;: [{&quot;name&quot;: &quot;carrier&quot;" in page.text


def test_the_docs_say_both_shapes_of_errors(http: TestClient) -> None:
    page = http.get("/docs").text
    assert "always" not in page
    assert '{"error": {"code", "message", "where", "hint"}}' in page
    assert '{"error": "…", "code", "message", "where", "hint"}' in page


def test_the_root_leads_to_the_docs(http: TestClient) -> None:
    assert http.get("/", follow_redirects=False).headers["location"] == "/docs"


def test_a_client_that_hangs_up_leaves_no_trace(
    platform: FakePlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    coming = [
        {"type": "http.request", "body": b"a,", "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {"type": "http", "method": "PUT", "path": "/api/data/flights", "headers": []}
    scope |= {"query_string": b"form=csv", "http_version": "1.1", "scheme": "http", "client": None}

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None: ...

    asyncio.run(create_app(platform)(scope, receive, send))  # type: ignore[arg-type]
    assert caplog.records == []
    assert platform.data.loads == []
    assert not list(tmp_path.glob(".nenrin/scratch-*"))
