"""Looking after a folder: checkpoints of its ledger, a copy of all of it, what is wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.journeys.shell import CHURN, Shell, customers

IN_PROCESS = {"NENRIN_WORKERS": "0"}


@pytest.fixture
def shell(tmp_path: Path, first_run: Callable[[Shell], None]) -> Shell:
    folder = tmp_path / "project"
    folder.mkdir()
    customers(600).write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(CHURN)
    shell = Shell(folder, IN_PROCESS)
    first_run(shell)
    return shell


def test_a_checkpoint_kept_outside_finds_a_rewritten_end(shell: Shell, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept.note")
    key = shell.here("audit", "checkpoint", "--to", kept, "--json").json["key"]
    verify = ("audit", "verify", "--checkpoint", kept, "--key", key)
    told = shell.here(*verify)
    assert "the head that was kept outside is in the chain" in told.out
    assert "not known" not in told.out
    with closing(sqlite3.connect(shell.folder / ".nenrin" / "state.db")) as state, state:
        newest = "(SELECT max(sequence) FROM events)"
        state.execute(f"DELETE FROM events WHERE sequence = {newest}")
        state.execute(
            "UPDATE heads SET (sequence, hash) = (SELECT sequence, hash FROM events "
            f"WHERE sequence = {newest})"
        )
    assert "holds" in shell.here("audit", "verify").out
    found = shell.here(*verify, code=11)
    assert "events were cut off the end" in found.out


@pytest.mark.parametrize("name", ["kept.tar", "kept"])
def test_a_backup_serves_elsewhere(shell: Shell, tmp_path: Path, name: str) -> None:
    kept, folder = str(tmp_path / name), tmp_path / "elsewhere"
    before = shell.here("status", "--json").json["ledger"]["head"]
    assert "pieces of content" in shell.here("backup", "--to", kept).out
    folder.mkdir()
    other = Shell(folder, IN_PROCESS)
    told = other.here("restore", kept).out
    assert "ledger of 1 environments holds" in told
    assert "1 files of the project" in told
    assert other.here("status", "--json").json["ledger"]["head"] == before
    assert (folder / "project.py").read_text() == CHURN
    assert "would be admitted" in other.here("gates", "check", "churned").out
    assert "there is state here already" in other.here("restore", kept, code=5).err
    assert "nothing was due" in shell.here("run").out  # where it was made, all goes on


def test_restoring_what_is_no_backup(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert "there is no backup" in shell.here("restore", "none.tar", code=4).err
    (tmp_path / "x.tar").write_text("no tar")
    assert "cannot be read" in shell.here("restore", "x.tar", code=11).err
