"""Tables of records: what they give back, in which order, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.records import Records
from nenrin.backends.sql.schema import verdicts
from nenrin.core.errors import DataError, NotFoundError
from nenrin.testing.stores import MemoryUnits


class Note(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    value: float = 0.0
    more: dict[str, Any] = {}
    pair: tuple[int, ...] = ()


@pytest.fixture
def notes() -> Records[Note]:
    return Records(verdicts, Note)


def test_gives_back_what_was_kept(units: Database, notes: Records[Note]) -> None:
    note = Note(text="é\n", value=0.1 + 0.2, more={"b": [1, None]}, pair=(2**62,))
    with units.write("dev", 1) as unit:
        notes.add(unit, "n-1", "a", note)
        assert notes.get(unit, "n-1") == note
    with units.read("dev") as unit:
        assert notes.must(unit, "n-1") == note
        assert notes.get(unit, "n-2") is None
        with pytest.raises(NotFoundError, match="no verdict n-2 in dev"):
            notes.must(unit, "n-2")


def test_keeps_environments_apart(units: Database, notes: Records[Note]) -> None:
    for environment in ("dev", "prod"):
        with units.write(environment, 1) as unit:
            notes.add(unit, "n-1", "a", Note(text=environment))
    with units.read("prod") as unit:
        assert notes.all(unit) == [Note(text="prod")]


def test_orders_by_writing(units: Database, notes: Records[Note]) -> None:
    for number in (3, 1, 2):
        with units.write("dev", number) as unit:
            notes.add(unit, f"n-{number}", "ab"[number % 2], Note(text=str(number)))
    with units.write("dev", 9) as unit:
        notes.add(unit, "n-3", "b", Note(text="ignored: it is there"))
        notes.put(unit, "n-1", "b", Note(text="1, changed"))
        assert [note.text for note in notes.all(unit)] == ["3", "1, changed", "2"]
        assert [note.text for note in notes.all(unit, "b")] == ["3", "1, changed"]
        assert notes.latest(unit, "b") == Note(text="1, changed")
        assert notes.latest(unit, "c") is None
        notes.renew(unit, "n-3", "b", Note(text="3, renewed"))
        assert [note.text for note in notes.all(unit)] == ["1, changed", "2", "3, renewed"]
        notes.put(unit, "n-4", "c", Note(text="4"))
        assert notes.latest(unit, "c") == Note(text="4")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_refuses_what_would_not_read_back(
    units: Database, notes: Records[Note], value: float
) -> None:
    with units.write("dev", 1) as unit:
        for keep in (notes.add, notes.put, notes.renew):
            with pytest.raises(DataError, match="value"):
                keep(unit, "n-1", "a", Note(text="", value=value))
        assert notes.all(unit) == []


def test_needs_a_unit_of_a_database(notes: Records[Note]) -> None:
    with MemoryUnits().write("dev", 1) as unit, pytest.raises(TypeError, match="MemoryUnit"):
        notes.all(unit)
