"""PostgreSQL behind a network that goes silent: nobody hangs, and nothing stays locked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import make_url

from nenrin.backends.sql import postgres
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.leases import SqlLeases
from nenrin.backends.sql.unit import connection_of
from nenrin.core.errors import UnavailableError
from nenrin.testing.hosts import SERVERS, Host, hosts
from nenrin.testing.postgres import postgres_server
from nenrin.testing.waiting import wait_until

SHORT = 2.0  # libpq takes no less for a connection


class Site:
    """A host and its database, opened there."""

    def __init__(self, host: Host, url: str) -> None:
        self.host = host
        with host.inside():
            self.units = Database(url, durable=False)

    def record(self) -> None:
        """Write an event, with the environment to itself."""
        with self.host.inside(), self.units.write("dev", 1) as unit:
            connection_of(unit)
            unit.record("noted", self.host.address, {})

    def recorded(self) -> list[str]:
        """Who has written."""
        with self.host.inside():
            return [event.subject for event in self.units.find("dev", kind="noted")]

    def close(self) -> None:
        with self.host.inside():
            self.units.close()


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, Site]]:
    monkeypatch.setattr(postgres, "SILENCE", SHORT)
    with hosts("one", "two") as network, ExitStack() as ends:
        with network[SERVERS].inside():
            server = ends.enter_context(postgres_server(host=network[SERVERS].address))
        url, sites = server.fresh(), []
        for name in ("one", "two"):
            host, port = network[name].reach(server.address)
            there = make_url(url).update_query_dict({"host": host, "port": str(port)})
            sites.append(Site(network[name], there.render_as_string()))
            ends.callback(sites[-1].close)
        yield sites[0], sites[1]


def test_who_is_cut_off_hears_of_it_and_goes_on_when_it_is_healed(two: tuple[Site, Site]) -> None:
    one, _ = two
    one.record()
    one.host.cut = True
    with pytest.raises(UnavailableError):
        one.record()
    one.host.cut = False
    wait_until(lambda: one.recorded() == [one.host.address])
    one.record()


def test_an_answer_that_never_comes_is_not_waited_for(two: tuple[Site, Site]) -> None:
    one, _ = two

    def cut() -> None:
        one.host.cut = True

    def ask() -> None:
        with one.host.inside(), one.units.read("dev") as unit:
            threading.Timer(0.5, cut).start()
            unit.connection.exec_driver_sql("SELECT pg_sleep(60)")

    with pytest.raises(UnavailableError):
        ask()
    one.host.cut = False


def test_what_a_host_had_locked_when_it_was_cut_off_is_free_soon(two: tuple[Site, Site]) -> None:
    one, other = two
    done = threading.Thread(target=other.record)

    def cut_off_at_it() -> None:
        with one.host.inside(), one.units.write("dev", 1) as unit:
            connection_of(unit)
            unit.record("noted", one.host.address, {})
            one.host.cut = True
            done.start()
            wait_until(lambda: not done.is_alive())

    with pytest.raises(UnavailableError):
        cut_off_at_it()
    one.host.cut = False
    assert other.recorded() == [other.host.address]
    wait_until(lambda: one.recorded() == [other.host.address])


def test_who_is_cut_off_can_end(two: tuple[Site, Site]) -> None:
    one, _ = two
    one.record()
    one.host.cut = True
    closing = threading.Thread(target=one.close)
    closing.start()
    wait_until(lambda: not closing.is_alive())
    one.host.cut = False


def test_who_is_cut_off_gives_up_its_lease_before_another_has_it(two: tuple[Site, Site]) -> None:
    one, other = two
    here = SqlLeases(one.units, "one", 1.5 * SHORT)
    there = SqlLeases(other.units, "other", 1.5 * SHORT)

    def taken() -> bool:
        with other.host.inside(), there.hold("loop/dev") as theirs:
            return theirs()

    with one.host.inside(), here.hold("loop/dev") as ours:
        assert ours()
        assert not taken()
        one.host.cut = True
        wait_until(taken)
        assert not ours()
    one.host.cut = False
