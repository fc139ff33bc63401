"""Model repository and statistics over REST."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from nenrin.serving.plane.bodies import BODY_BYTES
from nenrin.serving.plane.costs import Costs
from tests.serving.fakes import deployment
from tests.serving.kinds import INFER, ROW, SIGNATURE, KindsPlane, inputs


@pytest.fixture
def kinds(tmp_path: Path) -> KindsPlane:
    return KindsPlane(tmp_path)


@pytest.fixture
def client(kinds: KindsPlane) -> Iterator[TestClient]:
    with kinds.client() as client:
        yield client


READY = {"name": "kinds", "version": "version-1", "state": "READY", "reason": ""}


def test_the_index_tells_what_is_ready_and_why_the_rest_is_not(
    kinds: KindsPlane, client: TestClient
) -> None:
    assert client.post("/v2/repository/index").json() == [READY]
    kinds.routes.listed.append(deployment("broken", name="other"))
    assert client.post("/v2/repository/models/other/load").status_code == 503
    index = client.post("/v2/repository/index", json={}).json()
    assert index[0] == READY
    assert index[1]["state"] == "UNAVAILABLE"
    assert "it does not load" in index[1]["reason"]
    assert client.post("/v2/repository/index", json={"ready": True}).json() == [READY]
    assert client.post("/v2/repository/index", json={"ready": 1}).status_code == 400


def test_load_looks_now(kinds: KindsPlane, client: TestClient) -> None:
    given = {"name": "kinds", "request": SIGNATURE, "example": ROW}
    kinds.routes.listed = [deployment("version-2", **given)]
    assert client.post("/v2/repository/models/kinds/load").json() == {}
    assert client.get("/v2/models/kinds").json()["versions"] == ["version-2"]
    assert client.post("/v2/repository/models/none/load").status_code == 404
    told = {"parameters": {"config": "{}"}}
    assert client.post("/v2/repository/models/kinds/load", json=told).status_code == 400


def test_unload_is_refused(client: TestClient) -> None:
    answer = client.post("/v2/repository/models/kinds/unload", json={})
    assert answer.status_code == 409
    assert answer.json()["error"] == "deployment 'kinds' is not unloaded by a client"
    assert answer.json()["hint"]
    assert client.post("/v2/repository/models/none/unload").status_code == 404
    assert client.post(INFER, json={"inputs": inputs()}).status_code == 200


def test_bodies_have_the_limit_of_all_others(client: TestClient) -> None:
    load, index = "/v2/repository/models/kinds/load", "/v2/repository/index"
    packed = {"Content-Encoding": "gzip"}
    assert client.post(index, content=gzip.compress(b'{"ready": true}'), headers=packed).json()
    for path in (load, index):
        bomb = gzip.compress(bytes(BODY_BYTES + 1), 1)
        assert client.post(path, content=bomb, headers=packed).status_code == 413
        said = client.post(path, headers={"Content-Length": str(BODY_BYTES + 1)})
        assert (said.status_code, said.json()["hint"]) == (413, "send fewer rows at a time")
        assert client.post(path, content=b"{}", headers=packed).status_code == 400


def test_what_was_let_go_is_ready_and_has_counted_nothing(
    kinds: KindsPlane, client: TestClient
) -> None:
    kinds.table.rest("kinds")
    path = "/v2/models/kinds"
    assert client.get(f"{path}/ready").json() == {"name": "kinds", "ready": True}
    assert client.get(f"{path}/versions/version-1/ready").status_code == 200
    assert client.get(f"{path}/versions/v9/ready").status_code == 404
    assert client.get(f"{path}/stats").json() == {"model_stats": []}
    assert "kinds" in kinds.table.resting
    kinds.table.problems = {"kinds": "it does not load"}
    assert client.get(f"{path}/ready").status_code == 503


def test_statistics_count_requests_rows_and_batches(client: TestClient) -> None:
    path = "/v2/models/kinds/stats"
    (before,) = client.get(path).json()["model_stats"]
    assert (before["inference_count"], before["execution_count"], before["last_inference"]) == (
        0,
        0,
        0,
    )
    for body in ([ROW], [ROW, ROW], [{**ROW, "a": "far"}]):
        client.post("/invocations", json=body)
    (after,) = client.get(path).json()["model_stats"]
    counts = {name: told["count"] for name, told in after["inference_stats"].items()}
    assert counts["success"] == 2
    assert counts["fail"] == 1
    assert counts["compute_infer"] == after["execution_count"] == 2
    assert counts["queue"] <= 2
    assert after["inference_count"] == 3
    assert after["last_inference"] == 1_700_000_000_000
    assert all(
        told["ns"] > 0
        for name, told in after["inference_stats"].items()
        if name in ("success", "fail", "compute_infer")
    )
    for same in ("/v2/models/stats", "/v2/models/kinds/versions/version-1/stats"):
        assert client.get(same).json()["model_stats"] == [after]
    assert client.get("/v2/models/none/stats").status_code == 404
    assert client.get("/v2/models/kinds/versions/none/stats").status_code == 404


def test_what_waits_for_a_thread_is_counted(kinds: KindsPlane, client: TestClient) -> None:
    runtime = kinds.table.get("kinds").runtimes[0]
    runtime._costs = Costs(1.0, 1.0)  # too slow to be answered at once
    client.post("/invocations", json=[ROW])
    (told,) = client.get("/v2/models/kinds/stats").json()["model_stats"]
    assert told["inference_stats"]["queue"]["count"] == 1
