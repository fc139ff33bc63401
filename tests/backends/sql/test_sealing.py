"""Sealing behind the writers: the order of commits, late ones, and sealers that die or hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from nenrin.backends.sql import sealing
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.loop import SqlBacktests
from nenrin.core.errors import DataError
from nenrin.core.ledger import Event, Kept, verify
from nenrin.testing.postgres import PostgresServer
from nenrin.testing.waiting import wait_until

WRITERS = 16

_SEALER = """
import itertools, sys, time
from nenrin.backends.sql import sealing
from nenrin.backends.sql.database import Database

def hang(*arguments):
    append(*arguments)
    print("in the middle of a batch", flush=True)
    time.sleep(60)

append, sealing.append = sealing.append, hang
sealing._HANGS = "-c idle_in_transaction_session_timeout=500"
with Database(sys.argv[1]) as units:
    for number in itertools.count():
        with units.write("dev", number) as unit:
            unit.record("day.closed", f"theirs {number}", {})
        units.head("dev")
"""

_LEADER = """
import sys, time
from nenrin.backends.sql import sealing
from nenrin.backends.sql.database import Database

def rest(sealer):
    print("leads", flush=True)
    time.sleep(60)

sealing.SealBehind._seal = rest
sealing._HANGS = "-c idle_session_timeout=500"
units = Database(sys.argv[1])
with units.write("dev", 1) as unit:
    unit.record("day.closed", "theirs", {})
time.sleep(60)
"""

_WRITER = """
import sys
from nenrin.backends.sql.database import Database
url, writer = sys.argv[1:]
with Database(url) as units:
    for number in range(25):
        with units.write("dev" if number % 5 else "prod", number) as unit:
            unit.record("day.closed", writer, {"number": number})
            unit.record("ring.closed", writer, {"number": number})
