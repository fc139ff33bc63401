"""``nenrin doctor`` where something is broken."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.journeys.shell import CHURN, Shell, customers


def _findings(shell: Shell, code: int) -> dict[str, dict[str, Any]]:
    done = shell.here("doctor", "--json", code=code)
    return {finding["name"]: finding for finding in json.loads(done.out)}


def test_a_folder_that_works_and_each_thing_that_breaks_it(tmp_path: Path) -> None:
    customers(120).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    assert _findings(shell, 0)["database"]["found"] == "there is none yet"
    assert not (tmp_path / ".nenrin").exists()
    shell.here("run")
    found = _findings(shell, 0)
    assert {finding["health"] for finding in found.values()} == {"ok"}
    assert "in 1 chains, which hold" in found["ledger"]["found"]

    away = Shell(tmp_path, {"NENRIN_ONLINE": "redis://127.0.0.1:1/0"})
    assert "does not answer" in _findings(away, 1)["online store"]["found"]

    (tmp_path / "project.py").write_text(f"import not_there\n{CHURN}")
    told = _findings(shell, 1)["project"]
    assert "not_there" in told["found"]
    assert "project.py:1" in told["found"]

    (tmp_path / "project.py").write_text(f"import os\nos._exit(3)\n{CHURN}")
    assert "raises SystemExit: 3" in _findings(shell, 1)["project"]["found"]

    (tmp_path / "project.py").write_text(f"import os\nos.kill(os.getpid(), 9)\n{CHURN}")
    assert "ended the process, with code -9" in _findings(shell, 1)["project"]["found"]

    pool = "import polars\nTOTAL = polars.Series([1.5] * 9).sort().sum()\n"
    (tmp_path / "project.py").write_text(pool + CHURN)
    told = _findings(shell, 0)["steps"]
    assert told["health"] == "warn"
    assert "project.py:2: TOTAL = " in told["found"]

    (tmp_path / "project.py").write_text(CHURN)
    state = tmp_path / ".nenrin" / "state.db"
    data = bytearray(state.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    state.write_bytes(bytes(data))
    told = _findings(shell, 1)["database"]
    assert told["health"] == "fail"
    assert "restore FROM" in told["do"]
    text = shell.here("doctor", code=1).out
    assert "fail  database" in text
    assert "do this: bring a backup back into another folder" in text
    state.write_bytes(b"")
    assert "is empty, and there is content" in _findings(shell, 1)["database"]["found"]


def test_a_database_that_is_held_and_content_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(
        "import nenrin as nr\n\n@nr.step\ndef one():\n    return 1\n"
    )
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    shell.here("run")
    with closing(sqlite3.connect(tmp_path / ".nenrin" / "state.db")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM aliases")
        told = _findings(shell, 1)["database"]
        assert "another process holds the database" in told["found"]
        assert "restore" not in told["do"]
        other.rollback()
    assert _findings(shell, 0)["database"]["health"] == "ok"
    (tmp_path / ".nenrin" / "store").rename(tmp_path / "elsewhere")
    told = _findings(shell, 1)["content"]
    assert "is gone" in told["found"]


def test_it_looks_while_another_process_holds_the_folder(tmp_path: Path) -> None:
    customers(120).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    with shell.up() as up:
        found = _findings(shell, 0)
        assert found["lock"]["found"] == f"process {up.process.pid} holds the folder, and runs"
