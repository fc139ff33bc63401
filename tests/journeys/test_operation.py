"""Looking after a folder: checkpoints of its ledger, a copy of all of it, what is wrong with it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.journeys.shell import CHURN, Shell, customers

IN_PROCESS = {"NENRIN_WORKERS": "0"}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    folder = tmp_path / "project"
    folder.mkdir()
    customers(600).write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(CHURN)
    shell = Shell(folder, IN_PROCESS)
    shell.here("run")
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
