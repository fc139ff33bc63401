"""From the id of one live answer down to its data, and from a load up to the versions trained on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nenrin.testing.waiting import wait_until
from tests.journeys.shell import Shell, Up
from tests.journeys.small.growing import PROJECT, write


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    (tmp_path / "project.py").write_text(PROJECT)
    write(tmp_path, 60)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    first_run(shell)
    return shell


def next_question(shell: Shell) -> tuple[dict[str, Any], bool]:
    """The first question after those that are loaded, and its answer to be; the files grow by 15 days."""
    old = pl.read_parquet(shell.folder / "questions.parquet").height
    write(shell.folder, 75)
    row = pl.read_parquet(shell.folder / "questions.parquet").row(old, named=True)
    answers = pl.read_parquet(shell.folder / "answers.parquet")
    asked = {**row, "asked": row["asked"].isoformat()}
    return asked, bool(answers.filter(pl.col("id") == row["id"])["yes"][0])


def ask(up: Up, row: dict[str, Any]) -> str:
    """The id of the answer, once it is in the log."""
    answered = up.post("/invocations?deployment=agree", [row])
    assert answered.status_code == 200, answered.text
    [found] = answered.json()["ids"]
    wait_until(lambda: up.get(f"/api/why/{found}").status_code == 200)
    return str(found)


def parts_of(told: dict[str, Any]) -> float:
    """What the parts of an answer add up to."""
    rest = told.get("unexplained", 0.0) + told.get("recalibration", 0.0)
    return float(told["base"] + sum(each["contribution"] for each in told["contributions"]) + rest)


def loads(shell: Shell, number: int) -> dict[str, str]:
    """Ids of the loads of that number, by dataset."""
    listed = shell.here("data", "list", "--json").json
    return {each["dataset"]: each["id"] for each in listed if each["number"] == number}


def test_one_answer_and_everything_behind_it(shell: Shell) -> None:
    first = loads(shell, 1)
    row, yes = next_question(shell)
    with shell.up() as up:
        asked = ask(up, row)
        told = shell.here("why", asked, "--json").json
        mixture, *fits = told["versions"]
        by = told["answered by"]
        assert (told["deployment"], by["version"]) == ("agree", mixture["version"])
        assert sum(part["share"] for part in by["members"]) == pytest.approx(1)
        assert {part["version"] for part in by["members"]} == {fit["version"] for fit in fits}
        assert (told["row"]["id"], told["features"]) == (row["id"], {"x": row["x"]})
        assert sorted(fit["recipe"] for fit in fits) == ["history", "trailing 30d"]
        for fit in fits:
            assert {data["dataset"]: data["version"] for data in fit["data"]} == first
            assert fit["code"]["python"]
        [verdict] = mixture["admitted by"]["verdicts"]
        assert shell.here("why", verdict, "--json").json["admitted"]
        assert told["label"]["state"] == "row not loaded"
        moved = told["moved by"]
        assert parts_of(moved) == pytest.approx(told["answer"], abs=1e-9)
        [part] = moved["contributions"]
        assert (part["feature"], part["value"]) == ("x", row["x"])
        assert (part["contribution"] > 0) == (row["x"] > 0)
        assert moved["unexplained"] == 0
        assert moved["says"] == ""
        assert {each["version"] for each in moved["members"]} == {fit["version"] for fit in fits}
        for each in moved["members"]:
            assert parts_of(each) == pytest.approx(each["answer"], abs=1e-9)

        for dataset in first:
            shell("data", "load", dataset, "--backfill")
        label = up.get(f"/api/why/{asked}").json()["label"]
        assert (label["label"], label["state"]) == (float(yes), "in time")
        assert label["from"]["number"] == 2
        printed = shell.here("why", asked).out
        who = f"answered by  agree, champion {by['version']}"
        for said in (who, "moved by  starts at", first["answers"], "in time:"):
            assert said in printed

    came = shell.here("why", by["version"], "--json").json
    assert came["answered"]["alone"] == 1
    member = shell.here("why", fits[0]["version"], "--json").json
    assert (member["answered"]["alone"], member["answered"]["as a member"]) == (0, 1)
    assert by["version"] in [holder["version"] for holder in member["held by"]]
    assert came["served"][0]["deployment"] == "agree"

    shell.here("run")
    [deployment] = shell.here("status", "--json").json["deployments"]
    assert deployment["champion"] != by["version"]
    again = shell.here("why", asked, "--json").json
    assert again["moved by"]["contributions"] == moved["contributions"]


def test_a_load_names_what_was_trained_on_it(shell: Shell) -> None:
    first = loads(shell, 1)
    before = shell.here("why", first["answers"], "--json").json
    assert {fit["recipe"] for fit in before["trained"]} == {"history", "trailing 30d"}
    assert "rows:agree" in {step["step"] for step in before["steps"]}
    next_question(shell)
    for dataset in first:
        shell.here("data", "load", dataset, "--backfill")
    second = loads(shell, 2)
    assert shell.here("why", second["answers"], "--json").json["trained"] == []
    shell.here("run")
    [deployment] = shell.here("status", "--json").json["deployments"]
    serving = {member["version"] for member in deployment["members"]}
    after = shell.here("why", second["answers"], "--json").json
    trained = {fit["version"] for fit in after["trained"]}
    assert trained & serving
    assert not trained & {fit["version"] for fit in before["trained"]}
    assert after["before"] == first["answers"]
    for version in trained & serving:
        told = shell.here("why", version, "--json").json
        assert second["answers"] in [data["version"] for data in told["data"]]


def test_an_id_that_the_log_lacks(shell: Shell) -> None:
    none = shell.here("why", "prediction-1", code=4)
    assert "no prediction has been logged in this folder" in none.err
    row, _ = next_question(shell)
    with shell.up() as up:
        ask(up, row)
        missing = shell.here("why", "prediction-1", code=4).err
        assert "the log has no prediction-1: it holds 1 of 1 predictions" in missing
        assert "an answer carries its id" in missing
