"""Loads against a plain-Python reference of the written rules."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import DataError
from nenrin.core.instants import HOUR, NEVER, from_us
from nenrin.data.declare import Dataset
from nenrin.data.spec import DatasetSpec
from nenrin.data.times import EVENT, KNOWN
from nenrin.data.versions import difference
from tests.data.fakes import Room

HOURS = st.integers(0, 60)
ROW = st.tuples(
    st.integers(0, 4),
    HOURS,
    st.sampled_from(["a", "b", None]),
    st.floats(0, 1) | st.just(float("nan")),
)
DECLARED = {
    "event": {"key": ("id",), "time": "t"},
    "delay": {"key": ("id",), "time": "t", "known": "5h"},
    "column": {"key": ("id",), "time": "t", "known": "k"},
    "keyless": {"time": "t"},
}


@dataclass
class Reference:
    """What a dataset holds after some loads, by the rules in ``nenrin.data.versions``."""

    kind: str
    stored: list[tuple[int, tuple]]

    def load(self, rows: list[tuple], at: int) -> None:
        first, bound = not self.stored, max((known for known, _ in self.stored), default=0)
        newest = {
            self.identity(row, self.stored, i): known_row for i, known_row, row in self.history()
        }
        seen: list[tuple] = []
        new: list[tuple[int, tuple]] = []
        for row in rows:
            if self.kind == "keyless":
                identity = (repr(row), sum(repr(other) == repr(row) for other in seen))
            else:
                identity = self.identity(row, [], 0)
                if any(self.identity(other, [], 0) == identity for other in seen):
                    continue
            seen.append(row)
            declared = self.declared(row)
            if identity not in newest:
                late = not first and (self.kind in ("event", "keyless") or declared <= bound)
                new.append((at if late else declared, row))
            else:
                known, before = newest[identity]
                if repr(before) != repr(row):
                    new.append((max(at, known + 1), row))
        self.stored = sorted([*self.stored, *sorted(new, key=lambda r: r[0])], key=lambda r: r[0])

    def history(self):
        return [(i, known_row, known_row[1]) for i, known_row in enumerate(self.stored)]

    def identity(self, row: tuple, stored: list, place: int):
        if self.kind == "keyless":
            return (repr(row), sum(repr(other) == repr(row) for _, other in stored[:place]))
        return (row[0], row[-1]) if self.kind == "column" else row[0]

    def declared(self, row: tuple) -> int:
        return {"delay": row[1] + 5, "column": row[-1]}.get(self.kind, row[1]) * HOUR


def frame(kind: str, rows: list[tuple]) -> pl.DataFrame:
    columns = {
        "id": pl.Series([row[0] for row in rows], dtype=pl.Int64),
        "t": [from_us(row[1] * HOUR) for row in rows],
        "text": pl.Series([row[2] for row in rows], dtype=pl.String),
        "value": pl.Series([row[3] for row in rows], dtype=pl.Float64),
    }
    if kind == "column":
        columns["k"] = [from_us(row[4] * HOUR) for row in rows]
    return pl.DataFrame(columns)


def once_each(kind: str, rows: list[tuple]) -> list[tuple]:
    """The rows of a load that the rules allow: no two of one identity."""
    if kind == "column":
        rows = [(*row, row[1] + row[0] + (row[2] == "a")) for row in rows]
        return list({(row[0], row[-1]): row for row in rows}.values())
    if kind == "keyless":
        return rows
    return list({row[0]: row for row in rows}.values())


LOADS = st.lists(st.lists(ROW, min_size=1, max_size=8), min_size=1, max_size=4)


@given(st.sampled_from(sorted(DECLARED)), LOADS, st.integers(0, 40))
def test_loads_follow_the_written_rules(kind, loads, start):
    dataset = Dataset(DatasetSpec(name="d", **DECLARED[kind]))
    reference = Reference(kind, [])
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder))
        for number, rows in enumerate(once_each(kind, rows) for rows in loads):
            at = (start + 30 * number) * HOUR
            version = room.service.load("dev", dataset, at, source=frame(kind, rows))
            reference.load(rows, at)
        stored = room.service.frame(version)
        expected = frame(kind, [row for _, row in reference.stored])
        assert stored[KNOWN].to_list() == [known for known, _ in reference.stored]
        assert stored[EVENT].to_list() == [row[1] * HOUR for _, row in reference.stored]
        assert stored.drop(EVENT, KNOWN).equals(expected)


@given(st.sampled_from(["event", "delay", "column"]), LOADS, st.integers(40, 120))
def test_a_load_changes_nothing_that_was_known_before(kind, loads, start):
    dataset = Dataset(DatasetSpec(name="d", **DECLARED[kind]))
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder))
        versions = [
            room.service.load(
                "dev", dataset, (start + 30 * i) * HOUR, source=frame(kind, once_each(kind, rows))
            )
            for i, rows in enumerate(loads)
        ]
        for before, after in pairwise(versions):
            until = min(before.bound, after.at - 1)
            for version in (before, after):
                assert room.service.digest_as_of(version, until) == room.service.digest_as_of(
                    before, until
                )


@given(st.lists(ROW, min_size=1, max_size=30), st.integers(0, 70))
def test_what_was_known_by_an_instant_is_what_a_cut_load_holds(rows, until):
    dataset = Dataset(DatasetSpec(name="d", time="t", known="5h"))
    whole = frame("keyless", rows)
    cut = frame("keyless", [row for row in rows if row[1] + 5 <= until])
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        room, cut_room = Room(Path(folder)), Room(Path(other))
        version = room.service.load("dev", dataset, 0, source=whole)
        digest = room.service.digest_as_of(version, until * HOUR)
        known = room.service.frame(version, known_by=until * HOUR)
        if cut.is_empty():
            assert known.is_empty()
            return
        cut_version = cut_room.service.load("dev", dataset, 0, source=cut)
        assert known.equals(cut_room.service.frame(cut_version))
        assert digest == cut_room.service.digest_as_of(cut_version, NEVER)
        assert digest == cut_room.service.digest_as_of(cut_version, until * HOUR)


SPEC = DatasetSpec(name="orders", key=("id",), where="project.py:9")


def loaded(**columns) -> pl.DataFrame:
    frame = pl.DataFrame(columns)
    return frame.with_columns(pl.lit(0, pl.Int64).alias(EVENT), pl.lit(0, pl.Int64).alias(KNOWN))


def test_a_null_key_is_refused():
    with pytest.raises(DataError, match="key column id is null in row 2"):
        difference(loaded(id=[1, None], v=[1, 2]), None, SPEC, 0)


def test_rows_that_share_a_key_and_differ_are_refused():
    with pytest.raises(DataError, match=r"2 rows that share a key and differ.*id=7") as raised:
        difference(loaded(id=[1, 7, 7], v=[1, 2, 3]), None, SPEC, 0)
    assert raised.value.where == "project.py:9"


def test_exact_doubles_are_taken_once():
    found = difference(loaded(id=[1, 7, 7], v=[1, 2, 2]), None, SPEC, 0)
    assert found.rows["id"].to_list() == [1, 7]
    assert found.added == 2


def test_any_column_name_but_ours_is_the_users():
    names = {"id": [1, 2], "new": [1, 1], "changed": [True, True], "count": [5, 6]}
    stored = difference(loaded(**names), None, SPEC, 0).rows
    found = difference(loaded(**names | {"count": [5, 7]}), stored, SPEC, 9)
    assert (found.changed, found.unchanged) == (1, 1)
    assert found.rows.row(0, named=True) == {
        "id": 2, "new": 1, "changed": True, "count": 7, "__event__": 0, "__known__": 9,
    }  # fmt: skip


def test_a_backfill_was_known_in_its_own_time() -> None:
    spec = DatasetSpec(name="d", key=("k",))

    def row(key: int, known: int) -> pl.DataFrame:
        return pl.DataFrame({"k": [key], EVENT: [known], KNOWN: [known]})

    stored = difference(row(1, 10 * HOUR), None, spec, 0).rows
    load, past = 99 * HOUR, 20 * HOUR
    now_on = difference(row(2, past), stored, spec, load)
    filled = difference(row(2, past), stored, spec, load, backfill=True)
    assert now_on.rows[KNOWN].to_list() == [load]
    assert filled.rows[KNOWN].to_list() == [past]
