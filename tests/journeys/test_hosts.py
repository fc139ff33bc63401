"""Two hosts, one PostgreSQL, one bucket: each is a folder of its own with a ``nenrin up`` in it.

One turns the loop at a time; the other takes over when it dies; both answer, also when the database is away.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.sql.database import Database
from nenrin.core.errors import ConflictError
from nenrin.core.leases import LEASE, Alone
from nenrin.core.settings import Settings
from nenrin.loop.journal import LoopJournal
from nenrin.platform import Platform
from nenrin.testing.object_store import ObjectStoreServer
from nenrin.testing.postgres import PostgresServer, postgres_server
from tests.journeys.shell import CHURN, Shell, Up, customers, wait_for

pytestmark = pytest.mark.timeout(300)
ROW = {"age": 40, "plan": "pro", "calls": 2, "spend": 10.0}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    with postgres_server() as own:
        yield own


@pytest.fixture
def hosts(
    tmp_path: Path, server: PostgresServer, object_store: ObjectStoreServer
) -> tuple[Shell, Shell]:
    """Two folders that share nothing but addresses."""
    parts = {
        "NENRIN_WORKERS": "0",
        "NENRIN_DATABASE_URL": server.fresh(),
        "NENRIN_STORE_URL": f"s3://{object_store.bucket}/journeys/hosts",
        **object_store.variables(),
    }
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "project.py").write_text(CHURN)
        customers(300).write_csv(folder / "customers.csv")
        made.append(Shell(folder, parts))
    return made[0], made[1]


def told(shell: Shell, kind: str) -> int:
    """How many events of a kind the ledger has."""
    with Database(shell.variables["NENRIN_DATABASE_URL"], read_only=True) as units:
        return len(units.find("dev", kind=kind))


def holder(server: PostgresServer, shell: Shell) -> str:
    """Who turns the loop: the process id."""
    schema = shell.variables["NENRIN_DATABASE_URL"].rpartition("%3D")[2]
    found = server.execute(f"SELECT holder FROM {schema}.leases WHERE name = 'loop/dev'")
    return str(found[0][0]).rpartition("/")[2] if found else ""


def answers(up: Up) -> bool:
    asked = up.post("/invocations?deployment=churned", [ROW])
    return asked.status_code == 200 and 0 < asked.json()["predictions"][0] < 1


def more(shell: Shell, first: int) -> None:
    """A tenth of new rows, and some: enough for a refresh."""
    customers(80, seed=first, first=first).write_csv(shell.folder / f"more-{first}.csv")
    shell("data", "load", "customers", f"more-{first}.csv")


def test_one_turns_the_loop_and_the_other_takes_over(
    hosts: tuple[Shell, Shell], server: PostgresServer
) -> None:
    one, two = hosts
    one("run")
    with one.up() as first, two.up() as second:
        ups = {str(up.process.pid): up for up in (first, second)}
        assert answers(first)
        assert answers(second)
        wait_for(lambda: holder(server, one) in ups, 2 * LEASE)

        judged = told(one, "verdict.given")
        more(two, 1000)  # whoever turns the loop hears of what came on the other host
        wait_for(lambda: told(one, "verdict.given") > judged, 60)
        leader = ups.pop(holder(server, one))
        (other,) = ups.values()

        leader.kill()
        judged = told(one, "verdict.given")
        more(other.shell, 2000)
        wait_for(lambda: holder(server, one) == str(other.process.pid), 2 * LEASE)
        wait_for(lambda: told(one, "verdict.given") > judged, 60)
        assert told(one, "verdict.given") == judged + 1  # nothing was decided twice
        assert answers(leader)  # its data plane goes on
        assert answers(other)

        server.stop()
        assert answers(leader)
        assert answers(other)
        server.start()
        wait_for(lambda: other.get("/api/status").is_success, 60)
        assert answers(other)
    assert one("audit", "verify", "--json").json["holds"]


def test_two_that_both_believe_that_it_is_theirs_decide_once(
    hosts: tuple[Shell, Shell], server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was frozen may wake up with a lease that it has lost."""
    one, two = hosts
    one("run")
    judged = told(one, "verdict.given")
    more(one, 1000)
    for name, value in one.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("nenrin.platform.SqlLeases", lambda *_: Alone())
    commit = LoopJournal.commit
    turned: list[int] = []

    with (
        Platform.open(Settings.read(folder=one.folder)) as frozen,
        Platform.open(Settings.read(folder=two.folder)) as other,
    ):

        def late(journal: LoopJournal, *given: Any, **more: Any) -> None:
            """The first decision is written only when another one has been taken."""
            monkeypatch.setattr(LoopJournal, "commit", commit)
            turned.append(other.loop.tick("dev"))
            commit(journal, *given, **more)

        monkeypatch.setattr(LoopJournal, "commit", late)
        with pytest.raises(ConflictError, match="went on meanwhile"):
            frozen.loop.tick("dev")
    assert turned[0] > 0
    assert told(one, "verdict.given") == judged + 1
