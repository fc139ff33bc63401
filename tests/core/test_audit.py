"""The audit over a real database, tampered with behind its back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nenrin.backends.sql.database import Database
from nenrin.core.audit import Audit
from nenrin.core.errors import NotFoundError, RequestError


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
    assert all("cut off" in chain.unknown for chain in report.chains)
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
    assert dev.breaks
    assert not dev.holds
    assert prod.holds
    assert audit.verify("prod").holds


def test_a_tail_cut_off_is_found_with_a_head_kept_outside(audit: Audit, tmp_path: Path) -> None:
    (before,) = audit.verify("dev").chains
    tamper(tmp_path, "DELETE FROM events WHERE environment='dev' AND sequence > 4")
    (without,) = audit.verify("dev").chains
    assert without.holds
    assert without.unknown
    for head in (before.head, before.head.split(":")[1]):
        (chain,) = audit.verify("dev", head).chains
        assert (chain.holds, chain.outside, chain.breaks) == (False, "missing", ())


def test_a_chain_that_went_on_still_has_the_old_head(audit: Audit, units: Database) -> None:
    (before,) = audit.verify("dev").chains
    with units.write("dev", 9) as unit:
        unit.record("day.closed", "delay", {})
    (chain,) = audit.verify("dev", before.head).chains
    assert (chain.holds, chain.outside, chain.unknown) == (True, "holds", "")
    assert chain.events == 7


def test_a_ledger_that_was_emptied_is_found_with_a_head(audit: Audit, tmp_path: Path) -> None:
    head = audit.verify("dev").chains[0].head
    tamper(tmp_path, "DELETE FROM events")
    assert not audit.verify("dev", head).holds
    assert audit.verify().chains == ()


def test_says_what_cannot_be_audited(audit: Audit) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        audit.verify("nothing")
    with pytest.raises(RequestError, match="one environment"):
        audit.verify(head="1:ab")
