"""A mixture as its users meet it: one answer of several fits, its log, a bad member, a roll-back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nenrin.api.folder import predictions_folder
from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.serving.segments import read_predictions
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import Shell, Up
from tests.journeys.small.growing import PROJECT, write

SLOTS = ["history", "trailing 30d", "anchor"]


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    (tmp_path / "project.py").write_text(PROJECT)
    write(tmp_path, 60)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    first_run(shell)
    return shell


def status(shell: Shell) -> dict[str, Any]:
    [deployment] = shell.here("status", "--json").json["deployments"]
    return dict(deployment)


def shares(shell: Shell) -> dict[str, float]:
    return {member["slot"]: member["share"] for member in status(shell)["members"]}


def ask(up: Up) -> dict[str, Any]:
    """Ask the deployment's example; the prediction as it was logged."""
    folder = predictions_folder(up.shell.folder / ".nenrin")
    before = sum(1 for _ in read_predictions(folder))
    records = up.get("/api/deployments/agree/example").json()["records"]
    answered = up.post("/invocations?deployment=agree", records)
    assert answered.status_code == 200, answered.text
    told: list[dict[str, Any]] = []

    def logged() -> bool:
        told[:] = [msgspec.to_builtins(prediction) for prediction in read_predictions(folder)]
        return len(told) > before

    wait_until(logged)
    assert told[-1]["answer"] == answered.json()["predictions"][0]
    return told[-1]


def test_one_request_gets_one_blended_answer_and_the_log_says_of_whom(shell: Shell) -> None:
    first = status(shell)
    assert first["recipe"] == "mixture"
    assert shares(shell) == pytest.approx(dict.fromkeys(SLOTS, 1 / 3))
    assert "agree: a mixture, 33% history (version-" in shell.here("status").out
    write(shell.folder, 75)
    with shell.up() as up:
        logged = ask(up)
        assert logged["version"] == first["champion"]
        assert [member["slot"] for member in logged["members"]] == SLOTS
        signed(up, first["champion"])
        shell("data", "load", "questions", "--backfill")
        shell("data", "load", "answers", "--backfill")

        def moved_on() -> dict[str, Any] | None:
            """What the newest champion has answered: each day that closes may make another."""
            logged, now = ask(up), status_of(up)
            same = (logged["version"], list(logged["members"])) == (now["champion"], now["members"])
            return logged if same and now["champion"] != first["champion"] else None

        logged = wait_until(moved_on)
        assert logged is not None
        moved = {m["slot"]: m["share"] for m in logged["members"]}
        assert moved != pytest.approx(dict.fromkeys(SLOTS, 1 / 3))
        assert sum(moved.values()) == pytest.approx(1)
    assert "holds" in shell.here("audit", "verify").out


def signed(up: Up, version: str) -> None:
    """The mixture has a model's signature, and refuses what does not fit it."""
    metadata = up.get("/v2/models/agree").json()
    assert metadata["versions"] == [version]
    inputs = {column["name"]: column["datatype"] for column in metadata["inputs"]}
    assert inputs == {"id": "INT64", "asked": "BYTES", "x": "FP64"}
    outputs = {column["name"]: column["datatype"] for column in metadata["outputs"]}
    assert outputs == {"probability": "FP64", "version": "BYTES", "prediction_id": "BYTES"}
    body = up.get("/api/deployments/agree/example").json()["body"]
    [x] = [column for column in body["inputs"] if column["name"] == "x"]
    text = {**x, "datatype": "BYTES", "data": ["a text"]}
    others = [column for column in body["inputs"] if column is not x]
    for columns in ([text], [{**x, "shape": [2]}]):
        refused = up.post("/v2/models/agree/infer", {"inputs": [*others, *columns]})
        assert refused.status_code == 400, refused.text
        assert "'x'" in refused.json()["error"]


def status_of(up: Up) -> dict[str, Any]:
    [deployment] = up.get("/api/status").json()["deployments"]
    return dict(deployment)


def test_a_bad_member_leaves_at_once_and_its_slot_is_filled_again(shell: Shell) -> None:
    champion = status(shell)["champion"]
    members = {member["slot"]: member["version"] for member in status(shell)["members"]}
    refused = shell.here("models", "bad", champion, "--reason", "x", code=None)
    assert "rollback agree" in refused.out + refused.err
    with shell.up() as up:
        ask(up)
        done = shell("models", "bad", members["trailing 30d"], "--reason", "it looks odd", "--json")
        assert done.json["left"] == ["agree"]
        wait_until(lambda: len(ask(up)["members"]) == 2)
        assert ask(up)["version"] == champion
    assert shares(shell) == pytest.approx({"history": 1 / 2, "anchor": 1 / 2})
    write(shell.folder, 75)
    shell.here("data", "load", "questions", "--backfill")
    shell.here("data", "load", "answers", "--backfill")
    shell.here("run")
    assert list(shares(shell)) == SLOTS
    assert members["trailing 30d"] not in str(status(shell)["members"])


def test_a_roll_back_by_hand_restores_the_mixture_and_it_may_return(shell: Shell) -> None:
    first = status(shell)["champion"]
    write(shell.folder, 75)
    shell.here("data", "load", "questions", "--backfill")
    shell.here("data", "load", "answers", "--backfill")
    shell.here("run")
    second = status(shell)
    assert second["champion"] != first
    shell.here("deployments", "rollback", "agree")
    back = status(shell)
    earlier = back["champion"]
    assert earlier != second["champion"]
    assert {m["version"] for m in back["members"]} != {m["version"] for m in second["members"]}
    assert sorted(back["probation"]) == ["history", "trailing 30d"]
    versions = {v["id"]: v["status"] for v in shell.here("models", "list", "--json").json}
    assert versions[second["champion"]] == "bad"
    write(shell.folder, 90)
    shell.here("data", "load", "questions", "--backfill")
    shell.here("data", "load", "answers", "--backfill")
    shell.here("run")
    third = status(shell)["champion"]
    assert third not in (earlier, second["champion"])
    shell.here("deployments", "promote", "agree", first)
    assert status(shell)["champion"] == first


def test_a_member_whose_content_is_lost_leaves_by_itself(shell: Shell) -> None:
    lost = next(m["version"] for m in status(shell)["members"] if m["slot"] == "trailing 30d")
    with Platform.open(Settings.read(folder=shell.folder)) as platform:
        path = platform.store.file(platform.registry.get("dev", lost).content)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-7] + b"damaged")
    with shell.up() as up:
        assert f"{lost} left the mixture that agree serves" in up.text
        assert [member["slot"] for member in ask(up)["members"]] == ["history", "anchor"]
    assert "cannot be read" in shell.here("status").out


def test_a_project_may_turn_to_one_champion_and_back(shell: Shell) -> None:
    champion = PROJECT.replace("recipes=", 'serve="champion", recipes=')
    (shell.folder / "project.py").write_text(champion)
    shell.here("run")
    for days, mixed in ((75, False), (90, True)):
        if mixed:
            (shell.folder / "project.py").write_text(PROJECT)
        write(shell.folder, days)
        shell.here("data", "load", "questions", "--backfill")
        shell.here("data", "load", "answers", "--backfill")
        shell.here("run")
        assert (status(shell)["recipe"] == "mixture") is mixed
