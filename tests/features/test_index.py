"""Point-in-time rows and windows against a plain-Python reference, many rows at once and one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nenrin.core.errors import DataError, IntegrityError
from nenrin.core.instants import DAY, HOUR, MINUTE, NEVER, to_us
from nenrin.features.index import ViewIndex
from tests.features import reference
from tests.features.makers import ask, index_of, instants, same
from tests.features.streams import SCHEMA

BIG = 2**53
START = to_us(datetime(2013, 11, 3, 4, tzinfo=UTC))
"""An hour before the clocks of New York go back."""

moments = st.integers(0, 24).map(lambda quarter: START + quarter * 15 * MINUTE)
delays = st.sampled_from([0, 0, 0, 15 * MINUTE, HOUR, 3 * HOUR, -HOUR, None])


@st.composite
def stored_rows(draw: st.DrawFn) -> dict[str, Any]:
    event = draw(st.none() | moments)
    delay = draw(delays)
    return {
        "id": draw(st.integers(0, 3)),
        "place": draw(st.sampled_from(["a", "b", "", None])),
        "number": draw(st.sampled_from([BIG, BIG + 1, -BIG - 1, 0, None])),
        # multiples of 2**-10, so that the reference's float sums are exact too
        "value": draw(st.none() | st.integers(-(2**20), 2**20).map(lambda n: n / 1024)),
        "whole": draw(st.none() | st.integers(-(2**57), 2**57)),
        "good": draw(st.sampled_from([True, False, None])),
        "word": draw(st.sampled_from(["x", "y", None])),
        "__event__": event,
        "__known__": None if delay is None else (START if event is None else event) + delay,
    }


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA).sort("__known__", maintain_order=True)


stored = st.lists(stored_rows(), max_size=14).map(frame_of)
questions = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "", "unknown", None]),
        st.sampled_from([BIG, BIG + 1, -BIG - 1, 0, 5, None]),
        st.none() | moments | st.sampled_from([START - 1, NEVER]),
    ),
    max_size=12,
)


def keys_of(asked: list[tuple[Any, Any, Any]]) -> tuple[pl.DataFrame, list[int | None]]:
    keys = pl.DataFrame(
        [row[:2] for row in asked], schema={"place": pl.String, "number": pl.Int64}, orient="row"
    )
    return keys, [row[2] for row in asked]


def newest_values(r: Any) -> dict[str, Any]:
    return {
        "value": r.value,
        "whole": r.whole,
        "word": r.word,
        "missing": r.value.is_null(),
        "when": r.number,
    }


@pytest.mark.parametrize("by", [("place",), ("number",), ("place", "number")], ids="-".join)
@given(
    frame=stored,
    asked=questions,
    ttl=st.sampled_from([None, "15m", "1h", "2h 15m"]),
)
@settings(max_examples=40, deadline=None)
def test_the_newest_row_known_then(
    by: tuple[str, ...], frame: pl.DataFrame, asked: list[Any], ttl: str | None
) -> None:
    rows = frame.rows(named=True)
    index = index_of(frame, newest_values, by=by, ttl=ttl)
    keys, at = keys_of(asked)
    found = ask(ViewIndex.loads(index.dumps()), keys, at)
    assert len(found) == len(asked)
    limit = index.traced.ttl
    for answer, key, moment in zip(found, keys.select(by).rows(), at, strict=True):
        row = reference.newest(rows, by, key, moment, limit)
        expected = {
            "value": row and row["value"],
            "whole": row and row["whole"],
            "word": row and row["word"],
            "missing": None if row is None else row["value"] is None,
            "when": row and row["number"],
        }
        assert answer == expected, (key, moment, row)


def window_values(r: Any) -> dict[str, Any]:
    return {
        "n": r.count("1h"),
        "seen": r.value.count("1h"),
        "sum": r.value.sum("1h"),
        "mean": r.value.mean("1h"),
        "high": (r.value > 0).mean("2h 15m"),
        "good": r.good.sum("2h 15m"),
        "whole": r.whole.sum("2h 15m"),
        "share": r.good.sum("2h 15m") / r.count("2h 15m"),
        "twice": r.count("1h") * 2,
    }


def expected_windows(
    rows: list[dict[str, Any]], identity: Any, by: Any, key: Any, at: int, hop: int
) -> dict[str, Any]:
    def events(span: int) -> list[dict[str, Any]]:
        return reference.in_window(rows, identity, by, key, at, span, hop)

    one, two = events(HOUR), events(2 * HOUR + 15 * MINUTE)
    good = reference.total(two, lambda row: row["good"])
    return {
        "n": len(one),
        "seen": reference.count(one, lambda row: row["value"]),
        "sum": float(reference.total(one, lambda row: row["value"])),
        "mean": reference.mean(one, lambda row: row["value"]),
        "high": reference.mean(two, lambda row: None if row["value"] is None else row["value"] > 0),
        "good": good,
        "whole": reference.total(two, lambda row: row["whole"]),
        "share": good / len(two) if two else float("nan"),
        "twice": 2 * len(one),
    }


@pytest.mark.parametrize("identity", [(), ("id",), ("id", "word")], ids=["no key", "id", "id-word"])
@given(
    frame=stored,
    asked=questions,
    by=st.sampled_from([("place",), ("number", "place")]),
    hop=st.sampled_from([None, "10m", "1h", "7m"]),
)
@settings(max_examples=40, deadline=None)
def test_windows_are_exact(
    identity: tuple[str, ...], frame: pl.DataFrame, asked: list[Any], by: Any, hop: str | None
) -> None:
    rows = frame.rows(named=True)
    index = index_of(frame, window_values, key=identity, by=by, hop=hop)
    keys, at = keys_of(asked)
    found = ask(ViewIndex.loads(index.dumps()), keys, at)
    for answer, key, moment in zip(found, keys.select(by).rows(), at, strict=True):
        if moment is None or None in key:
            assert answer == dict.fromkeys(answer)
            continue
        expected = expected_windows(rows, identity, by, key, moment, index.traced.hop)
        for name, value in expected.items():
            assert same(answer[name], value), (name, key, moment, answer[name], value)


@given(frame=stored, asked=questions, cut=moments)
@settings(max_examples=40, deadline=None)
def test_what_becomes_known_later_changes_nothing_before(
    frame: pl.DataFrame, asked: list[Any], cut: int
) -> None:
    def features(r: Any) -> dict[str, Any]:
        return {"value": r.value, "n": r.count("1h"), "mean": r.value.mean("3h")}

    keys, at = keys_of([row for row in asked if row[2] is not None and row[2] <= cut])
    before = frame.filter(pl.col("__known__").is_null() | (pl.col("__known__") <= cut))
    whole = index_of(frame, features, key=["id"], by="place", hop="10m", ttl="2h")
    part = index_of(before, features, key=["id"], by="place", hop="10m", ttl="2h")
    assert part.at(keys, instants(at)).equals(whole.at(keys, instants(at)))


def simple(rows: list[tuple[Any, Any, Any, Any]], value: Any = pl.Float64) -> pl.DataFrame:
    schema = {"place": pl.String, "value": value, "__event__": pl.Int64, "__known__": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def places(*names: str | None) -> pl.DataFrame:
    return pl.DataFrame({"place": names}, schema={"place": pl.String})


def test_ttl_is_the_age_at_read_edge_included() -> None:
    index = index_of(simple([("a", 1.0, 0, 0)]), lambda r: {"v": r.value}, by="place", ttl="1h")
    found = ask(index, places("a", "a", "a"), [HOUR - 1, HOUR, HOUR + 1])
    assert [row["v"] for row in found] == [1.0, 1.0, None]


def test_an_expired_newest_row_does_not_uncover_another() -> None:
    frame = simple([("a", 1.0, 0, 0), ("a", 2.0, 10, 3 * HOUR)])
    index = index_of(frame, lambda r: {"v": r.value}, by="place", ttl="1h")
    assert ask(index, places("a"), [3 * HOUR]) == [{"v": None}]


def test_a_null_in_the_chosen_row_stays_null() -> None:
    frame = simple([("a", 1.0, 0, 0), ("a", None, 10, 10)])
    index = index_of(frame, lambda r: {"v": r.value, "f": r.value.fill_null(7.0)}, by="place")
    assert ask(index, places("a", "b"), [20, 20]) == [{"v": None, "f": 7.0}, {"v": None, "f": None}]


def test_a_late_row_with_an_older_event_changes_nothing() -> None:
    frame = simple([("a", 2.0, 100, 100), ("a", 1.0, 50, 200)])
    index = index_of(frame, lambda r: {"v": r.value}, by="place")
    assert ask(index, places("a", "a"), [150, 250]) == [{"v": 2.0}, {"v": 2.0}]


def test_values_past_two_to_the_53_come_back_exactly() -> None:
    frame = simple([("a", BIG + 1, 0, 0), ("a", -BIG - 1, 0, 5)], pl.Int64)
    index = index_of(frame, lambda r: {"v": r.value, "s": r.value.sum("1h")}, by="place")
    assert ask(index, places("a"), [1]) == [{"v": BIG + 1, "s": BIG + 1}]
    assert ask(index, places("a"), [5]) == [{"v": -BIG - 1, "s": 0}]


@pytest.mark.parametrize(
    ("stored_as", "asked_as"),
    [(pl.Int64, pl.Int32), (pl.UInt8, pl.Int64), (pl.UInt64, pl.Int16), (pl.Int128, pl.Int8)],
)
def test_integer_keys_of_any_width_meet(stored_as: Any, asked_as: Any) -> None:
    frame = pl.DataFrame({"k": pl.Series([1, 2], dtype=stored_as), "v": [1.0, 2.0]}).with_columns(
        __event__=pl.lit(0, pl.Int64), __known__=pl.lit(0, pl.Int64)
    )
    index = index_of(frame, lambda r: {"v": r.v}, by="k")
    keys = pl.DataFrame({"k": pl.Series([2, 1, 3], dtype=asked_as)})
    assert [row["v"] for row in ask(index, keys, [0, 0, 0])] == [2.0, 1.0, None]


def test_keys_that_do_not_fit_are_refused() -> None:
    frame = pl.DataFrame({"k": pl.Series([2**63], dtype=pl.UInt64), "v": [1.0]}).with_columns(
        __event__=pl.lit(0, pl.Int64), __known__=pl.lit(0, pl.Int64)
    )
    with pytest.raises(DataError, match="does not fit") as caught:
        index_of(frame, lambda r: {"v": r.v}, by="k")
    assert "64 signed bits" in caught.value.hint


def test_times_of_any_unit_and_zone_are_keys() -> None:
    moment = datetime(2013, 11, 3, 6, 30, tzinfo=UTC)
    frame = pl.DataFrame(
        {"t": pl.Series([moment], dtype=pl.Datetime("us", "UTC")), "v": [1.0]}
    ).with_columns(__event__=pl.lit(0, pl.Int64), __known__=pl.lit(0, pl.Int64))
    index = index_of(frame, lambda r: {"v": r.v}, by="t")
    for unit in ("ms", "us", "ns"):
        keys = pl.DataFrame({"t": pl.Series([moment], dtype=pl.Datetime(unit, "Asia/Tokyo"))})
        assert ask(index, keys, [0]) == [{"v": 1.0}]
    naive = pl.DataFrame({"t": pl.Series([moment.replace(tzinfo=None)], dtype=pl.Datetime("us"))})
    assert ask(index, naive, [0]) == [{"v": 1.0}]  # R7: without a zone it is UTC


@pytest.mark.parametrize(
    "clock_change", [datetime(2013, 3, 10, tzinfo=UTC), datetime(2013, 11, 3, tzinfo=UTC)]
)
def test_windows_and_hours_over_a_clock_change(clock_change: datetime) -> None:
    zone = ZoneInfo("America/New_York")
    hours = [clock_change + timedelta(hours=h) for h in range(30)]
    frame = pl.DataFrame(
        {"place": "a", "t": pl.Series(hours, dtype=pl.Datetime("us", "UTC"))}
    ).with_columns(__event__=pl.col("t").dt.epoch("us"), __known__=pl.col("t").dt.epoch("us"))

    def features(r: Any) -> dict[str, Any]:
        return {"hour": r.t.hour, "n": r.count("24h"), "early": (r.t.hour < 3).sum("24h")}

    index = index_of(frame, features, by="place", tz="America/New_York")
    found = ask(index, places(*["a"] * 30), [to_us(hour) for hour in hours])
    local = [hour.astimezone(zone) for hour in hours]
    assert [row["hour"] for row in found] == [hour.hour for hour in local]
    assert [row["n"] for row in found] == [min(i + 1, 25) for i in range(30)]
    early = [hour.hour < 3 for hour in local]
    assert [row["early"] for row in found] == [
        sum(early[max(0, i - 24) : i + 1]) for i in range(30)
    ]


def test_a_correction_moves_an_event_to_another_key_and_time() -> None:
    frame = pl.DataFrame(
        {
            "id": [1, 1],
            "place": ["a", "b"],
            "value": [5.0, 8.0],
            "__event__": [0, HOUR],
            "__known__": [0, 2 * HOUR],
        }
    )

    def features(r: Any) -> dict[str, Any]:
        return {"n": r.count("3h"), "sum": r.value.sum("3h")}

    index = index_of(frame, features, key=["id"], by="place")
    before, after = 2 * HOUR - 1, 2 * HOUR
    assert ask(index, places("a", "b"), [before] * 2) == [
        {"n": 1, "sum": 5.0},
        {"n": 0, "sum": 0.0},
    ]
    assert ask(index, places("a", "b"), [after] * 2) == [{"n": 0, "sum": 0.0}, {"n": 1, "sum": 8.0}]


def test_the_window_start_lies_on_the_hop() -> None:
    index = index_of(
        simple([("a", 1.0, 7 * MINUTE, 0)]), lambda r: {"n": r.count("1h")}, by="place", hop="10m"
    )
    last = HOUR + 10 * MINUTE - 1  # its start, 9 minutes and a bit, is moved back to 0
    assert [row["n"] for row in ask(index, places("a", "a"), [last, last + 1])] == [1, 0]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_window_with_a_number_that_is_none_is_nan(odd: float) -> None:
    frame = simple([("a", 1.5, 0, 0), ("a", odd, 10, 10), ("a", 2.5, 2 * HOUR, 2 * HOUR)])
    index = index_of(frame, lambda r: {"s": r.value.sum("1h"), "m": r.value.mean("1h")}, by="place")
    found = ask(index, places(*"aaa"), [0, 10, 2 * HOUR])
    nan = float("nan")
    expected = [{"s": 1.5, "m": 1.5}, {"s": nan, "m": nan}, {"s": 2.5, "m": 2.5}]
    assert all(same(a[k], b[k]) for a, b in zip(found, expected, strict=True) for k in a)


def test_window_sums_that_do_not_fit_are_refused() -> None:
    frame = simple([("a", 2**61, 0, 0), ("a", 2**61, 1, 1)], pl.Int64)
    with pytest.raises(DataError, match="62 bits"):
        index_of(frame, lambda r: {"s": r.value.sum("1h")}, by="place")
    far_apart = simple([("a", 2**61, 0, 0), ("a", 2**61, 3 * HOUR, 3 * HOUR)], pl.Int64)
    index = index_of(far_apart, lambda r: {"s": r.value.sum("1h")}, by="place")
    assert ask(index, places("a"), [3 * HOUR]) == [{"s": 2**61}]
    with pytest.raises(DataError, match="62 bits"):
        index_of(simple([("a", 1e300, 0, 0)]), lambda r: {"s": r.value.sum("1h")}, by="place")


@given(
    st.lists(
        st.tuples(st.floats(-1e9, 1e9), st.integers(0, 50), st.integers(0, 50)),
        min_size=1,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_float_sums_do_not_depend_on_the_order(rows: list[Any], random: Any) -> None:
    events = [("a", value, at * MINUTE, (at + late) * MINUTE) for value, at, late in rows]
    shuffled = random.sample(events, len(events))
    asked = [at * MINUTE for at in range(0, 160, 7)]
    keys = places(*["a"] * len(asked))

    def features(r: Any) -> dict[str, Any]:
        return {"s": r.value.sum("30m"), "m": r.value.mean("30m")}

    one, two = (index_of(simple(order), features, by="place") for order in (events, shuffled))
    assert ask(one, keys, asked) == ask(two, keys, asked)


def test_a_mean_of_one_is_the_value_itself() -> None:
    values = [-0.1, 0.1, 1 / 3, -(2.0**40) / 3, 1e-9, 123456.789, 5e-324]
    frame = simple([(str(i), value, 0, 0) for i, value in enumerate(values)])
    index = index_of(frame, lambda r: {"m": r.value.mean("1h")}, by="place")
    found = ask(index, places(*map(str, range(len(values)))), [0] * len(values))
    assert [row["m"] for row in found] == pytest.approx(values, rel=1e-15, abs=2.0**-60)


def test_nothing_stored_and_nothing_asked() -> None:
    def features(r: Any) -> dict[str, Any]:
        return {"v": r.value, "n": r.count("1h"), "k": 3}

    empty = index_of(simple([]), features, by="place")
    assert ask(empty, places("a", None), [0, 0]) == [
        {"v": None, "n": 0, "k": 3},
        {"v": None, "n": None, "k": None},
    ]
    assert ask(empty, places(), []) == []
    assert empty.at(places(), instants([])).schema == {
        "v": pl.Float64,
        "n": pl.Int64,
        "k": pl.Int64,
    }


def test_the_same_data_gives_the_same_bytes_and_others_are_refused() -> None:
    frame = simple([("a", 1.5, 0, 0)])

    def features(r: Any) -> dict[str, Any]:
        return {"v": r.value, "n": r.value.mean("1h")}

    one, two = (index_of(frame, features, by="place").dumps() for _ in range(2))
    assert one == two
    with pytest.raises(IntegrityError):
        ViewIndex.loads(b"something else")


def test_many_rows_keep_their_order_and_their_number() -> None:
    random = np.random.default_rng(7)
    size = 20_000
    frame = simple(
        [
            (f"p{key}", float(at), int(at), int(at) + int(late))
            for key, at, late in zip(
                random.integers(0, 50, size),
                random.integers(0, 10 * DAY, size),
                random.integers(0, 2 * HOUR, size),
                strict=True,
            )
        ]
    )
    index = index_of(frame, lambda r: {"v": r.value, "n": r.count("24h")}, by="place", hop="10m")
    keys = pl.DataFrame({"place": [f"p{key}" for key in random.integers(0, 60, 300)]})
    at = [int(at) for at in random.integers(0, 10 * DAY, 300)]
    found = ask(index, keys, at)
    rows = frame.rows(named=True)
    for answer, (key,), moment in list(zip(found, keys.rows(), at, strict=True))[:25]:
        best = reference.newest(rows, ("place",), (key,), moment, None)
        events = reference.in_window(rows, (), ("place",), (key,), moment, DAY, 10 * MINUTE)
        assert answer == {"v": best and best["value"], "n": len(events)}
