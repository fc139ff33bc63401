"""A shadow as its users meet it: begun by command, scored behind a mixture's answers, compared, ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import polars as pl
import pytest

from nenrin.api.folder import predictions_folder
from nenrin.serving.segments import read_predictions, shadow_log
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import Shell, Up
from tests.journeys.small.growing import PROJECT, write

DAYS, A_DAY = 9, 6


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    (tmp_path / "project.py").write_text(PROJECT)
    write(tmp_path, 60)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    first_run(shell)
    return shell


def rows(folder: Path) -> list[dict[str, Any]]:
    """Questions of nine days that have closed."""
    frame = pl.read_parquet(folder / "questions.parquet")
    frame = frame.with_columns(
        day=pl.col("asked").dt.date(), asked=pl.col("asked").dt.to_string("iso:strict")
    )
    days = frame["day"].unique().sort()[30 : 30 + DAYS]
    kept = frame.filter(pl.col("day").is_in(days.implode())).group_by("day", maintain_order=True)
    return kept.head(A_DAY).drop("day").to_dicts()


def shown(up: Up) -> dict[str, Any]:
    found: dict[str, Any] = up.get("/api/deployments/agree").json()
    return found


def test_a_member_is_the_shadow_of_its_mixture(shell: Shell) -> None:
    [status] = shell.here("status", "--json").json["deployments"]
    member = status["members"][0]["version"]
    asked = rows(shell.folder)
    folder = predictions_folder(shell.folder / ".nenrin")
    with shell.up() as up:
        url = "/invocations?deployment=agree"
        before = up.post(url, asked[:3]).json()["predictions"]
        begun = shell.here("deployments", "shadow", "agree", member, "--budget", "100", "--json")
        assert begun.json["shadow"] == member
        scored = f'outcome="scored",version="{member}"}} 0.0'
        wait_until(  # until it has begun: its counters are there a moment before
            lambda: (
                up.post(url, asked[:1]).is_success
                and member in (told := up.get("/metrics").text)
                and scored not in told
            )
        )
        ids = []
        for rows_of_one in (asked[:1], asked[1:]):
            answer = up.post(url, rows_of_one).json()
            assert {*answer["versions"]} == {status["champion"]}
            ids += answer["ids"]
        after = up.post(url, asked[:3]).json()["predictions"]
        assert after == before  # no client hears of it
        wait_until(lambda: {each.id for each in read_predictions(shadow_log(folder))} >= {*ids})
        named = {"X-Nenrin-Version": member}
        hidden = httpx2.post(f"{up.url}{url}", json=[asked[0]], headers=named, timeout=120)
        assert hidden.status_code == 404
        pairs = [*read_predictions(shadow_log(folder))]
        wait_until(lambda: shown(up)["shadow"]["scored"] >= len(pairs))
        found: dict[str, Any] = up.get("/api/deployments/agree/shadow").json()
        assert found["failed"] == 0
        assert (found["version"], found["against"]) == (member, status["champion"])
        assert found["answers"]["pairs"] == found["scored"]
        assert found["labels"]["days"] == DAYS
        assert found["labels"]["low"] < found["labels"]["difference"] < found["labels"]["high"]
        assert f"{member} is its shadow: " in shell.here("status").out
        assert shown(up)["shadow"]["answers"] == found["answers"]
        _same_as_alone(up, folder, member, asked[0], ids[0])
        shell.here("models", "bad", member, "--reason", "it looks odd")
        wait_until(lambda: shown(up)["route"]["shadow"] is None)
    refused = shell.here("deployments", "shadow", "agree", member, code=None)
    assert "is marked bad" in refused.err
    assert "has no shadow" in shell.here("deployments", "shadow", "agree", code=None).err
    assert "holds" in shell.here("audit", "verify").out


def _same_as_alone(up: Up, folder: Path, member: str, row: dict[str, Any], prediction: str) -> None:
    """What it scored is what it would have answered: champion in its own right, recalibrated alike."""
    [pair] = [each for each in read_predictions(shadow_log(folder)) if each.id == prediction]
    assert pair.beside is not None
    assert pair.recalibration is None
    [logged] = [each for each in read_predictions(folder) if each.id == prediction]
    assert pair.beside == (logged.version, logged.answer)
    one = up.get(f"/api/predictions/{prediction}").json()
    assert one["shadow"] == {"version": member, "answer": pair.answer}
    shares = {part.version: part.share for part in logged.members}
    assert member in shares
    assert 0 < float(pair.answer) < 1
    assert up.get("/v2/models/agree").json()["versions"] == [logged.version]
