"""The same project on an object store, by one setting: a run, a backup, serving, faults."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from nenrin.backends.blobs.bucket import Bucket
from nenrin.core.digest import derived_id
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.testing.faulty_proxy import faulty_proxy
from nenrin.testing.object_store import ObjectStoreServer
from tests.journeys.shell import CHURN, Shell, customers

STEPS = """

@nr.step
def numbers():
    return list(range(20000))


@nr.step
def total(numbers):
    return sum(numbers)
"""


@pytest.fixture
def place(
    object_store: ObjectStoreServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    for name, value in object_store.variables().items():
        monkeypatch.setenv(name, value)
    return f"s3://{object_store.bucket}/journeys/{derived_id('test', request.node.nodeid)}"


def _project(folder: Path) -> Path:
    folder.mkdir()
    customers(300).write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(CHURN + STEPS)
    return folder


def _kept(folder: Path, store_url: str = "") -> set[str]:
    with Platform.open(Settings.read(folder=folder, store_url=store_url)) as platform:
        return set(platform.store.digests())


def test_the_same_run_with_its_content_elsewhere(place: str, tmp_path: Path) -> None:
    near, far = _project(tmp_path / "near"), _project(tmp_path / "far")
    here = Shell(near, {"NENRIN_WORKERS": "2"})
    there = Shell(far, {"NENRIN_WORKERS": "2", "NENRIN_STORE_URL": place})
    first, second = here("run", "--json").json, there("run", "--json").json
    assert second["steps"] == first["steps"]
    assert second["ran"] == first["ran"] != []
    # not the same digests: without a time of its own, a row's instants are those of its load
    assert len(_kept(far, place)) == len(_kept(near))
    assert not (far / ".nenrin" / "store").exists()
    assert len(list(Bucket(place).objects())) == len(_kept(far, place))
    assert there.here("run", "--json").json["ran"] == []

    (content,) = [each for each in there.here("doctor", "--json").json if each["name"] == "content"]
    assert (content["health"], place in content["found"]) == ("ok", True)

    copies = list((far / ".nenrin" / "copies").rglob("*"))
    there.here("backup", "--to", "../kept.tar")
    assert list((far / ".nenrin" / "copies").rglob("*")) == copies  # a backup passes them by
    back = tmp_path / "back"
    back.mkdir()
    Shell(back).here("restore", "../kept.tar")
    assert _kept(back) <= _kept(far, place)  # all that is named; a retried attempt may leave more
    assert Shell(back).here("audit", "verify", "--json").json["holds"]

    again = tmp_path / "again"
    again.mkdir()
    Shell(again, {"NENRIN_STORE_URL": f"{place}-other"}).here("restore", "../kept.tar")
    assert len(list(Bucket(f"{place}-other").objects())) == len(_kept(back))


def test_predictions_are_answered_by_what_lies_elsewhere(place: str, tmp_path: Path) -> None:
    folder = _project(tmp_path / "far")
    shell = Shell(folder, {"NENRIN_WORKERS": "0", "NENRIN_STORE_URL": place})
    shell.here("run")
    with shell.up() as up:
        asked = shlex.split(up.curls[0])
        answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=540)
        assert "predictions" in answer.stdout
    assert not (folder / ".nenrin" / "store").exists()


def test_a_store_that_fails_in_the_middle_of_a_run(
    object_store: ObjectStoreServer, place: str, tmp_path: Path
) -> None:
    folder = _project(tmp_path / "far")
    shell = Shell(folder, {"NENRIN_WORKERS": "0", "NENRIN_STORE_URL": place})
    with faulty_proxy(object_store.endpoint) as proxy:
        variables = {"AWS_ENDPOINT_URL": proxy.address}
        shell.here("plan", **variables)  # the store is probed
        proxy.fail("503", 2)
        proxy.fail("reset", 2, method="PUT")
        proxy.fail("cut", 1, method="GET")
        proxy.fail("lost answer", 2, method="PUT")
        ran = shell.here("run", "--json", **variables).json
        assert proxy.left() == 0
    near = _project(tmp_path / "near")
    assert ran["steps"] == Shell(near, {"NENRIN_WORKERS": "0"}).here("run", "--json").json["steps"]
    assert len(_kept(folder, place)) == len(_kept(near))


def test_a_store_that_is_away_at_the_start_is_said(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nenrin.backends.blobs.opening._PATIENCE", 0.3)
    folder = _project(tmp_path / "far")
    shell = Shell(folder, {"NENRIN_STORE_URL": place, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    said = shell.here("run", code=9).err
    assert "Connection refused" in said
    assert "AWS_ENDPOINT_URL" in said
    (content,) = [
        each for each in shell.here("doctor", "--json", code=None).json if each["name"] == "content"
    ]
    assert content["health"] == "fail"
