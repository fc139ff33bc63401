"""What the schema says of predictions: its examples are answered, its forms are taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from nenrin.api.dataplane import paths
from nenrin.serving.deployments import Deployment
from tests.serving import fakes, kinds

ONE = fakes.deployment("version-1", name="kinds", request=kinds.SIGNATURE, example=kinds.ROW)
OTHER = fakes.deployment("version-2", name="other", request=kinds.SIGNATURE, example=kinds.ROW)


@pytest.fixture(params=[[ONE], [ONE, OTHER]], ids=["one", "several"])
def deployed(request: pytest.FixtureRequest) -> list[Deployment]:
    listed: list[Deployment] = request.param
    return listed


@pytest.fixture
def client(tmp_path: Path, deployed: list[Deployment]) -> Iterator[TestClient]:
    plane = kinds.KindsPlane(tmp_path)
    plane.routes.listed = list(deployed)
    plane.table.refresh()
    with plane.client() as client:
        yield client


def requests(described: dict[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """Every example of a request body: path, content type, its name, its value."""
    for path, verbs in described.items():
        for media, taken in verbs.get("post", {}).get("requestBody", {}).get("content", {}).items():
            if "example" in taken:
                yield path, media, "", taken["example"]
            for name, example in taken.get("examples", {}).items():
                yield path, media, name, example["value"]


def test_every_example_is_answered(client: TestClient, deployed: list[Deployment]) -> None:
    asked = list(requests(paths(deployed)))
    assert len(asked) == 3 * len(deployed)
    for path, media, name, value in asked:
        how = {"content": value} if isinstance(value, str) else {"json": value}
        query = {"deployment": name} if name and len(deployed) > 1 else {}
        answer = client.post(path, params=query, headers={"content-type": media}, **how)
        assert answer.status_code == 200, (path, media, answer.text)


def test_every_path_is_there(client: TestClient, deployed: list[Deployment]) -> None:
    for path, verbs in paths(deployed).items():
        filled = path.replace("{name}", "kinds").replace("{version}", "version-1")
        for verb in verbs:
            status = client.request(verb, filled).status_code
            assert status in (200, 400, 409), (verb, path, status)
            answered = verb == "get" or path.endswith(("index", "/load"))
            assert (status == 200) == answered, (verb, path, status)


def test_the_schema_is_the_signature(deployed: list[Deployment]) -> None:
    body = paths(deployed)["/v2/models/kinds/infer"]["post"]["requestBody"]["content"]
    tensors = body["application/json"]["schema"]["properties"]["inputs"]["items"]["anyOf"]
    assert [each["title"] for each in tensors] == ["id", "a", "n", "b", "s", "d"]
    assert tensors[3]["properties"]["data"]["items"]["type"] == ["boolean", "null"]
    assert "BYTES" not in tensors[1]["properties"]["datatype"]["enum"]
    asked = paths(deployed)["/invocations"]["post"]["parameters"][0]
    assert asked["required"] is (len(deployed) > 1)


def test_without_deployments_there_is_a_schema_too() -> None:
    assert "/invocations" in paths([])
