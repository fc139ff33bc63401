"""Hosts, one PostgreSQL, one bucket: each is a folder and a network of its own with a ``nenrin up`` in it.

One turns the loop at a time; another takes over when it dies, or is cut off; all answer, also when the
database is away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from nenrin.backends.sql.database import Database
from nenrin.core.errors import ConflictError
from nenrin.core.leases import Alone
from nenrin.core.settings import Settings
from nenrin.loop.journal import LoopJournal
from nenrin.platform import Platform
from nenrin.testing.hosts import SERVERS, Host, hosts
from nenrin.testing.object_store import ObjectStoreServer
from nenrin.testing.postgres import PostgresServer, postgres_server
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import CHURN, Shell, Up, customers

ROW = {"age": 40, "plan": "pro", "calls": 2, "spend": 10.0}


class Team:
    """Folders on hosts of their own, that share nothing but addresses; and their servers.

    Attributes:
        server: the database's.
        network: the hosts by name.
        one, two, three: what stands on them.
        from_outside: variables by which this machine finds the servers.
    """

    def __init__(
        self,
        folder: Path,
        server: PostgresServer,
        network: dict[str, Host],
        object_store: ObjectStoreServer,
    ) -> None:
        self.server, self.network = server, network
        self._here = make_url(server.fresh())
        self._folder, self._objects = folder, object_store
        self.from_outside = {
            "NENRIN_WORKERS": "0",
            "NENRIN_STORE_URL": f"s3://{object_store.bucket}/journeys/hosts",
            "NENRIN_DATABASE_URL": self._here.render_as_string(),
            **object_store.variables(),
        }
        self.one, self.two, self.three = map(self._shell, ("one", "two", "three"))

    def _shell(self, name: str) -> Shell:
        host = self.network[name]
        database, port = host.reach(self.server.address)
        objects = make_url(self._objects.endpoint)
        bucket = host.reach((str(objects.host), int(objects.port or 0)))
        there = self._here.update_query_dict({"host": database, "port": str(port)})
        variables = {
            **self.from_outside,
            "NENRIN_DATABASE_URL": there.render_as_string(),
            "AWS_ENDPOINT_URL": f"http://{bucket[0]}:{bucket[1]}",
        }
        folder = self._folder / name
        folder.mkdir(parents=True)
        (folder / "project.py").write_text(CHURN)
        customers(300).write_csv(folder / "customers.csv")
        return Shell(folder, variables, host.inside)

    def host(self, up: Up) -> Host:
        """Where it is."""
        return self.network[up.shell.folder.name]

    def told(self, kind: str) -> int:
        """How many events of a kind the ledger has."""
        with Database(self._here.render_as_string(), read_only=True) as units:
            return len(units.find("dev", kind=kind))

    def holder(self) -> str:
        """Who turns the loop: the process id."""
        schema = str(self._here.query["options"]).rpartition("=")[2]
        found = self.server.execute(f"SELECT holder FROM {schema}.leases WHERE name = 'loop/dev'")
        return str(found[0][0]).rpartition("/")[2] if found else ""

    def roles(self, *ups: Up) -> tuple[Up, Up]:
        """The one of two that turns the loop, and the other."""
        by_process = {str(up.process.pid): up for up in ups}
        wait_until(lambda: self.holder() in by_process)
        leader = by_process.pop(self.holder())
        return leader, *by_process.values()  # type: ignore[return-value]

    def start(self) -> None:
        """Start the database again."""
        with self.network[SERVERS].inside():
            self.server.start()


@pytest.fixture
def team(tmp_path: Path, object_store: ObjectStoreServer) -> Iterator[Team]:
    with hosts("one", "two", "three") as network, ExitStack() as ends:
        with network[SERVERS].inside():
            server = ends.enter_context(postgres_server(host=network[SERVERS].address))
        yield Team(tmp_path, server, network, object_store)


def answering(up: Up) -> str:
    """The version that answers on a host."""
    asked = up.post("/invocations?deployment=churned", [ROW])
    assert asked.status_code == 200, asked.text
    answer = asked.json()
    assert 0 < answer["predictions"][0] < 1
    return str(answer["versions"][0])


def more(shell: Shell, first: int) -> None:
    """A tenth of new rows, and some: enough for a refresh."""
    customers(80, seed=first, first=first).write_csv(shell.folder / f"more-{first}.csv")
    shell("data", "load", "customers", f"more-{first}.csv")


def test_one_turns_the_loop_and_another_takes_over(team: Team) -> None:
    team.one("run")
    with team.one.up() as first, team.two.up() as second:
        assert answering(first) == answering(second)
        leader, other = team.roles(first, second)
        judged, former = team.told("verdict.given"), answering(first)

        team.host(other).delay = 0.05  # a tenth of a second there and back
        more(other.shell, 1000)  # whoever turns the loop hears of what came on another host
        wait_until(lambda: team.told("verdict.given") == judged + 1)
        wait_until(lambda: former not in {answering(leader), answering(other)})
        wait_until(lambda: answering(other) == answering(leader))
        team.host(other).delay = 0.0

        before = answering(leader)
        team.host(leader).cut = True
        more(other.shell, 2000)
        assert leader.get("/api/status").status_code == 503  # in the end, and is not silent itself
        wait_until(lambda: team.holder() == str(other.process.pid))
        wait_until(lambda: answering(other) != before)
        assert answering(leader) == before  # cut off, it goes on
        team.host(leader).cut = False
        wait_until(lambda: answering(leader) == answering(other))
        wait_until(lambda: leader.get("/api/status").is_success)

        before = answering(other)
        for up in (leader, other):
            team.host(up).cut = True
        team.three("deployments", "rollback", "churned")
        assert answering(leader) == answering(other) == before
        for up in (leader, other):
            team.host(up).cut = False
        wait_until(lambda: before not in {answering(leader), answering(other)})
        assert team.told("verdict.given") == judged + 2  # nothing was decided twice

        leader, other = team.roles(leader, other)
        leader.kill()
        more(other.shell, 3000)
        wait_until(lambda: team.holder() == str(other.process.pid))
        wait_until(lambda: team.told("verdict.given") > judged + 2)
        assert answering(leader)  # its data plane goes on
        assert answering(other)

        team.server.stop()
        assert answering(leader)
        assert answering(other)
        team.start()
        wait_until(lambda: other.get("/api/status").is_success)
        assert answering(other)
    assert team.told("verdict.given") == judged + 3
    assert team.one("audit", "verify", "--json").json["holds"]


def test_two_that_both_believe_that_it_is_theirs_decide_once(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was frozen may wake up with a lease that it has lost."""
    one, two = team.one, team.two
    one("run")
    judged = team.told("verdict.given")
    more(one, 1000)
    for name, value in team.from_outside.items():
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
    assert team.told("verdict.given") == judged + 1