"""


class Consumer:
    """Reads by cursor, as long as others write."""

    def __init__(self, url: str) -> None:
        self.events: list[Event] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        with Database(self._url, read_only=True) as units:
            while True:
                last = self._stop.is_set()
                after = self.events[-1].sequence if self.events else 0
                self.events += units.events("dev", after)
                if last:
                    return
                self._stop.wait(0.005)

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(120)


def test_sixteen_writers_and_one_that_commits_late(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Database(url, durable=False) as units:
        consumer, is_open, may_end = Consumer(url), threading.Event(), threading.Event()

        def late() -> None:
            with units.write("dev", 0) as unit:
                unit.connection.exec_driver_sql("SELECT 1")
                unit.record("day.closed", "late", {})
                unit.hand_over()  # in the queue before all others, committed after them
                unit._recorded.clear()
                unit.record("day.closed", "late too", {})
                is_open.set()
                assert may_end.wait(120)

        def write(writer: int) -> None:
            for number in range(20):
                with units.write("dev", number) as unit:
                    unit.record("day.closed", f"writer {writer}", {"number": number})

        with consumer.reading():
            last = threading.Thread(target=late)
            last.start()
            assert is_open.wait(120)
            threads = [threading.Thread(target=write, args=(each,)) for each in range(WRITERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)  # while the late one is open: nobody waits for it
                assert not thread.is_alive()
            assert units.head("dev")[0] == WRITERS * 20  # nor does the seal
            may_end.set()
            last.join(120)
            assert units.head("dev")[0] == WRITERS * 20 + 2
        events = list(units.events("dev"))
    assert verify(events)[1] == []
    assert [event.subject for event in events[-2:]] == ["late", "late too"]
    assert consumer.events == events
    for writer in range(WRITERS):
        mine = [event.body["number"] for event in events if event.subject == f"writer {writer}"]
        assert mine == list(range(20))


def test_processes_write_at_once_and_each_unit_stays_together(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    Database(url).close()
    running = [
        subprocess.Popen([sys.executable, "-c", _WRITER, url, f"writer {each}"])
        for each in range(4)
    ]
    assert [process.wait(120) for process in running] == [0] * 4
    with Database(url, read_only=True) as units:  # each sealed what it wrote before it ended
        for environment, count in (("dev", 4 * 40), ("prod", 4 * 10)):
            events = list(units.events(environment))
            assert len(events) == count
            assert verify(events)[1] == []
            for one, two in zip(events[::2], events[1::2], strict=True):
                assert (one.kind, two.kind) == ("day.closed", "ring.closed")
                assert (one.subject, one.body) == (two.subject, two.body)


def test_what_was_read_comes_before_what_was_made_of_it(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Database(url, durable=False) as one, Database(url, durable=False) as other:
        for at in range(40):
            units = (one, other)[at % 2]
            with units.write("dev", at) as unit:
                unit.record("day.closed", "delay", {"at": at})
        one.close()
        assert [event.body["at"] for event in other.events("dev")] == list(range(40))


@contextmanager
def _that_says(line: str, code: str, url: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == f"{line}\n"
        try:
            yield process
        finally:
            process.kill()


def _in_the_middle_of_a_batch(url: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return _that_says("in the middle of a batch", _SEALER, url)


def _goes_on(units: Database) -> None:
    with units.write("dev", 99) as unit:
        unit.record("day.closed", "mine", {})
    events = list(units.events("dev"))
    assert verify(events)[1] == []
    subjects = [event.subject for event in events]
    assert subjects[-1] == "mine"
    assert subjects[:-1] == [f"theirs {number}" for number in range(len(subjects) - 1)]
    assert len(subjects) > 1


def test_a_sealer_that_is_killed_is_replaced(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Database(url) as units:
        assert units.head("dev")[0] == 0
        with _in_the_middle_of_a_batch(url) as process:
            process.kill()
        _goes_on(units)


def test_a_sealer_that_hangs_is_replaced(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    with Database(url) as units, _in_the_middle_of_a_batch(url) as process:
        os.kill(process.pid, signal.SIGSTOP)
        _goes_on(units)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_leads_and_ends_or_hangs_is_replaced(
    postgres: PostgresServer, end: signal.Signals
) -> None:
    url = postgres.fresh()
    Database(url).close()
    with (
        _that_says("leads", _LEADER, url) as process,
        Database(url) as units,
        Database(url, read_only=True) as consumer,
    ):
        process.send_signal(end)
        with units.write("dev", 1) as unit:
            unit.record("day.closed", "delay", {})
        wait_until(lambda: consumer.head("dev")[0] >= 2)  # behind its back: it reads nothing


def test_state_whose_event_waits_in_the_queue_is_told_of(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.fresh()
    backtests = SqlBacktests()
    with Database(url, durable=False) as units, Database(url, read_only=True) as audit:
        monkeypatch.setattr(sealing.SealBehind, "committed", lambda self: None)
        for number, subject in enumerate(["b-1", "another"]):
            with units.write("dev", 1) as unit:
                backtests.add(unit, f"b-{number + 1}", 1, {})
                unit.record("backtest.reported", subject, {})
        assert audit.kept()["dev"] == Kept(rows=True, untold=("b-2",))


def test_what_a_process_left_behind_is_sealed_by_another(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.fresh()
    with Database(url) as units, Database(url, read_only=True) as consumer:
        assert units.head("dev")[0] == 0  # its sealer works, and has nothing to do
        with monkeypatch.context() as patched:
            patched.setattr(sealing.SealBehind, "committed", lambda self: None)
            with Database(url) as killed, killed.write("dev", 1) as unit:
                unit.record("day.closed", "delay", {})
        wait_until(lambda: consumer.head("dev")[0] >= 1)


@pytest.mark.parametrize(("at", "subject"), [(2**63, "delay"), (1, "de\0lay")])
def test_an_event_that_could_not_leave_the_queue_is_refused(
    on_server: Database, at: int, subject: str
) -> None:
    with pytest.raises(DataError, match="cannot be kept"), on_server.write("dev", at) as unit:
        unit.record("day.closed", subject, {})
    with on_server.write("dev", 1) as unit:
        unit.record("day.closed", "delay", {"text": "\0"})
    assert [event.body for event in on_server.events("dev")] == [{"text": "\0"}]
