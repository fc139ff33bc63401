"""The maturity of a folder: low after one run, and proven item by item by what is then done in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nenrin.testing.waiting import wait_until
from tests.journeys.shell import CHURN, Shell, Up, customers
from tests.journeys.small.growing import PROJECT, write

IN_PROCESS = {"NENRIN_WORKERS": "0"}


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    (tmp_path / "project.py").write_text(PROJECT)
    write(tmp_path, 60)
    shell = Shell(tmp_path, IN_PROCESS)
    first_run(shell)
    return shell


def assessed(shell: Shell, *words: str) -> dict[str, Any]:
    return dict(shell.here("status", "--level", "--json", *words).json)


def states(found: dict[str, Any]) -> dict[str, str]:
    return {item["id"]: item["state"] for scale in found["scales"] for item in scale["items"]}


def levels(found: dict[str, Any]) -> list[tuple[int, int]]:
    return [(scale["configured"], scale["proven"]) for scale in found["scales"]]


def proven(found: dict[str, Any]) -> set[str]:
    return {name for name, state in states(found).items() if state == "proven"}


def test_one_run_is_a_low_level(shell: Shell) -> None:
    found = assessed(shell)
    assert levels(found) == [(0, 0), (0, 0)]
    lacking = {name for name, state in states(found).items() if state == "missing"}
    assert lacking == {"G1.3", "G2.1", "G2.5", "M1.2", "M3.5", "M3.6"}
    assert {"G1.1", "G1.5", "M1.4", "M1.5", "M2.3", "M2.8", "M3.4"} <= proven(found)
    assert not {"G1.2", "G1.7", "G1.9", "M2.1", "M2.10", "M4.5", "M4.6"} & proven(found)
    cheapest = found["next"][0]
    assert cheapest["step"].startswith("nenrin apply --env prod")
    printed = shell.here("status", "--level").out
    assert "Google     level 0 of 2 proven, level 0 configured" in printed
    assert "nenrin apply --env prod" in printed
    assert "run.finished agree 2024-02-29" in printed
    assert "not nenrin's to know" in printed


def test_a_commit_proves_version_control(shell: Shell) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
        subprocess.run(["git", *who, *words], cwd=shell.folder, check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "nothing yet")
    assert states(assessed(shell))["M1.2"] == "missing"  # git does not know the project
    git("add", "project.py")
    git("commit", "-m", "the project")
    found = assessed(shell)
    assert {"M1.2", "G2.1"} <= proven(found)
    assert levels(found)[1] == (2, 1)
    shell.project.write_text(PROJECT + "# other\n")
    shell.here("run")
    assert states(assessed(shell))["M1.2"] == "configured"
    git("commit", "-a", "-m", "the comment")
    assert states(assessed(shell))["M1.2"] == "proven"


@pytest.mark.parametrize("words", [(), ("--env", "prod")])
def test_an_assessment_leaves_the_ledger_alone(shell: Shell, words: tuple[str, ...]) -> None:
    before = shell.here("status", "--json", *words).json["ledger"]
    assessed(shell, *words)
    assert shell.here("status", "--json", *words).json["ledger"] == before


def test_a_backtest_proves_data_tests_and_repetition(shell: Shell) -> None:
    step = next(step for step in assessed(shell)["next"] if "G1.7" in step["items"])
    shell.here(*step["step"].split()[1:])  # the step that it says, word for word
    after = assessed(shell)
    assert {"G1.7", "M4.4"} <= proven(after)
    [shown] = [
        item["shown"]
        for scale in after["scales"]
        for item in scale["items"]
        if item["id"] == "G1.7"
    ]
    assert shown["environment"].startswith("backtest/bt-")
    said = f"{shown['subject']} {shown['at'][:10]} {shown['at'][11:16]}Z in {shown['environment']}"
    assert said in " ".join(shell.here("status", "--level", COLUMNS="400").out.split())
    assert states(after)["M2.10"] == "configured"
    shell.here("backtest")
    assert states(assessed(shell))["M2.10"] == "proven"


def ask(shell: Shell, up: Up) -> None:
    """Ask for the last question that is there, until its answer is in the log."""
    row = pl.read_parquet(shell.folder / "questions.parquet").row(-1, named=True)
    sent = [{**row, "asked": row["asked"].isoformat()}]
    [found] = up.post("/invocations?deployment=agree", sent).json()["ids"]
    wait_until(lambda: up.get(f"/api/why/{found}").status_code == 200)


def serving(shell: Shell) -> str:
    [deployment] = shell.here("status", "--json").json["deployments"]
    return str(deployment["champion"])


def test_a_refresh_and_a_roll_back_prove_what_they_are(shell: Shell) -> None:
    write(shell.folder, 75)
    for dataset in ("questions", "answers"):
        shell.here("data", "load", dataset, "--backfill")
    shell.here("run")
    found = assessed(shell)
    assert {"G1.2", "G1.6", "M2.1", "M4.2", "M4.5"} <= proven(found)
    assert "M2.6" not in proven(found)
    with shell.up() as up:
        ask(shell, up)
        before = serving(shell)
        said = up.get("/api/status/level").json()
        assert {"M2.6", "G1.10"} <= proven(said)
        assert states(said)["M4.6"] == "configured"
        shell("deployments", "rollback", "agree")
        assert serving(shell) != before

        def switched() -> bool:
            ask(shell, up)
            return states(up.get("/api/status/level").json())["M4.6"] == "proven"

        wait_until(switched)
        assert up.get("/api/status/level", params={"levle": "1"}).status_code == 400


def test_another_environment(shell: Shell) -> None:
    shell.here("apply", "--env", "prod")
    found = assessed(shell)
    assert {"G1.3", "M3.5"} <= proven(found)
    there = assessed(shell, "--env", "prod")
    assert there["environment"] == "prod"
    assert {"G1.3", "M3.5"} <= proven(there)
    assert all("{" not in step["step"] for step in there["next"])


def test_rows_without_a_time_and_a_folder_that_never_ran(tmp_path: Path) -> None:
    customers(600).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, IN_PROCESS)
    never = assessed(shell)
    assert proven(never) == set()
    assert never["next"][0]["step"] == "nenrin run"
    shell.here("run")
    found = assessed(shell)
    assert {"G1.1", "M1.4", "M2.2"} <= proven(found)
    [time] = [step for step in found["next"] if "time=" in step["step"]]
    assert {"G1.7", "G1.9", "G1.12"} <= set(time["items"])
