"""A person's promotion while the loop goes on: it is judged and written on what stands then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nenrin.core.errors import OvertakenError, RefusedError
from nenrin.core.settings import Settings
from nenrin.loop.journal import LoopJournal, read
from nenrin.platform import Platform
from tests.journeys.shell import CHURN, Shell, customers


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    customers(1_000).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    first_run(shell)
    return shell


def test_a_promotion_is_tried_again(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    [first] = shell.here("status", "--json").json["deployments"]
    customers(1_300).write_csv(shell.folder / "customers.csv")
    shell.here("run")
    commit, tried = LoopJournal.commit, list[object]()
    with Platform.open(Settings.read(folder=shell.folder, workers=0)) as platform:

        def overtaken(journal: LoopJournal, step: Any, state: Any, **more: Any) -> None:
            """A turn of the loop remembers something each time but the last."""
            tried.append(step.verdicts)
            if len(tried) < 3:
                with platform.units.read("dev") as unit:
                    other = read(journal._states, unit, "churned")
                assert other is not None
                journal.remember(other, step.at)
            commit(journal, step, state, **more)

        monkeypatch.setattr(LoopJournal, "commit", overtaken)
        before = len(platform.units.find("dev", kind="verdict.given"))
        with suppress(RefusedError):  # whatever the gate says
            platform.loop.promote("dev", "churned", first["champion"])
        assert len(tried) == 3
        assert len(platform.units.find("dev", kind="verdict.given")) == before + 1


def test_one_that_was_decided_on_another_champion_is_not(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = shell.here("status", "--json").json["deployments"]
    customers(1_300).write_csv(shell.folder / "customers.csv")
    shell.here("run")
    commit = LoopJournal.commit
    with Platform.open(Settings.read(folder=shell.folder, workers=0)) as platform:

        def overtaken(journal: LoopJournal, *given: Any, **more: Any) -> None:
            monkeypatch.setattr(LoopJournal, "commit", commit)
            platform.loop.rollback("dev", "churned")
            commit(journal, *given, **more)

        monkeypatch.setattr(LoopJournal, "commit", overtaken)
        with pytest.raises(OvertakenError, match="went on meanwhile"):
            platform.loop.promote("dev", "churned", first["champion"])
