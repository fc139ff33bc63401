"""The audit over a real database, tampered with behind its back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nenrin.backends.sql.database import Database
from nenrin.core.audit import Audit
from nenrin.core.errors import IntegrityError, NotFoundError, RequestError
from nenrin.core.ledger import Event, Kept, seal


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False) as database:
        for at in range(1, 7):
            for environment in ("dev", "prod"):
                with database.write(environment, at) as unit:
                    unit.record("day.closed", f"delay-{at % 2}", {"loss": 0.1 * at})
        yield database


@pytest.fixture
def audit(units: Database) -> Audit:
    return Audit(units)


def tamper(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "state.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_an_untouched_ledger_holds(audit: Audit, units: Database) -> None:
    report = audit.verify()
    assert report.holds
    assert [(chain.environment, chain.events) for chain in report.chains] == [
        ("dev", 6),
        ("prod", 6),
    ]
    assert all("kept outside" in chain.unknown for chain in report.chains)
    sequence, hash_ = units.head("dev")
    assert report.chains[0].head == f"{sequence}:{hash_}"


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE events SET body = '{\"loss\":0.1}' WHERE environment='dev' AND sequence=2"],
        ["UPDATE events SET at = 1 WHERE environment='dev' AND sequence=6"],
        ["UPDATE events SET kind = 'day.opened' WHERE environment='dev' AND sequence=1"],
        ["UPDATE events SET subject = 'x' WHERE environment='dev' AND sequence=3"],
        ["UPDATE events SET hash = 'ab' WHERE environment='dev' AND sequence=6"],
        ["UPDATE events SET body = body || ' ' WHERE environment='dev' AND sequence=6"],
        ["UPDATE events SET body = CAST(body AS BLOB) WHERE environment='dev' AND sequence=6"],
        [
            "UPDATE events SET body = replace(body, '{\"', '{\"loss\":99,\"')"
            " WHERE environment='dev' AND sequence=2"
        ],
        ["DELETE FROM events WHERE environment='dev' AND sequence = 6"],
        ["DELETE FROM events WHERE environment='dev' AND sequence > 1"],
        ["DELETE FROM events WHERE environment='dev'"],
        ["DELETE FROM heads WHERE environment='dev'"],
        ["UPDATE heads SET sequence = 5 WHERE environment='dev'"],
        ["UPDATE heads SET hash = 'ab' WHERE environment='dev'"],
        ["UPDATE events SET body = 'torn' WHERE environment='dev' AND sequence=4"],
        ["UPDATE events SET body = x'ff' WHERE environment='dev' AND sequence=4"],
        ["UPDATE events SET sequence = 'x' WHERE environment='dev' AND sequence=4"],
        ["UPDATE events SET sequence = 3.5 WHERE environment='dev' AND sequence=4"],
        ["UPDATE events SET hash = x'ff' WHERE environment='dev' AND sequence=4"],
        ["UPDATE events SET at = 'x' WHERE environment='dev' AND sequence=6"],
        ["UPDATE events SET body = '[]' WHERE environment='dev' AND sequence=6"],
        ["DELETE FROM events WHERE environment='dev' AND sequence=1"],
        ["DELETE FROM events WHERE environment='dev' AND sequence IN (3, 4)"],
        [
            "DELETE FROM events WHERE environment='dev' AND sequence=3",
            "UPDATE events SET sequence = sequence - 1 WHERE environment='dev' AND sequence > 3",
        ],
        [
            "UPDATE events SET sequence = -2 WHERE environment='dev' AND sequence=2",
            "UPDATE events SET sequence = 2 WHERE environment='dev' AND sequence=5",
            "UPDATE events SET sequence = 5 WHERE environment='dev' AND sequence=-2",
        ],
        ["INSERT INTO events VALUES ('dev', 7, 9, 'day.closed', 'delay', '{}', 'ab')"],
        [
            "INSERT INTO events SELECT 'dev', 0, at, kind, subject, body, hash FROM events WHERE"
            " environment='prod' AND sequence=1"
        ],
        [
            "DELETE FROM events WHERE environment='dev' AND sequence=6",
            "INSERT INTO events SELECT 'dev', 6, at, kind, subject, body, hash FROM events WHERE"
            " environment='prod' AND sequence=5",
        ],
    ],
)
def test_finds_what_was_done_to_it(audit: Audit, tmp_path: Path, statements: list[str]) -> None:
    tamper(tmp_path, *statements)
    report = audit.verify()
    assert not report.holds
    dev, prod = report.chains
    assert (dev.environment, prod.environment) == ("dev", "prod")
    assert dev.breaks
    assert not dev.holds
    assert prod.holds
    assert audit.verify("prod").holds


def test_a_tail_cut_off_stays_found_when_the_chain_goes_on(
    audit: Audit, units: Database, tmp_path: Path
) -> None:
    tamper(tmp_path, "DELETE FROM events WHERE environment='dev' AND sequence > 4")
    (chain,) = audit.verify("dev").chains
    assert [each.sequence for each in chain.breaks] == [6]
    assert "cut off" in chain.breaks[0].problem
    with units.write("dev", 9) as unit:
        unit.record("day.closed", "delay", {})
    (chain,) = audit.verify("dev").chains
    assert "found event 7 where 5 belongs" in chain.breaks[0].problem


def test_an_environment_that_was_renamed_is_found(audit: Audit, tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE events SET environment='dex' WHERE environment='dev'")
    held = {chain.environment: chain.holds for chain in audit.verify().chains}
    assert held == {"dev": False, "dex": False, "prod": True}


def test_state_without_events_is_found(audit: Audit, tmp_path: Path) -> None:
    tamper(
        tmp_path,
        "INSERT INTO deployments (environment, id, name, at, body) VALUES ('dev', 'd', 'd', 1, '{}')",
        "DELETE FROM events WHERE environment='dev'",
        "DELETE FROM heads WHERE environment='dev'",
    )
    dev, prod = audit.verify().chains
    assert (dev.environment, dev.events, dev.holds, prod.holds) == ("dev", 0, False, True)
    assert "has state" in dev.breaks[0].problem


def test_state_that_no_event_tells_of_is_found(
    audit: Audit, units: Database, tmp_path: Path
) -> None:
    with units.write("dev", 9) as unit:
        unit.record("version.registered", "version-1", {})
    row = "('dev', 'version-{0}', 'delay', 1, '{{}}')"
    values = ", ".join(row.format(number) for number in range(1, 7))
    tamper(tmp_path, f"INSERT INTO versions (environment, id, name, at, body) VALUES {values}")
    (chain,) = audit.verify("dev").chains
    (found,) = chain.breaks
    assert "version-2, version-3, version-4 and 2 more" in found.problem
    tamper(
        tmp_path,
        "DELETE FROM versions WHERE id <> 'version-1'",
    )
    assert audit.verify("dev").holds
    tamper(
        tmp_path,
        "DELETE FROM events WHERE environment='dev' AND sequence=7",
        "UPDATE heads SET sequence=6, hash=(SELECT hash FROM events WHERE environment='dev'"
        " AND sequence=6) WHERE environment='dev'",
    )
    (chain,) = audit.verify("dev").chains
    assert "version-1" in chain.breaks[0].problem


def test_a_head_noted_as_something_else_is_said(audit: Audit, tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE heads SET sequence = 'x' WHERE environment='dev'")
    with pytest.raises(IntegrityError, match="newest event of dev"):
        audit.verify()


def test_events_sealed_while_the_chain_is_read_do_not_break_it(
    audit: Audit, units: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, kept = units.events, units.kept

    def more() -> None:
        with units.write("dev", 9) as unit:
            unit.record("day.closed", "delay", {})

    def reading(environment: str, after: int = 0) -> Iterator[Event]:
        more()
        yield from read(environment, after)
        more()

    def noted() -> dict[str, Kept]:
        found = kept()
        more()
        return found

    monkeypatch.setattr(units, "events", reading)
    monkeypatch.setattr(units, "kept", noted)
    assert audit.verify("dev").holds


def test_a_tail_cut_off_of_both_is_found_with_a_head_kept_outside(
    audit: Audit, units: Database, tmp_path: Path
) -> None:
    (before,) = audit.verify("dev").chains
    sequence, hash_ = 4, list(units.events("dev"))[3].hash
    tamper(
        tmp_path,
        "DELETE FROM events WHERE environment='dev' AND sequence > 4",
        f"UPDATE heads SET sequence = {sequence}, hash = '{hash_}' WHERE environment='dev'",
    )
    (without,) = audit.verify("dev").chains
    assert without.holds
    assert without.unknown
    for head in (before.head, before.head.split(":")[1]):
        (chain,) = audit.verify("dev", head).chains
        assert (chain.holds, chain.outside) == (False, "missing")
    (chain,) = audit.verify("dev", before.head).chains
    assert [each.sequence for each in chain.breaks] == [5]
    assert "event 6 was there" in chain.breaks[0].problem


def test_a_chain_that_went_on_still_has_the_old_head(audit: Audit, units: Database) -> None:
    (before,) = audit.verify("dev").chains
    with units.write("dev", 9) as unit:
        unit.record("day.closed", "delay", {})
    (chain,) = audit.verify("dev", before.head).chains
    assert (chain.holds, chain.outside, chain.events) == (True, "holds", 7)
    assert chain.unknown.startswith("whether events after the head")
    assert audit.verify("dev", chain.head).chains[0].unknown == ""


def test_a_tail_rewritten_with_the_state_is_found_with_the_head(
    audit: Audit, units: Database, tmp_path: Path
) -> None:
    """Every hash and note is made anew, as only somebody who knows the code can."""
    (before,) = audit.verify("dev").chains
    kept = list(units.events("dev"))
    event = seal(
        kept[4].hash,
        environment="dev",
        sequence=6,
        at=6,
        kind="day.closed",
        subject="delay-0",
        body={"loss": 0.0},
    )
    tamper(
        tmp_path,
        f"UPDATE events SET body = '{{\"loss\":0.0}}', hash = '{event.hash}'"
        " WHERE environment='dev' AND sequence = 6",
        f"UPDATE heads SET hash = '{event.hash}' WHERE environment='dev'",
    )
    assert audit.verify("dev").holds
    (chain,) = audit.compare({"dev": before.head}, "dev").chains
    assert not chain.holds
    assert "was rewritten" in chain.breaks[0].problem


def test_heads_of_environments_that_are_gone_are_missed(audit: Audit, units: Database) -> None:
    report = audit.compare({"dev": "6:" + units.head("dev")[1], "staging": "3:" + "a" * 64})
    held = {chain.environment: (chain.holds, chain.outside) for chain in report.chains}
    assert held == {
        "dev": (True, "holds"),
        "prod": (True, "not given"),
        "staging": (False, "missing"),
    }
    with pytest.raises(RequestError, match="says nothing of prod"):
        audit.compare({"dev": "6:" + "a" * 64}, "prod")


def test_a_ledger_that_was_emptied_is_found_with_a_head(audit: Audit, tmp_path: Path) -> None:
    head = audit.verify("dev").chains[0].head
    tamper(tmp_path, "DELETE FROM events")
    assert not audit.verify("dev", head).holds
    assert [chain.holds for chain in audit.verify().chains] == [False, False]
    tamper(tmp_path, "DELETE FROM heads")
    assert not audit.verify("dev", head).holds
    assert audit.verify().chains == ()


def test_says_what_cannot_be_audited(audit: Audit) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        audit.verify("nothing")
    with pytest.raises(RequestError, match="one environment"):
        audit.verify(head="1:ab")
