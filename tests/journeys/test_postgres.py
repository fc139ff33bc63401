"""A folder whose state is in PostgreSQL: the same decisions, and everything that looks after a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from nenrin.testing.postgres import PostgresServer, postgres_server
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import CHURN, Shell, customers
from tests.journeys.small.growing import PROJECT, write


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    with postgres_server() as own:
        yield own


def _heads(shell: Shell) -> dict[str, str]:
    found = shell.here("audit", "verify", "--json").json
    assert found["holds"]
    return {chain["environment"]: chain["head"] for chain in found["chains"]}


def test_a_backtest_decides_the_same_as_on_sqlite(tmp_path: Path, postgres: PostgresServer) -> None:
    heads = []
    for name, more in (("file", {}), ("server", {"NENRIN_DATABASE_URL": postgres.fresh()})):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "project.py").write_text(PROJECT)
        write(folder, 45)
        shell = Shell(folder, {"NENRIN_WORKERS": "0", **more})
        shell.here("backtest", "--from", "2024-02-10")
        heads.append({name: head for name, head in _heads(shell).items() if name != "dev"})
        assert (folder / ".nenrin" / "state.db").exists() == (not more)
    assert len(heads[0]) == 1
    assert heads[0] == heads[1]


def test_a_folder_moves_and_is_looked_after(tmp_path: Path, postgres: PostgresServer) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    customers(300).write_csv(folder / "customers.csv")
    (folder / "project.py").write_text(CHURN)
    alone = Shell(folder, {"NENRIN_WORKERS": "0"})
    alone.here("run")
    before = _heads(alone)
    url, again = postgres.fresh(), postgres.fresh()

    moved = alone.here("migrate", "sqlite-to-postgres", "--to", url)
    assert "holds" in moved.out
    assert "NENRIN_DATABASE_URL" in moved.out
    shell = Shell(folder, {**alone.variables, "NENRIN_DATABASE_URL": url})
    assert _heads(shell) == before
    second = shell.here("migrate", "sqlite-to-postgres", code=5)
    assert "state in the database already" in second.err

    (folder / ".nenrin" / "state.db").unlink()  # nothing needs it any more
    assert shell.here("run", "--json").json["ran"] == []
    health = {found["name"]: found for found in shell.here("doctor", "--json").json}
    assert health["database"]["found"].startswith("intact, schema")
    assert health["ledger"]["health"] == "ok"
    shell.here("prune", "--budget", "1kB", "--dry-run")

    shell.here("backup", "--to", str(tmp_path / "backup"))
    (tmp_path / "back").mkdir()
    back = Shell(tmp_path / "back", {"NENRIN_DATABASE_URL": again})
    assert back.here("restore", str(tmp_path / "backup"), "--json").json["audit"]["holds"]
    assert _heads(back) == _heads(shell)
    assert not (tmp_path / "back" / ".nenrin" / "state.db").exists()
    shutil.copy(folder / "customers.csv", tmp_path / "back")
    assert back.here("run", "--json", NENRIN_WORKERS="0").json["ran"] == []


def test_a_database_that_is_away_is_told_of(tmp_path: Path, server: PostgresServer) -> None:
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, {"NENRIN_DATABASE_URL": server.fresh()})
    shell.here("status")
    server.stop()
    said = shell.here("status", code=9)
    assert "PostgreSQL" in said.err
    (database,) = [
        found
        for found in shell.here("doctor", "--json", code=1).json
        if found["name"] == "database"
    ]
    assert database["health"] == "fail"
    assert "PostgreSQL" in database["do"]


def test_predictions_go_on_while_the_server_is_away(tmp_path: Path, server: PostgresServer) -> None:
    customers(300).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    url = server.fresh()
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0", "NENRIN_DATABASE_URL": url})
    shell.here("run")
    with shell.up() as up:
        records = up.get("/api/deployments/churned/example").json()["records"]
        ask = {"dataframe_records": records}
        assert up.post("/invocations", ask).status_code == 200
        server.stop()
        assert up.post("/invocations", ask).status_code == 200
        assert up.get("/api/status").status_code == 503
        server.start()
        wait_until(lambda: up.get("/api/status").status_code == 200)
        assert up.post("/invocations", ask).status_code == 200
        assert up.process.poll() is None
    with Platform.open(Settings.read(folder=tmp_path, database_url=url)) as platform:
        assert platform.audit.verify().holds
