"""Changes say who asked for them, in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from nenrin.api.app import create_app
from nenrin.api.wire import ACTOR, LONGEST_ACTOR, actor
from nenrin.core.actor import signed
from nenrin.core.settings import Settings
from tests.api.fakes import FakePlatform


@pytest.fixture
def signatures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, list[Any]]]:
    """A client, and the bodies that events of its changes had."""
    platform = FakePlatform(Settings(folder=tmp_path))
    bodies: list[Any] = []

    def rollback(*asked: str) -> dict[str, Any]:
        bodies.append(signed({"of": asked[2]}))
        return {}

    monkeypatch.setattr(platform.loop, "rollback", rollback)
    with TestClient(create_app(platform), raise_server_exceptions=False) as client:
        yield client, bodies


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({ACTOR: "ada"}, "ada"),
        ({ACTOR: "%E5%B9%B4%E8%BC%AA%20ada"}, "年輪 ada"),
        ({}, "api"),
    ],
)
def test_events_say_who_asked(
    signatures: tuple[Any, list[Any]], headers: dict[str, str], named: str
) -> None:
    client, bodies = signatures
    said = client.post("/api/deployments/delay/rollback", json={"reason": "so"}, headers=headers)
    assert said.status_code == 200
    assert client.post("/api/deployments/delay/rollback").status_code == 200  # somebody else
    assert bodies == [{"of": "so", "actor": named}, {"of": "", "actor": "api"}]
    assert signed({}) == {}


@pytest.mark.parametrize("named", ["", "%20", "a%0Ab", "a" * (LONGEST_ACTOR + 1)])
def test_what_is_no_name_is_refused(signatures: tuple[Any, list[Any]], named: str) -> None:
    client, bodies = signatures
    said = client.post("/api/deployments/delay/rollback", headers={ACTOR: named})
    assert said.status_code == 400
    assert ACTOR in said.json()["error"]["message"]
    assert not bodies


@pytest.mark.parametrize(
    ("name", "told"), [("ada", "ada"), ("年" * 200, "年" * LONGEST_ACTOR), (None, "uid ")]
)
def test_the_command_line_sends_its_user(
    name: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getuser() -> str:
        if name is None:
            raise KeyError("getpwuid(): uid not found: 10001")
        return name

    monkeypatch.setattr("getpass.getuser", getuser)
    sent = actor()
    assert sent.isascii()
    assert unquote(sent).startswith(told)
