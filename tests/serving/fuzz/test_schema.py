"""Schemathesis against the schema of what is deployed; longer: ``--hypothesis-profile=thorough``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from nenrin.api.dataplane import paths
from tests.serving import fakes, kinds
from tests.serving.kinds import KindsPlane
from tests.serving.plane_here import listening

schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
from schemathesis import checks  # noqa: E402

DEPLOYED = fakes.deployment("version-1", name="kinds", request=kinds.SIGNATURE, example=kinds.ROW)
schema = schemathesis.openapi.from_dict(
    {
        "openapi": "3.1.0",
        "info": {"title": "nenrin", "version": "1"},
        "paths": paths([DEPLOYED]),
    }
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with listening(KindsPlane(tmp_path_factory.mktemp("kinds"))) as here:
        yield f"http://{here.http}"


@schema.parametrize()
@settings(max_examples=settings.default.max_examples // 5)
def test_every_answer_is_one_that_the_schema_has(case: Any, url: str) -> None:
    answer = case.call(base_url=url)
    case.validate_response(
        answer,
        checks=(
            checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ),
    )
    assert "Traceback" not in answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]
