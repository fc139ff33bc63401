"""A frozen deployment: what comes of new rows and new code, what people may do, and the thaw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.shell import CHURN, Shell, customers

IN_PROCESS = {"NENRIN_WORKERS": "0"}


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    customers(1_000).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, IN_PROCESS)
    first_run(shell)
    return shell


def _status(shell: Shell) -> dict[str, Any]:
    [deployment] = shell.here("status", "--json").json["deployments"]
    return dict(deployment)


def _grow(shell: Shell, rows: int) -> None:
    customers(rows).write_csv(shell.folder / "customers.csv")


def test_new_rows_wait_for_the_thaw(shell: Shell) -> None:
    before = _status(shell)["champion"]
    shell.here("deployments", "freeze", "churned", "--reason", "the release")
    _grow(shell, 1_300)
    ran = shell.here("run")
    assert "frozen, the release: nothing changes by itself" in ran.out
    told = _status(shell)
    assert (told["champion"], told["held"]) == (before, ["train anew: 1,300 rows have labels"])
    said = shell.here("status").out
    assert "churned: frozen since" in said
    assert "held: train anew: 1,300 rows have labels" in said
    shell.here("run")
    why = shell.here("why", "churned", "--json").json
    assert str(why).count("change.held") == 1
    shell.here("deployments", "unfreeze", "churned")
    assert shell.here("run").code == 0
    assert _status(shell)["champion"] != before
    assert "holds" in shell.here("audit", "verify").out


def test_new_code_waits_and_a_person_does_not(shell: Shell) -> None:
    first = _status(shell)["champion"]
    _grow(shell, 1_300)
    shell.here("run")
    second = _status(shell)["champion"]
    assert second != first
    [frozen] = shell.here("deployments", "freeze", "--all", "--json").json
    assert frozen["frozen"]
    shell.project.write_text(CHURN.replace("range(300)", "range(3)"))
    shell.here("run")
    told = _status(shell)
    assert (told["champion"], told["held"]) == (second, ["judge the project's new code"])
    back = shell.here("deployments", "rollback", "churned")
    assert first in back.out
    assert "nothing changes by itself until nenrin deployments unfreeze churned" in back.out
    assert _status(shell)["frozen"]


def test_comments_are_no_new_code(shell: Shell) -> None:
    shell.here("deployments", "freeze", "churned")
    shell.project.write_text(CHURN + "# nothing else\n")
    shell.here("run")
    assert _status(shell)["held"] == []
