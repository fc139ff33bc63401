from __future__ import annotations

from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.instants import DAY, HOUR, NEVER, from_us
from nenrin.data.content import RowContent, digest_rows
from nenrin.data.declare import Dataset
from nenrin.data.files import FileRef, Manifest, stretches
from nenrin.data.spec import DatasetSpec
from nenrin.data.times import KNOWN
from tests.data.fakes import Room

EVENTS = Dataset(DatasetSpec(name="events", key=("id",), time="t"))


def frame(hours: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"id": range(len(hours)), "t": [from_us(h * HOUR) for h in hours]})


def test_files_are_by_known_day_and_each_is_kept_once(room: Room):
    version = room.service.load("dev", EVENTS, 0, source=frame([1, 25, 26, 2, 73]))
    manifest = room.service.manifest(version)
    assert [ref.day for ref in manifest.files] == ["1970-01-01", "1970-01-02", "1970-01-04"]
    assert [ref.rows for ref in manifest.files] == [2, 2, 1]
    assert (manifest.rows, manifest.bound) == (5, 73 * HOUR)
    assert all(ref.known_min // DAY == ref.known_max // DAY for ref in manifest.files)
    assert room.service.frame(version)["id"].to_list() == [0, 3, 1, 2, 4]
    before = set(room.store.digests())
    later = room.service.load("dev", EVENTS, 74 * HOUR, source=frame([1, 25, 26, 2, 73, 80]))
    after = room.service.manifest(later)
    assert set(manifest.files) < set(after.files)
    assert len(set(room.store.digests()) - before) == 2  # one file with the new row, one manifest


def test_only_files_that_an_instant_reaches_are_read(room: Room):
    version = room.service.load("dev", EVENTS, 0, source=frame([1, 25, 49, 50]))
    room.store.read.clear()
    rows = room.service.frame(version, known_by=26 * HOUR)
    digests = [ref.digest for ref in room.service.manifest(version).files]
    assert rows["id"].to_list() == [0, 1]
    assert set(digests[:2]) <= set(room.store.read)
    assert digests[2] not in room.store.read


def test_a_digest_reads_only_the_file_that_the_instant_cuts(room: Room):
    version = room.service.load("dev", EVENTS, 0, source=frame([1, 25, 49, 51]))
    room.store.read.clear()
    room.service.digest_as_of(version, 50 * HOUR)
    cut = room.service.manifest(version).files[2].digest
    assert room.store.read in ([cut], [version.manifest, cut])
    room.store.read.clear()
    room.service.digest_as_of(version, 26 * HOUR)
    assert room.store.read == []


def test_nothing_known_yet_is_an_empty_frame_with_the_schema(room: Room):
    version = room.service.load("dev", EVENTS, 0, source=frame([5]))
    rows = room.service.frame(version, known_by=0)
    assert rows.is_empty()
    assert rows.schema == room.service.frame(version).schema


def test_columns_wanted_come_with_their_instants(room: Room):
    version = room.service.load("dev", EVENTS, 0, source=frame([5]))
    assert room.service.frame(version, columns=["id"]).columns == ["id", "__event__", "__known__"]


TYPES = pl.DataFrame(
    {
        "int": [1, None, 3],
        "big": [2**62 + 1, -(2**62), None],
        "float": [0.1, float("nan"), None],
        "flag": [True, None, False],
        "text": ["ä", "", None],
        "day": [date(2020, 1, 1), None, date(2020, 1, 3)],
        "list": [[1], [], None],
        "record": [{"a": 1}, None, {"a": 3}],
        "bytes": [b"a", b"", None],
        "wide": pl.Series([2**100, None, 1], dtype=pl.Int128),
    }
).with_columns(
    pl.col("int").cast(pl.Decimal(10, 2)).alias("decimal"),
    pl.lit(datetime(2020, 1, 1, 12).time()).alias("clock"),
)


def test_every_type_comes_back_as_it_was(room: Room):
    dataset = Dataset(DatasetSpec(name="types"))
    version = room.service.load("dev", dataset, 7, source=TYPES)
    assert room.service.frame(version).drop("__event__", KNOWN).equals(TYPES)
    again = room.service.load("dev", dataset, 8, source=TYPES)
    assert (again.id, again.unchanged) == (version.id, 3)


@given(st.data())
def test_the_digest_of_a_range_is_the_digest_of_its_rows(data):
    start = data.draw(st.integers(0, 3))
    stop = data.draw(st.integers(start, 3))
    assert RowContent(TYPES).digest(start, stop) == digest_rows(TYPES[start:stop])


@pytest.mark.parametrize("column", TYPES.columns)
def test_every_value_counts_in_the_digest(column):
    digest = digest_rows(TYPES)
    assert digest_rows(TYPES.rename({column: "renamed"})) != digest
    for row in range(TYPES.height):
        mask = pl.int_range(pl.len()) == row
        other = TYPES.with_columns(pl.when(~mask).then(pl.col(column)).alias(column))
        if TYPES[column][row] is not None:
            assert digest_rows(other) != digest


def test_texts_cannot_move_between_rows():
    frames = [
        pl.DataFrame({"a": texts})
        for texts in (["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None])
    ]
    assert len({digest_rows(frame) for frame in frames}) == 4


def test_a_column_without_values_does_not_count():
    frame = pl.DataFrame({"a": [1], "b": pl.Series([None], dtype=pl.String)})
    assert digest_rows(frame) == digest_rows(frame.drop("b"))


def test_reading_beyond_every_instant_is_reading_all(room: Room):
    version = room.service.load("dev", EVENTS, 0, source=frame([1, 2]))
    assert room.service.frame(version, known_by=NEVER).equals(room.service.frame(version))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 12))
def test_stretches_are_all_rows_in_the_order_of_the_files(heights: list[int], most: int):
    files = tuple(
        FileRef(day="", digest=f"{i}", content="", rows=rows, known_min=0, known_max=0)
        for i, rows in enumerate(heights)
    )
    manifest = Manifest(dataset="", schema={}, header="", files=files, bound=0, rows=sum(heights))
    found = stretches(manifest, most)
    assert all(0 < each.rows <= most for each in found)
    rows = [(ref.digest, row) for ref in files for row in range(ref.rows)]
    told = []
    for each in found:
        assert each.place == len(told)
        within = [row for row in rows if row[0] in each.files]
        told += within[each.start : each.start + each.rows]
    assert told == rows
